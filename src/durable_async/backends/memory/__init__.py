"""The store in this process's memory: the reference, for tests, simulations and what need not outlive the process.

It knows the port and the model only. Nothing here awaits, so every verb is atomic by construction. Begin with ``backend.py``,
which is the port verb by verb; ``state.py`` holds the rows and ``commits.py`` applies turns to them.
"""

from __future__ import annotations

from .backend import MemoryBackend
from .store import Clock, MemoryStore

__all__ = ("Clock", "MemoryBackend", "MemoryStore")
