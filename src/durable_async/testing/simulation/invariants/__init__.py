"""What must be true of every run: at each call that the store carries out, and when everything is quiet.

Begin with ``inspector.py``. Each other module holds one or two of the invariants I1 to I23, which are listed in
docs/internals/simulation.md.
"""

from __future__ import annotations

from .inspector import Inspector

__all__ = ("Inspector",)
