"""What a crash of the server leaves of a worker's last fetch: the process lives on and believes what it was told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import pytest

from durable_async.backends.postgres import PostgresBackend
from durable_async.errors import BackendUnavailableError
from durable_async.model.records import Work
from durable_async.testing.conformance.driver import (
    ENTITY,
    Driver,
    bodies,
    deliver,
    entity,
    entity_turn,
    ids,
    letter,
    letters_of,
    new,
    operation,
)
from durable_async.testing.postgres import ThrowawayPostgres

from .schemas import backend

T = TypeVar("T")

PATIENCE = 60.0


class Stage:
    """A server that brings to the disk only what is waited for, a worker, and somebody elsewhere."""

    def __init__(self, server: ThrowawayPostgres) -> None:
        self._server = server
        self.here = backend(server.dsn)
        self.far = backend(server.dsn)

    async def begin(self) -> None:
        await self.here.open()
        await self.far.open()
        self.worker = await Driver.register(self.here, "worker", lease_seconds=PATIENCE)

    async def end(self) -> None:
        await self.here.close()
        await self.far.close()

    async def crash(self) -> None:
        self._server.server.stop(immediately=True)
        self._server.server.start()

    async def fetch(self) -> Work:
        return await patiently(lambda: self.worker.fetch(names=frozenset({ENTITY})))

    async def letters(self, store: PostgresBackend, key: str) -> list[bytes]:
        return await patiently(lambda: letters_of(store, entity(key)))


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until somebody answers."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await ask()
            except BackendUnavailableError:
                await asyncio.sleep(0.01)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    with ThrowawayPostgres(wal_writer_delay="10s") as server:
        one = Stage(server)
        await one.begin()
        yield one
        await one.end()


async def test_a_claim_survives_a_crash(stage: Stage) -> None:
    """Otherwise its worker, which the crash does not fence, would have it twice."""
    await deliver(stage.far, operation("a"), operation("b"))
    claimed = {one.instance_id: one for one in (await stage.fetch()).claimed}
    assert set(claimed) == {entity("a"), entity("b")}
    await stage.crash()
    assert not (await stage.fetch()).claimed
    of = claimed[entity("a")]
    taken = tuple(mail.id for mail in of.mail)
    commit = entity_turn(of, state=b"1", consumed=taken, outbox=(operation("b", b"from a"),))
    assert not (await patiently(lambda: stage.worker.commit(commit))).dropped
    assert (await stage.letters(stage.far, "b"))[1:] == [b"from a"]


async def test_letters_are_told_of_again_if_a_crash_makes_that_unheard(stage: Stage) -> None:
    await stage.far.create([new("a")])
    assert ids(await stage.worker.claim()) == ["a"]
    await deliver(stage.far, letter("a", b"hello"))
    assert bodies(await stage.worker.fetch_mail()) == [b"hello"]
    await stage.crash()
    assert bodies(await patiently(stage.worker.fetch_mail)) == [b"hello"]
