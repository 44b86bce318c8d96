"""The demo's worker process: it runs the audit until it has ended, or until it is killed."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass

import anyio

from durable_async import Client, TaskHub

from ._demo_facts import count_files
from ._demo_files import HUB, DemoFiles
from .audit import Ledger, recording, registry

THREADS = 2
SWEEP_SECONDS = 0.2
LOOK_SECONDS = 0.01

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows knows one way to end a process, as hard


@dataclass(frozen=True, slots=True)
class Middle:
    """When to be killed: whichever comes first.

    Attributes:
        files: So many files are recorded as checked.
        executions: So many activities were begun; for jobs so small that they would be over before anybody looks.
    """

    files: int
    executions: int


def kill_this_process() -> None:
    """End at once: no handler sees it, nothing is flushed or closed."""
    os.kill(os.getpid(), KILL)


class Executions:
    """Writes every execution into the ledger, and kills this process at the n-th."""

    def __init__(self, ledger: Ledger, kill_at: int | None) -> None:
        self._ledger = ledger
        self._kill_at = kill_at
        self._count = 0
        self._lock = threading.Lock()

    def note(self, instance_id: str, seq: int) -> None:
        """Write one down; called in the activity's thread."""
        self._ledger.execution_began(instance_id, seq)
        with self._lock:
            self._count += 1
            if self._count == self._kill_at:
                kill_this_process()


async def run_worker(files: DemoFiles, instance_id: str, middle: Middle | None) -> None:
    """Work on the hub until the audit has ended."""
    executions = Executions(Ledger(files.ledger), None if middle is None else middle.executions)
    async with TaskHub.open(files.url, hub=HUB, registry=registry) as hub:
        with recording(executions.note):
            async with (
                hub.worker(threads_max=THREADS, sweep_seconds=SWEEP_SECONDS),
                anyio.create_task_group() as group,
            ):
                if middle is not None:
                    group.start_soon(_die_in_the_middle, hub.client, instance_id, middle.files)
                await hub.client.wait_for_end(instance_id)
                group.cancel_scope.cancel()


async def _die_in_the_middle(client: Client, instance_id: str, files: int) -> None:
    while await count_files(client, instance_id) < files:  # noqa: ASYNC110 - the file is looked at, as others see it
        await anyio.sleep(LOOK_SECONDS)
    kill_this_process()
