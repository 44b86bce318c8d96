"""The demo's worker process: it runs the audit until it has ended, or until it is killed."""

from __future__ import annotations

import os
import signal
import threading

from durable_async import TaskHub

from ._demo_files import HUB, DemoFiles
from .audit import Ledger, recording, registry

THREADS = 4
SWEEP_SECONDS = 0.2

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows knows one way to end a process, as hard


class KillSwitch:
    """Kills this process, hard, when it begins to execute its n-th activity."""

    def __init__(self, ledger: Ledger, after: int | None) -> None:
        self._ledger = ledger
        self._after = after
        self._count = 0
        self._lock = threading.Lock()

    def note(self, instance_id: str, seq: int) -> None:
        """Write an execution down; it may be the last thing this process does."""
        self._ledger.execution_began(instance_id, seq)
        with self._lock:
            self._count += 1
            if self._count == self._after:
                os.kill(os.getpid(), KILL)  # no handler sees it, nothing is flushed or closed


async def run_worker(files: DemoFiles, instance_id: str, kill_after: int | None) -> None:
    """Work on the hub until the audit has ended."""
    switch = KillSwitch(Ledger(files.ledger), kill_after)
    async with TaskHub.open(files.url, hub=HUB, registry=registry) as hub:
        with recording(switch.note):
            async with hub.worker(threads_max=THREADS, sweep_seconds=SWEEP_SECONDS):
                await hub.client.wait_for_end(instance_id)
