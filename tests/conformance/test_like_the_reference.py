"""The law above all examples: whatever is asked, the answers are those of the store in memory."""

from __future__ import annotations

import asyncio
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given, settings, strategies as st

from durable_async.backend import Backend
from durable_async.backends.memory import MemoryBackend, MemoryStore
from durable_async.backends.offload import MemoryPayloads, OffloadingBackend
from durable_async.backends.postgres import PostgresBackend
from durable_async.backends.sqlite import SqliteBackend
from durable_async.backends.sqlite.states import InstanceState
from durable_async.backends.sqlite.transaction import json_list
from durable_async.testing.conformance import ManualClock, StoreClock
from durable_async.testing.postgres import LabClock, PostgresLab

from .clocked import ClockedEnvironment
from .scripts import BEGINNING, ENTITIES, IDS, Step, scripts
from .worlds import World

Store = Callable[[], tuple[StoreClock, list[Backend]]]
"""Makes two processes' ways to a new store, and its clock."""


def same(step: Step, reference: Any, answer: Any) -> bool:
    """Compare answers; letters reported before may be reported again."""
    if step["do"] == "fetch" and isinstance(reference, tuple):
        first, mail, *rest = reference
        first_too, mail_too, *rest_too = answer
        return first == first_too and mail <= mail_too and rest == rest_too
    return bool(reference == answer)


async def live(script: list[Step], store: Store) -> None:
    clock = ManualClock()
    memory = MemoryStore(clock)
    reference = World(clock, [MemoryBackend(memory), MemoryBackend(memory)])
    tested = World(*store())
    try:
        await reference.open()
        await tested.open()
        for step in [*BEGINNING, *script]:
            wanted, got = await reference.do(step), await tested.do(step)
            assert same(step, wanted, got), (step, wanted, got)
            assert await reference.see() == await tested.see(), step
    finally:
        for backend in (*reference.backends, *tested.backends):
            await backend.close()


class QuickSqlite(SqliteBackend):
    """Nobody cuts the power here, and waiting for the disk is most of the time."""

    async def open(self) -> None:
        await super().open()
        self._connections["writer"].execute("pragma synchronous = off")


@settings(max_examples=100)
@given(scripts)
def test_any_script_gives_the_answers_of_the_reference_on_sqlite(
    script: list[Step],
) -> None:
    def store() -> tuple[StoreClock, list[Backend]]:
        clock = ManualClock()
        environment = ClockedEnvironment(clock)
        file = Path(folder) / "h.db"
        return clock, [QuickSqlite(file, environment=environment, inline=True) for _ in range(2)]

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(live(script, store))


class Known(QuickSqlite):
    """Looks after each call whether what it takes for known is what is stored."""

    def check(self) -> None:
        tx = self._statements("writer")
        [version] = tx.connection.execute("pragma data_version").fetchone()
        self._known.begin(version)
        known = {state.id: state for state in self._known.take(list(IDS + ENTITIES))}
        self._known.keep(known)
        rows = tx.all("load_instances", hub=tx.hub, ids=json_list(known))
        assert len(rows) == len(known)
        for row in rows:
            stored = InstanceState(*row)
            for field in InstanceState.__slots__:
                assert getattr(known[stored.id], field) == getattr(stored, field), field


@settings(max_examples=100)
@given(scripts, st.booleans())
def test_whatever_is_asked_what_is_known_of_instances_is_what_is_stored(
    script: list[Step], alone: bool
) -> None:
    async def ask() -> None:
        clock = ManualClock()
        one, other = (
            Known(file, environment=ClockedEnvironment(clock), inline=True) for _ in range(2)
        )
        world = World(clock, [one, one] if alone else [one, other])
        await world.open()
        for step in [*BEGINNING, *script]:
            await world.do(step)
            for backend in {one, *world.backends}:
                backend.check()
        for backend in world.backends:
            await backend.close()

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "h.db"
        asyncio.run(ask())


@settings(max_examples=60)
@given(scripts, st.sampled_from([0, 6]))
def test_any_script_gives_the_answers_of_the_reference_with_payloads_elsewhere(
    script: list[Step], threshold_bytes: int
) -> None:
    def store() -> tuple[StoreClock, list[Backend]]:
        clock = ManualClock()
        memory = MemoryStore(clock)
        payloads = MemoryPayloads(threshold_bytes)
        environment = ClockedEnvironment(clock)
        return clock, [
            OffloadingBackend(
                MemoryBackend(memory), payloads, environment=environment, cache_bytes=100
            )
            for _ in range(2)
        ]

    asyncio.run(live(script, store))


@settings(max_examples=30)
@given(scripts)
def test_any_script_gives_the_answers_of_the_reference_on_postgres(
    postgres_lab: PostgresLab, script: list[Step]
) -> None:
    def store() -> tuple[StoreClock, list[Backend]]:
        name = f"law{uuid.uuid4().hex[:12]}"
        clock = LabClock(postgres_lab, name, ManualClock().now_us())
        dsn = postgres_lab.dsn_with_clock(name)
        environment = ClockedEnvironment(clock)
        return clock, [PostgresBackend(dsn, environment=environment, hub=name) for _ in range(2)]

    asyncio.run(live(script, store))
