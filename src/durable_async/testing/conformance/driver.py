"""Short ways to say what a worker and a client do, for the suite's own use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import anyio.to_thread

from durable_async.backend import Backend
from durable_async.model.policy import ReusePolicy
from durable_async.model.records import (
    ClaimedInstance,
    CommitItem,
    CommitResult,
    Delivery,
    EntityRecord,
    Fence,
    InstanceRecord,
    Mail,
    NewInstance,
    Outgoing,
    QueuedActivity,
    Release,
    StartOutcome,
    TurnCommit,
    Work,
)

SECOND_US = 1_000_000
ORCHESTRATOR = "checkout"
ENTITY = "@counter"
ACTIVITY = "charge"
EVERY_BYTE = bytes(range(256))

HOSTILE_IDS = (
    "it's",
    'say "hi"',
    "'; delete from instances; --",
    "100%_done\\",
    "{}$1?:name",
    " spaces around ",
    "\N{PARTY POPPER} party \N{FAMILY}",
    "\N{RIGHT-TO-LEFT OVERRIDE}gnihton",
    "caf\N{LATIN SMALL LETTER E WITH ACUTE}",
    "cafe\N{COMBINING ACUTE ACCENT}",
    "UPPER",
    "upper",
    "\N{LATIN SMALL LETTER SHARP S}",
    "x" * 256,
    "\N{LATIN SMALL LETTER E WITH ACUTE}" * 256,
)
"""Ids that a careless store confuses, cuts or executes; all are valid and all differ."""

IN_BYTE_ORDER = ("B", "a", "\xe9", "\u65e5", "\uffee", "\U0001f389")
"""Ids in the order of their UTF-8 bytes, which is neither a dictionary's nor UTF-16's."""


def new(instance_id: str, *, name: str = ORCHESTRATOR, **fields: Any) -> NewInstance:
    """Describe an instance to create."""
    fields.setdefault("events", b"started " + instance_id.encode())
    fields.setdefault("created_at_us", 1_700_000_000 * SECOND_US)
    fields.setdefault("version", None)
    return NewInstance(instance_id=instance_id, name=name, **fields)


def letter(instance_id: str, body: bytes = b"hello", **fields: Any) -> Outgoing:
    """Describe a letter, for whichever execution is current unless told."""
    fields.setdefault("execution", None)
    return Outgoing(instance_id=instance_id, letter=body, **fields)


def entity(key: str, name: str = ENTITY) -> str:
    """Return the id of an entity."""
    return f"{name}@{key}"


def operation(
    key: str, body: bytes = b"add", *, name: str = ENTITY, request_id: str | None = None
) -> Outgoing:
    """Describe a letter to an entity, which opens it if need be."""
    return letter(entity(key, name), body, opens=name, request_id=request_id)


def turn(of: ClaimedInstance, number: int = 1, **fields: Any) -> TurnCommit:
    """Describe a turn of a claimed instance."""
    fields.setdefault("events", b"turn %d" % number)
    fields.setdefault("execution", of.execution)
    return TurnCommit(instance_id=of.instance_id, turn=number, **fields)


def entity_turn(of: ClaimedInstance, **fields: Any) -> TurnCommit:
    """Describe a turn of a claimed entity: it writes no history."""
    return turn(of, events=b"", **fields)


def queued(of: ClaimedInstance, seq: int = 1, **fields: Any) -> QueuedActivity:
    """Describe an activity that a claimed instance puts into the queue."""
    fields.setdefault("name", ACTIVITY)
    fields.setdefault("attempt", 1)
    fields.setdefault("input", b"input %d" % seq)
    return QueuedActivity(instance_id=of.instance_id, execution=of.execution, seq=seq, **fields)


def release(
    instance_id: str, seen: Iterable[Mail] = (), *, wake_at_us: int | None = None
) -> Release:
    """Describe letting an instance go after having seen some letters."""
    return Release(
        instance_id=instance_id, wake_at_us=wake_at_us, seen=tuple(mail.id for mail in seen)
    )


def bodies(mail: Iterable[Mail]) -> list[bytes]:
    """Return what the letters say, in their order."""
    return [one.letter for one in mail]


def ids(things: Iterable[Any]) -> list[str]:
    """Return the instance ids of claims, records or letters."""
    return [thing.instance_id for thing in things]


async def start(backend: Backend, *instance_ids: str, **fields: Any) -> list[StartOutcome]:
    """Create instances of these ids."""
    return await backend.create([new(instance_id, **fields) for instance_id in instance_ids])


async def restart(backend: Backend, instance_id: str, policy: ReusePolicy) -> StartOutcome:
    """Start an id again."""
    [outcome] = await backend.create([new(instance_id, events=b"again", reuse=policy)])
    return outcome


async def deliver(backend: Backend, *letters: Outgoing) -> None:
    """Send letters that must arrive."""
    assert await backend.send(letters) == [Delivery.DELIVERED] * len(letters)


async def read_one(backend: Backend, instance_id: str) -> InstanceRecord:
    """Read an instance that must be there, with payloads."""
    [record] = await backend.read([instance_id], payloads=True)
    assert record is not None
    return record


async def read_entity(backend: Backend, key: str, name: str = ENTITY) -> EntityRecord:
    """Read an entity that must be there."""
    [record] = await backend.read_entities([entity(key, name)])
    assert record is not None
    return record


async def letters_of(backend: Backend, instance_id: str) -> list[bytes]:
    """Read what the letters in a mailbox say."""
    return bodies(await backend.read_letters(instance_id, limit=1000))


async def history_of(
    backend: Backend, instance_id: str, execution: int | None = None
) -> list[tuple[int, bytes]]:
    """Read a whole history as pairs of turn and events."""
    page = await backend.read_history(instance_id, execution=execution, bytes_max=1_000_000)
    assert not page.more
    return [(row.turn, row.events) for row in page.rows]


class Driver:
    """A worker in the suite's hands: it keeps the fence that its last commit returned.

    Attributes:
        backend: What it works on.
        fence: Its fence now.
    """

    def __init__(self, backend: Backend, fence: Fence) -> None:
        self.backend = backend
        self.fence = fence
        self.fetches = 0

    @classmethod
    async def register(
        cls, backend: Backend, worker_id: str, lease_seconds: float = 30.0
    ) -> Driver:
        """Announce a new worker."""
        return cls(backend, await backend.register_worker(worker_id, lease_seconds))

    async def fetch(self, **quotas: Any) -> Work:
        """Fetch, by default up to a hundred instances of the suite's orchestrator and entity, and no activities."""
        quotas.setdefault("instances", 100)
        quotas.setdefault("activities", 0)
        quotas.setdefault("names", frozenset({ORCHESTRATOR, ENTITY}))
        quotas.setdefault("activity_names", frozenset({ACTIVITY}))
        quotas.setdefault("history_bytes_max", 1_000_000)
        self.fetches += 1
        quotas.setdefault("number", self.fetches)
        return await self.backend.fetch(self.fence, **quotas)

    async def claim(self, instances: int = 100) -> tuple[ClaimedInstance, ...]:
        """Claim what is ready."""
        return (await self.fetch(instances=instances)).claimed

    async def claim_one(self) -> ClaimedInstance:
        """Claim the only instance that is ready."""
        [claimed] = await self.claim()
        return claimed

    async def fetch_mail(self) -> tuple[Mail, ...]:
        """Collect letters of what is owned, claiming nothing."""
        return (await self.fetch(instances=0)).mail

    async def fetch_activities(self, activities: int = 100) -> Work:
        """Claim queued activities and no instances."""
        return await self.fetch(instances=0, activities=activities)

    async def commit(self, *items: CommitItem) -> CommitResult:
        """Commit and go on with the new fence."""
        result = await self.backend.commit(self.fence, items)
        self.fence = result.fence
        return result

    async def renew(self, lease_seconds: float = 30.0) -> None:
        """Renew the lease from another thread, as workers do."""
        await anyio.to_thread.run_sync(self.backend.renew_lease, self.fence, lease_seconds)

    async def start(self, instance_id: str, **fields: Any) -> ClaimedInstance:
        """Create an instance and claim it."""
        await start(self.backend, instance_id, **fields)
        return await self.claim_one()

    async def open(self, key: str, *bodies: bytes) -> ClaimedInstance:
        """Open an entity with these letters, or one, and claim it."""
        await deliver(self.backend, *[operation(key, body) for body in bodies or (b"add",)])
        [claimed] = (await self.fetch(names=frozenset({ENTITY}))).claimed
        return claimed

    async def restate(self, claimed: ClaimedInstance, **changes: Any) -> None:
        """Commit a turn of a claimed instance, which must be written."""
        result = await self.commit(turn(claimed, **changes))
        assert result.dropped == frozenset()
