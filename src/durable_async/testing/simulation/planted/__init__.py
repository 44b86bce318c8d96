"""Faults that are put into the engine, one at a time, to see that the simulation finds them.

Nothing outside `durable_async.testing` can reach them, which a house rule checks. Each breaks one of the rules that the engine lives by. A
simulation that does not find one of them would not find a mistake of that kind either.

    ./dev simulate --planted all --jobs 2
"""

from __future__ import annotations

from . import kernel, schedules, store, worker
from ._planting import PLANTED, Planted, lifted, planted

__all__ = ("PLANTED", "Planted", "kernel", "lifted", "planted", "schedules", "store", "worker")
