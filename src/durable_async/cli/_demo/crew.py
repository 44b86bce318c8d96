"""The demo's worker processes, seen from the one that starts them, watches them and kills one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import Process

from durable_async import DurableError
from durable_async.cli.audit import Ledger
from durable_async.cli.audit.ledger import ProcessReady

from . import view
from .files import URL_VARIABLE, DemoPlace

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows knows one way to end a process, as hard
LOOK_SECONDS = 0.02
READY_SECONDS = 60.0
LOG_LINES = 20


class DemoFailedError(DurableError):
    """Raised when a worker process did not do what it should."""


class Crew:
    """Worker processes on one audit; those that live are killed at the end of the block."""

    def __init__(self, place: DemoPlace, instance_id: str) -> None:
        self._place = place
        self._instance_id = instance_id
        self._ledger = Ledger(place.ledger)
        self._log = place.log.open("wb")
        self._living: dict[int, Process] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with anyio.CancelScope(shield=True):
            for pid in self.living:
                await self.kill(pid)
        self._log.close()

    @property
    def living(self) -> list[int]:
        """Those that are at work, in the order in which they were started."""
        return list(self._living)

    async def start(self, count: int, *, hang_at: int | None = None) -> None:
        """Start processes, and return when they can take on work.

        Args:
            count: How many.
            hang_at: Whichever is the first to come to its execution of this number does not come back from it; see `victim`.

        Raises:
            DemoFailedError: One of them ended.
        """
        started = {await self._spawn(hang_at) for _ in range(count)}
        with anyio.fail_after(READY_SECONDS):
            while not started <= self._ready():
                self.check()
                await anyio.sleep(LOOK_SECONDS)

    def victim(self) -> int | None:
        """Return the one that waits to be killed in the midst of an execution; ``None`` as long as none has come so far."""
        return self._ledger.victim()

    async def kill(self, pid: int) -> int:
        """Kill one of those that live; returns its exit status."""
        process = self._living.pop(pid)
        process.kill()
        # By now it does nothing any more: what follows in the ledger is after its death.
        self._ledger.process_ended(pid, -KILL)
        await process.wait()
        return process.returncode or 0

    def check(self) -> None:
        """Take out those that came to their end.

        Raises:
            DemoFailedError: One of them failed.
        """
        for pid in self.living:
            status = self._living[pid].returncode
            if status is None:
                continue
            del self._living[pid]
            self._ledger.process_ended(pid, status)
            if status:
                said = self._place.log.read_text(errors="replace").splitlines()[-LOG_LINES:]
                ended = f"process {pid}: {view.ending(status)}"
                raise DemoFailedError("\n".join([ended, *said]))

    async def _spawn(self, hang_at: int | None) -> int:
        command = [sys.executable, "-m", "durable_async", "demo-worker"]
        command += ["--ledger", str(self._place.ledger), "--instance", self._instance_id]
        if hang_at is not None:
            command += ["--hang-at", str(hang_at)]
        process = await anyio.open_process(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env=os.environ | {URL_VARIABLE: self._place.url},
        )
        self._living[process.pid] = process
        self._ledger.process_started(process.pid)
        return process.pid

    def _ready(self) -> set[int]:
        return {one.pid for one in self._ledger.read() if isinstance(one, ProcessReady)}
