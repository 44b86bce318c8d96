"""What the entities of workloads say beside their answers: which operation this is, and where it stands among all that took effect."""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from typing import Any

import msgspec

from durable_async import EntityId, EntityOperationFailedError, FailureDetails, TaskHub
from durable_async.testing.simulation.linearizability import Call, Refusal
from durable_async.testing.simulation.violations import Violation


class Told(msgspec.Struct):
    """What an operation says.

    Attributes:
        id: Its id.
        place: How many operations took effect up to this one; ``None`` if the engine spoke in its place.
        value: Its answer.
        refused: Why it did nothing; empty if it did something.
    """

    id: str
    place: int | None
    value: Any = None
    refused: str = ""


class RefusedError(Exception):
    """Raised by an operation that does nothing."""

    def __init__(self, id: str, place: int, why: str) -> None:
        super().__init__(f"{id} {place} {why}")


def told_by(id: str, failure: FailureDetails) -> Told:
    """Return what a failure tells of an operation: its own refusal, or that the engine did not carry it out."""
    if not failure.is_type("RefusedError"):
        return Told(id, None, refused=failure.error_type.rpartition(".")[2])
    said, place, why = failure.message.split(" ", 2)
    return Told(said, int(place), refused=why)


async def answer(id: str, call: Awaitable[Told]) -> Told:
    """Return what a call comes to, also if it is refused."""
    try:
        return await call
    except EntityOperationFailedError as error:
        return told_by(id, error.failure)


def answer_in_steps(id: str, call: Any) -> Generator[Any, Any, Told]:
    """Do the same in a generator."""
    try:
        told: Told = yield call
    except EntityOperationFailedError as error:
        return told_by(id, error.failure)
    return told


def hear(call: Call, told: Told, ended: float) -> None:
    """Note what was told of a call.

    Raises:
        Violation: It is the answer to another one.
    """
    if told.id != call.id:
        raise Violation("I7", "a call got the answer to another one", where=call.id, told=told)
    call.is_certain = True
    call.ended = call.accepted = ended
    call.place = told.place
    call.is_rejected = bool(told.refused) and told.place is None
    call.answer = Refusal(told.refused) if told.refused else told.value


async def check_unlocked(hub: TaskHub, where: EntityId) -> None:
    """Check that nobody holds an entity any more, or waits for it.

    Raises:
        Violation: I10.
    """
    locks = await hub.client.entity_locks(where)
    if locks.held_by or locks.waiting:
        raise Violation("I10", "a lock was left behind", where=str(where), locks=locks)


async def check_clean(hub: TaskHub) -> None:
    """Check that no lock has lost its holder.

    Raises:
        Violation: I10.
    """
    cleaned = await hub.client.clean_entities(discard=False)
    if cleaned.orphaned_locks:
        what = "locks outlived their holders"
        raise Violation("I10", what, orphaned=cleaned.orphaned_locks)
