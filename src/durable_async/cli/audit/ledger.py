"""A file beside the database in which activities write down that they run: evidence that does not come from the engine.

The demo compares it with the history. A line is one ``write`` to a file opened for appending: a killed process leaves all
its lines behind.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import msgspec

from durable_async import activity_context
from durable_async.environment import SystemEnvironment


class ProcessStarted(msgspec.Struct, frozen=True, tag="process_started"):
    """A worker process was started."""

    at_us: int
    pid: int


class ProcessReady(msgspec.Struct, frozen=True, tag="process_ready"):
    """A worker process can take on work."""

    at_us: int
    pid: int


class ExecutionBegan(msgspec.Struct, frozen=True, tag="execution_began"):
    """A process began to execute call number ``seq`` of an orchestration."""

    at_us: int
    pid: int
    instance_id: str
    seq: int


class KillAwaited(msgspec.Struct, frozen=True, tag="kill_awaited"):
    """A process is in the midst of an execution from which it does not come back, if it was the first to write this."""

    at_us: int
    pid: int


class ProcessEnded(msgspec.Struct, frozen=True, tag="process_ended"):
    """A process was killed, or seen to have ended; ``status`` is minus the signal that killed it, or its exit status."""

    at_us: int
    pid: int
    status: int


Entry = ProcessStarted | ProcessReady | ExecutionBegan | KillAwaited | ProcessEnded

_decoder = msgspec.json.Decoder(Entry)


class Ledger:
    """Lines of one audit, from all processes that had a part in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._environment = SystemEnvironment()

    def clear(self) -> None:
        """Begin a new audit."""
        self.path.unlink(missing_ok=True)

    def read(self) -> list[Entry]:
        """Return all lines."""
        if not self.path.exists():
            return []
        return [_decoder.decode(line) for line in self.path.read_bytes().splitlines()]

    def process_started(self, pid: int) -> None:
        """Write that a worker process was started."""
        self._append(ProcessStarted(self._environment.now_us(), pid))

    def process_ready(self) -> None:
        """Write that this process can take on work."""
        self._append(ProcessReady(self._environment.now_us(), os.getpid()))

    def await_kill(self) -> bool:
        """Offer this process to be killed in what it does now; ``False`` if another one was faster."""
        self._append(KillAwaited(self._environment.now_us(), os.getpid()))
        return self.victim() == os.getpid()

    def victim(self) -> int | None:
        """Return the process that awaits to be killed: of those that offered it, the first. Lines never change places."""
        return next((one.pid for one in self.read() if isinstance(one, KillAwaited)), None)

    def process_ended(self, pid: int, status: int) -> None:
        """Write how a process ended."""
        self._append(ProcessEnded(self._environment.now_us(), pid, status))

    def execution_began(self, instance_id: str, seq: int) -> None:
        """Write that this process executes an activity."""
        now_us = self._environment.now_us()
        self._append(ExecutionBegan(now_us, os.getpid(), instance_id, seq))

    def _append(self, entry: Entry) -> None:
        line = msgspec.json.encode(entry) + b"\n"
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, line)
        finally:
            os.close(file)


_current: ContextVar[Callable[[str, int], None]] = ContextVar("durable_async_audit_ledger")


@contextmanager
def recording(note: Callable[[str, int], None]) -> Generator[None, None, None]:
    """Have every execution of an activity noted: ``note`` gets its instance and number, in the activity's thread."""
    token = _current.set(note)
    try:
        yield
    finally:
        _current.reset(token)


def note_execution() -> None:
    """Note that the running activity is executed, if somebody records."""
    note = _current.get(None)
    if note is not None:
        context = activity_context()
        note(context.instance_id, context.seq)
