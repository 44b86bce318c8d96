"""A hub in memory whose worker is the test's own hands, and whose store counts and can misbehave."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio

from durable_async import Entity, Registry, TaskHub
from durable_async.backend import Hearing
from durable_async.backends.memory import MemoryBackend
from durable_async.errors import BackendUnavailableError
from durable_async.failure import FailureDetails
from durable_async.model.entities import EntitySnapshot
from durable_async.model.history import (
    EntityCallCompleted,
    EntityCallFailed,
    EntityOperation,
    Letter,
)
from durable_async.model.identity import EntityId
from durable_async.model.records import (
    Answer,
    ClaimedInstance,
    Delivery,
    InstanceRecord,
    Mail,
    Outgoing,
)
from durable_async.serialization.events import decode_letter, encode_letter, encode_snapshot
from durable_async.testing import VirtualEnvironment
from durable_async.testing.conformance.driver import Driver, entity_turn

registry = Registry()


@registry.entity
class Counter(Entity[int]):
    def initial_state(self) -> int:
        return 0

    def add(self, amount: int, times: int = 1) -> int:
        self.state += amount * times
        return self.state

    async def get(self) -> int:
        return self.state

    def fail(self, why: str) -> None:
        self.state = -1
        raise ValueError(why)


COUNTER = Counter.entity_id("a")


class Store(MemoryBackend):
    """Counts what it is asked, gives no hints if it is deaf, and is silent as often as it is told to be.

    Attributes:
        asked: The sizes of all calls of a verb, by its name.
        is_deaf: Whether no hint gets through.
        meanwhile: What happens between a send and its acknowledgement.
        before_reading_instances: What happens then.
        once_read: What happens after the next time that an entity or its mailbox was read.
        latency: Seconds that each send takes.
        silences: Before each of the next sends: whether it is silent ``"before"`` it takes effect, or ``"after"``; else anything.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.asked: dict[str, list[int]] = {"send": [], "read_answers": [], "read_entities": []}
        self.is_deaf = False
        self.is_silent = False
        self.latency = 0.0
        self.meanwhile: Callable[[], Awaitable[None]] | None = None
        self.before_reading_instances: Callable[[], Awaitable[None]] | None = None
        self.once_read: Callable[[], Awaitable[None]] | None = None
        self.silences: list[str] = []

    @property
    def hearing(self) -> Hearing:
        return Hearing.MOSTLY if self.is_deaf else super().hearing

    def listen(
        self,
        on_work: Callable[[], None],
        on_changed: Callable[[frozenset[str] | None], None],
        on_progress: Callable[[frozenset[str] | None], None] | None = None,
    ) -> Callable[[], None]:
        return super().listen(
            on_work, lambda changed: None if self.is_deaf else on_changed(changed)
        )

    async def send(self, letters: Sequence[Outgoing]) -> list[Delivery]:
        self._count("send", len(letters))
        step = self.silences.pop(0) if self.silences else "ok"
        if step == "before":
            raise BackendUnavailableError("not sent")
        await anyio.sleep(self.latency)
        deliveries = await super().send(letters)
        if self.meanwhile is not None:
            await self.meanwhile()
        if step == "after":
            raise BackendUnavailableError("sent, and no answer")
        return deliveries

    async def read(
        self, instance_ids: Sequence[str], *, payloads: bool
    ) -> list[InstanceRecord | None]:
        if self.before_reading_instances is not None:
            await self.before_reading_instances()
        return await super().read(instance_ids, payloads=payloads)

    async def read_answers(self, request_ids: Sequence[str]) -> list[bytes | None]:
        self._count("read_answers", len(request_ids))
        return await super().read_answers(request_ids)

    async def read_entities(self, instance_ids: Sequence[str]) -> list[Any]:
        self._count("read_entities", len(instance_ids))
        records = await super().read_entities(instance_ids)
        await self._after_reading()
        return records

    async def read_letters(self, instance_id: str, *, limit: int) -> list[Mail]:
        mail = await super().read_letters(instance_id, limit=limit)
        await self._after_reading()
        return mail

    async def _after_reading(self) -> None:
        then, self.once_read = self.once_read, None
        if then is not None:
            await then()

    def _count(self, verb: str, size: int) -> None:
        self.asked[verb].append(size)
        if self.is_silent:
            raise BackendUnavailableError("silent")


class World:
    """A hub, and the hands of its only worker."""

    def __init__(self, store: Store, hub: TaskHub, driver: Driver) -> None:
        self.store = store
        self.hub = hub
        self.client = hub.client
        self.driver = driver
        self._claimed: dict[str, ClaimedInstance] = {}

    async def letters(self, entity: EntityId = COUNTER) -> list[Letter]:
        """Return what lies in an entity's mailbox."""
        mail = await self.store.read_letters(str(entity), limit=100_000)
        return [decode_letter(one.instance_id, one.letter) for one in mail]

    async def operations(self, entity: EntityId = COUNTER) -> list[EntityOperation]:
        """Return the operations that lie in an entity's mailbox."""
        return [one for one in await self.letters(entity) if isinstance(one, EntityOperation)]

    async def carry_out(
        self, do: Callable[[EntityOperation], Any], entity: EntityId = COUNTER
    ) -> None:
        """Answer all calls in a mailbox with what ``do`` returns or raises, in one commit."""
        mail = await self.store.read_letters(str(entity), limit=100_000)
        answers = tuple(
            Answer(request_id=operation.request_id, answer=encode_letter(_outcome(do, operation)))
            for one in mail
            if isinstance(operation := decode_letter(str(entity), one.letter), EntityOperation)
            and operation.request_id is not None
        )
        await self.turn(entity, mail, answers=answers)

    async def save(self, snapshot: EntitySnapshot, entity: EntityId = COUNTER) -> None:
        """Store something of an entity, and leave its mailbox as it is."""
        await self.turn(entity, (), state=encode_snapshot(snapshot))

    async def turn(self, entity: EntityId, mail: Sequence[Mail], **fields: Any) -> None:
        """Commit a turn that takes letters."""
        for claimed in (await self.driver.fetch(names=registry.names)).claimed:
            self._claimed[claimed.instance_id] = claimed
        consumed = tuple(one.id for one in mail)
        of = self._claimed[str(entity)]
        result = await self.driver.commit(entity_turn(of, consumed=consumed, **fields))
        assert not result.dropped


def _outcome(do: Callable[[EntityOperation], Any], operation: EntityOperation) -> Letter:
    try:
        result = do(operation)
    except Exception as error:  # noqa: BLE001 - that is what may be asked for
        return EntityCallFailed(0, FailureDetails.of(error))
    return EntityCallCompleted(0, result)


@asynccontextmanager
async def opened(env: VirtualEnvironment, **options: Any) -> AsyncGenerator[World]:
    store = Store(environment=env, **options)
    async with TaskHub.open(store, registry=registry, environment=env) as hub:
        yield World(store, hub, await Driver.register(store, "hands", 1e9))
