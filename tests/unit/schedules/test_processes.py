"""Real processes that are killed, on one file: no tick is lost, and none has two runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from durable_async import TaskHub
from durable_async.schedules import CatchUp, Overlap, ScheduleState
from durable_async.schedules._ticks import ticks_after

from .test_laws import book, registry

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs kill -9")

ROOT = Path(__file__).resolve().parents[3]

WORKER = """
import asyncio, sys
from durable_async import TaskHub
from test_laws import SETTINGS, registry

async def main():
    async with TaskHub.open(sys.argv[1], registry=registry) as hub, hub.worker(settings=SETTINGS):
        await asyncio.Event().wait()

asyncio.run(main())
"""
TICKS = 8
EVERY = 0.4


class Workers:
    """Two processes; whichever is killed is followed by another one."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._running = [self._begin(), self._begin()]

    def _begin(self) -> subprocess.Popen[bytes]:
        paths = os.pathsep.join([str(ROOT / "src"), str(Path(__file__).parent)])
        return subprocess.Popen(
            [sys.executable, "-c", WORKER, self._url], env=os.environ | {"PYTHONPATH": paths}
        )

    def kill(self, which: int) -> None:
        self._running[which].kill()
        self._running[which].wait(timeout=30)
        self._running[which] = self._begin()

    def end(self) -> None:
        for process in self._running:
            process.kill()
            process.wait(timeout=30)


async def reaches(hub: TaskHub, runs: int) -> ScheduleState:
    """Wait until a schedule has started so many runs, or has no tick any more."""
    with anyio.fail_after(60):
        while True:
            state = await hub.schedules.describe("s")
            if state.started >= runs or state.next_tick is None:
                return state
            await anyio.sleep(0.05)


async def test_kill_9_loses_and_doubles_no_tick(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'hub.db'}"
    async with TaskHub.open(url, registry=registry) as hub:
        workers = Workers(url)
        try:
            made = await hub.schedules.create(
                "s", "noted", 0.0, every=EVERY, overlap=Overlap.ALLOW, catch_up=CatchUp.ALL
            )
            end = made.created_at + timedelta(seconds=EVERY * TICKS)
            await hub.schedules.update("s", end=end)
            for started in range(1, TICKS, 2):
                await reaches(hub, started)
                workers.kill(started // 2 % 2)
            await reaches(hub, TICKS)
            with anyio.fail_after(60):
                while len(found := await book(hub)) < TICKS:
                    await anyio.sleep(0.05)
        finally:
            workers.end()
        state = await hub.schedules.describe("s")
        ticks = [*ticks_after(state.spec, made.created_at, made.created_at)]
        expected = {f"s:{tick.replace(tzinfo=None).isoformat()}Z" for tick in ticks}
        assert found == Counter(expected)
        assert (state.started, state.missed, state.skipped) == (TICKS, 0, 0)
