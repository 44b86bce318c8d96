"""Real processes that are killed, on one store: no tick is lost, and none has two runs."""

from __future__ import annotations

import os
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import takewhile
from pathlib import Path

import anyio
import pytest

from durable_async import TaskHub
from durable_async.schedules import CatchUp, Overlap, ScheduleState
from durable_async.schedules._ticks import run_id, ticks_after

from .test_laws import book, noted, registry

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs kill -9")

SOURCE = Path(__file__).resolve().parents[3] / "src"
PROGRAM = Path(__file__).with_name("mortal_worker.py")
WORKERS = 3
DEATHS = 3
"""So many at least, one of them before its times are changed."""
MOMENTS = ["before", "during", "after"]
COMMITS_MAX = 4
"""At one of its first so many commits a worker dies."""
KILLED = -9


class Workers:
    """Some processes. Each of them dies at some commit, and is followed by another one."""

    def __init__(self, url: str, name: str) -> None:
        self._where = [url, name]
        self._deaths = 0
        self._is_peace = False

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Let them work, and die, during the block."""
        async with anyio.create_task_group() as group:
            for _ in range(WORKERS):
                group.start_soon(self._one_after_the_other)
            yield
            group.cancel_scope.cancel()

    async def die(self, times: int) -> None:
        """Wait until so many have died."""
        with anyio.fail_after(60):
            while self._deaths < times:
                await anyio.sleep(0.02)

    def make_peace(self) -> None:
        """Let those that follow live."""
        self._is_peace = True

    async def _one_after_the_other(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
        while True:
            moment = "never" if self._is_peace else random.choice(MOMENTS)
            number = random.randint(1, COMMITS_MAX)
            print(f"one dies {moment} its commit {number}")  # shown where the test fails
            command = [sys.executable, str(PROGRAM), *self._where, moment, str(number)]
            async with await anyio.open_process(
                command, env=environment, stdout=None, stderr=None
            ) as process:
                assert await process.wait() == KILLED
            self._deaths += 1


def ids(state: ScheduleState, after: datetime, until: datetime) -> set[str]:
    """Return the ids of the runs of all ticks between two moments."""
    ticks = takewhile(lambda tick: tick <= until, ticks_after(state.spec, after, after))
    return {run_id(state.spec, "s", tick) for tick in ticks}


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'hub.db'}"
    return str(request.getfixturevalue("postgres_database"))


async def test_kill_9_loses_and_doubles_no_tick(url: str, fresh_name: str) -> None:
    """Nor does a change of its times. Where processes die is drawn, around any of their commits."""
    workers = Workers(url, fresh_name)
    async with TaskHub.open(url, hub=fresh_name, registry=registry) as hub, workers.at_work():
        made = await hub.schedules.create(
            "s", noted, 0.0, every=0.1, overlap=Overlap.ALLOW, catch_up=CatchUp.ALL
        )
        await workers.die(1)
        changed = await hub.schedules.update("s", every=0.15)
        await workers.die(DEATHS)
        workers.make_peace()
        ended = await hub.schedules.update("s", every=timedelta(days=1))  # deals with what is due

        expected = ids(made, made.created_at, changed.updated_at)
        expected |= ids(changed, changed.updated_at, ended.updated_at)
        with anyio.fail_after(60):
            while len(await book(hub)) < len(expected):
                await anyio.sleep(0.05)
        there = [one.instance_id async for one in hub.client.query(tags={"schedule": "s"})]
        assert Counter(there) == await book(hub) == Counter(expected)
        assert (ended.started, ended.missed, ended.skipped) == (len(expected), 0, 0)
