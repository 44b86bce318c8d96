"""What things cost, in exact counts: statements, rows, write transactions, callbacks, tasks, calls of functions. Nothing is timed.

A workload runs in virtual time on a real store, so that the same things happen in the same order each time. The counts are kept in
``tests/costs/expected``, and a test holds them. Begin with ``workloads.py``.
"""

from __future__ import annotations
