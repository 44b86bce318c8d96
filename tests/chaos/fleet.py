"""Worker processes: begun, killed, frozen, thawed."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from worker import Orders

_PR_SET_PDEATHSIG = 1


def now_us() -> int:
    """Return the machine's time, which all processes here share with the server."""
    return time.time_ns() // 1_000


@dataclass(frozen=True)
class Identity:
    """What a process works under, since when."""

    worker_id: str
    since_us: int


class WorkerProcess:
    """One of them.

    Attributes:
        number: Its own; no other has it, before or after.
        place: Its place in the fleet, in which another followed it if it was killed.
        log: What it says.
    """

    def __init__(self, number: int, place: int, orders: Orders, log: Path) -> None:
        self.number = number
        self.place = place
        self.log = log
        self._identities = Path(orders.identities)
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("worker.py"))],
                env=orders.environment(),
                stdout=out,
                stderr=out,
                # When the shell behind a run ends, the kernel wakes whoever is frozen in the run's own group.
                process_group=0,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, no Python that could hang
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it runs, or is frozen."""
        return self._process.poll() is None

    def identities(self) -> list[Identity]:
        """Return what it worked under so far, oldest first."""
        if not self._identities.exists():
            return []
        words = (line.split() for line in self._identities.read_text().splitlines())
        return [Identity(one[1], int(one[2])) for one in words if one[0] == str(self.pid)]

    def kill(self) -> int:
        """Kill it with SIGKILL, and return when the signal was sent."""
        at_us = now_us()
        self._process.kill()
        self._process.wait()
        return at_us

    def freeze(self) -> int:
        """Stop it with SIGSTOP: its connections stay, and nothing answers."""
        at_us = now_us()
        self._process.send_signal(signal.SIGSTOP)
        return at_us

    def thaw(self) -> None:
        """Let it go on where it was."""
        self._process.send_signal(signal.SIGCONT)


class Fleet:
    """A number of equal workers.

    Args:
        orders: Says what a worker does, given its number and its place.
        folder: Where their logs are.
    """

    def __init__(self, orders: Callable[[int, int], Orders], folder: Path) -> None:
        self._orders = orders
        self._folder = folder
        self._count = 0
        self.workers: list[WorkerProcess] = []

    def spawn(self) -> WorkerProcess:
        """Begin one more, in the first place that is free."""
        number = self._count
        place = min(set(range(len(self.workers) + 1)) - {one.place for one in self.workers})
        log = self._folder / f"worker-{number}.log"
        worker = WorkerProcess(number, place, self._orders(number, place), log)
        self._count += 1
        self.workers.append(worker)
        return worker

    def remove(self, worker: WorkerProcess) -> None:
        """Forget one that is dead."""
        self.workers.remove(worker)

    def check(self) -> None:
        """Raise if a worker ended by itself."""
        for worker in self.workers:
            if not worker.is_alive:
                said = worker.log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"a worker ended: {said}")

    def registered_us(self) -> dict[int, int]:
        """Return when each process that lives was registered first."""
        return {one.pid: one.identities()[0].since_us for one in self.workers if one.identities()}

    def close(self) -> None:
        """Kill what is left."""
        for worker in self.workers:
            worker.kill()
        self.workers.clear()


def die_with_parent() -> None:
    """Let a child be killed when the thread ends that began it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
