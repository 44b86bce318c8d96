"""A cost model: what many workers and many instances ask of one server, and where each wall is.

``measure`` finds the constants on this machine, ``model`` calculates with them, ``python -m benchmarks.model`` prints the tables of
docs/explanation/costs.md.
"""

from __future__ import annotations
