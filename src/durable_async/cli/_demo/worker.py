"""The demo's worker processes: they run the audit until it has ended, or until they are killed."""

from __future__ import annotations

import threading
from pathlib import Path

import anyio

from durable_async import TaskHub, WorkerSettings
from durable_async.cli.audit import Ledger, recording, registry

from .files import HUB

LOOK_SECONDS = 0.01
HANG_SECONDS = 60.0

SETTINGS = WorkerSettings(threads_max=2, sweep_seconds=0.2, instances_max=4, claim_batch=2)
"""A small worker, so that several have a part in a job of seconds."""


class Executions:
    """Writes every execution into the ledger. The first process to come to its n-th does not come back from it: there the kill finds it."""

    def __init__(self, ledger: Ledger, hang_at: int | None) -> None:
        self._ledger = ledger
        self._hang_at = hang_at
        self._count = 0
        self._lock = threading.Lock()

    def note(self, instance_id: str, seq: int) -> None:
        """Write one down; called in the activity's thread."""
        self._ledger.execution_began(instance_id, seq)
        with self._lock:
            self._count += 1
            is_due = self._count == self._hang_at
        if is_due and self._ledger.await_kill():
            threading.Event().wait(HANG_SECONDS)


async def run_worker(url: str, ledger: Path, instance_id: str, hang_at: int | None) -> None:
    """Work on the hub until the audit has ended."""
    executions = Executions(Ledger(ledger), hang_at)
    async with TaskHub.open(url, hub=HUB, registry=registry) as hub:
        with recording(executions.note):
            async with hub.worker(settings=SETTINGS):
                Ledger(ledger).process_ready()
                while await hub.client.get(instance_id, payloads=False) is None:  # noqa: ASYNC110 - it begins when all are ready
                    await anyio.sleep(LOOK_SECONDS)
                await hub.client.wait_for_end(instance_id)
