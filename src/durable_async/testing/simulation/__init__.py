"""A whole system in one thread: workers, clients, store and all that can happen to them, drawn from a seed.

The engine is the real one. Only the event loop, the clock, chance, and the ways to the store are replaced. Begin with ``plan.py``,
which is a run as data, then ``play.py``, which plays it; ``workloads`` is what the system has to do meanwhile.

    python -m durable_async.testing.simulation --seeds 100

It is for those who work on the engine: its names may change with any release.
"""

from __future__ import annotations
