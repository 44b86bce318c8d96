"""A store in memory whose calls an inspector follows, and hands that break its rows."""

from __future__ import annotations

import asyncio
from typing import Any

from durable_async.backends.memory import MemoryBackend
from durable_async.backends.memory.rows import Instance
from durable_async.backends.memory.store import MemoryStore
from durable_async.model.history import (
    EntityLockRequest,
    EntityOperation,
    ExecutionStarted,
    HistoryEvent,
    Letter,
    ParentLink,
    TurnStarted,
)
from durable_async.model.records import (
    CommitItem,
    CommitResult,
    Fence,
    NewInstance,
    Outgoing,
    TurnCommit,
)
from durable_async.serialization.events import encode_events, encode_letter
from durable_async.testing.simulation.invariants import Inspector
from durable_async.worker import WorkerSettings

NOW_US = 1_000_000_000


class Clock:
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.us = NOW_US

    def now_us(self) -> int:
        return self.us


class Story:
    """One worker and its calls, each of which the inspector sees."""

    def __init__(self, **settings: Any) -> None:
        self.clock = Clock()
        self.store = MemoryStore(self.clock)
        self.hub = self.store.hub("default")
        self.backend = MemoryBackend(self.store)
        self.inspector = Inspector(
            self.store.now_us, WorkerSettings(**settings), self.backend.letters_max, self.hub
        )
        self.fence = Fence(worker_id="", epoch=0, seq=0)
        self.fetches = 0
        asyncio.run(self.backend.open())
        self.call("register_worker", "w", 60.0)

    def call(self, verb: str, *args: Any, **options: Any) -> Any:
        answer = asyncio.run(self._ask(verb, args, options))
        if verb == "register_worker":
            self.fence = answer
        elif verb == "commit":
            self.fence = answer.fence
        self.inspector.applied("w1", verb, args, options, answer)
        return answer

    async def _ask(self, verb: str, args: Any, options: Any) -> Any:
        self.backend._loop = asyncio.get_running_loop()
        return await getattr(self.backend, verb)(*args, **options)

    # -- what happens

    def start(self, instance_id: str = "i", **more: Any) -> None:
        self.call("create", [new(instance_id, **more)])

    def fetch(self) -> Any:
        self.fetches += 1
        return self.call(
            "fetch",
            self.fence,
            number=self.fetches,
            instances=10,
            activities=10,
            names=None,
            activity_names=None,
            history_bytes_max=1 << 20,
        )

    def commit(self, *items: CommitItem) -> CommitResult:
        result: CommitResult = self.call("commit", self.fence, list(items))
        return result

    def send(self, instance_id: str, letter: Letter, **more: Any) -> None:
        self.call("send", [to(instance_id, letter, **more)])

    def row(self, instance_id: str = "i") -> Instance:
        return self.hub.instances[instance_id]


def begun(*events: HistoryEvent, turn: int = 1, instance_id: str = "i", **more: Any) -> TurnCommit:
    """Make a turn of some events."""
    return TurnCommit(
        instance_id=instance_id,
        execution=more.pop("execution", 1),
        turn=turn,
        events=encode_events([TurnStarted(more.pop("at_us", NOW_US)), *events]),
        **more,
    )


def new(instance_id: str, **more: Any) -> NewInstance:
    name = more.pop("name", "chain")
    started = ExecutionStarted(name, None, None, more.get("parent"))
    return NewInstance(
        instance_id=instance_id,
        name=name,
        version=None,
        events=encode_events([started]),
        created_at_us=NOW_US,
        **more,
    )


def to(instance_id: str, letter: Letter, **more: Any) -> Outgoing:
    return Outgoing(
        instance_id=instance_id,
        execution=more.pop("execution", None),
        letter=encode_letter(letter),
        **more,
    )


def asks(holder: str, seq: int = 1) -> EntityLockRequest:
    return EntityLockRequest(ParentLink(holder, 1, seq))


def operation(**more: Any) -> EntityOperation:
    return EntityOperation("add", b"[1]", **more)
