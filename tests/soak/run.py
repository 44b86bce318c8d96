"""One soak: processes, samples of them and of the store, as lines of JSON."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from orders import Orders, begin
from outsides import cpu_seconds, outsides
from stores import Store

WORKERS = 2
_LOOK_SECONDS = 1.0
_KILL_SECONDS = 60.0
_BEGIN_SECONDS_MAX = 120.0


class Soak:
    """Two workers and a client, observed.

    The second worker is the one that is killed, so that the first one sees all the take-overs, and is observed to the end.

    Attributes:
        samples: The file of samples: one line each.
    """

    def __init__(self, folder: Path, store: Store, orders: Orders, *, kills: bool) -> None:
        self._folder = folder
        self._store = store
        self._orders = orders
        self._kills = kills
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._begun = 0
        self._idle_seconds = 0.0
        self.samples = folder / "samples.jsonl"

    async def run(self, seconds: float) -> None:
        """Observe for so long, from when all processes have told something."""
        try:
            for number in range(WORKERS):
                self._begin(f"w{number + 1}")
            self._begin("c1")
            await self._until_all_tell()
            began = killed = sampled = time.monotonic()
            while (now := time.monotonic()) - began < seconds:
                await asyncio.sleep(_LOOK_SECONDS)
                self._idle_seconds = max(self._idle_seconds, await self._store.idle_seconds())
                self._check()
                if now - sampled >= self._orders.every_seconds:
                    sampled = now
                    await self._sample(now - began)
                if self._kills and now - killed >= _KILL_SECONDS:
                    killed = now
                    self._kill()
        finally:
            for process in self._processes.values():
                process.kill()
                process.wait()

    def _begin(self, name: str) -> None:
        self._begun += 1
        diary = self._folder / f"{name}-{self._begun}.jsonl"
        leak = self._orders.leak if name == "w1" else ""
        orders = replace(self._orders, diary=str(diary), leak=leak)
        program = "client.py" if name == "c1" else "worker.py"
        self._processes[name] = begin(program, orders, self._folder / "log")

    async def _until_all_tell(self) -> None:
        async with asyncio.timeout(_BEGIN_SECONDS_MAX):
            while not all(self._diary(name, one.pid) for name, one in self._processes.items()):
                self._check()
                await asyncio.sleep(_LOOK_SECONDS)

    def _kill(self) -> None:
        victim = self._processes[f"w{WORKERS}"]
        victim.kill()
        victim.wait()
        self._begin(f"w{WORKERS}")

    def _check(self) -> None:
        for name, process in self._processes.items():
            if process.poll() is not None:
                log = (self._folder / "log").read_text(errors="replace")
                raise RuntimeError(f"{name} has ended: {log[-3000:]}")

    async def _sample(self, at: float) -> None:
        processes: dict[str, Any] = {}
        for name, process in self._processes.items():
            processes[name] = {**outsides(process.pid), **self._diary(name, process.pid)}
        sample = {
            "at": round(at, 1),
            "cpu_seconds": cpu_seconds(os.getpid()),
            "idle_in_transaction": self._idle_seconds,
            "processes": processes,
            "store": await self._store.figures(),
        }
        self._idle_seconds = 0.0
        with self.samples.open("a") as lines:
            lines.write(json.dumps(sample) + "\n")

    def _diary(self, name: str, pid: int) -> dict[str, Any]:
        """Return what a process wrote last about itself."""
        for diary in self._folder.glob(f"{name}-*.jsonl"):
            lines = diary.read_text().splitlines()
            for line in reversed(lines[-2:]):
                try:
                    told: dict[str, Any] = json.loads(line)
                except ValueError:
                    continue  # it is being written
                if told["pid"] == pid:
                    return told
        return {}
