"""What an orchestration's commands about entities become: letters to them, and the will that unlocks them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from durable_async.model.history import (
    EntityCalled,
    EntityLockRelease,
    EntityLockRequest,
    EntityLocksRequested,
    EntityOperation,
    EntitySignaled,
    Origin,
    ParentLink,
)
from durable_async.model.identity import ENTITY_MARK
from durable_async.model.records import Outgoing, Will
from durable_async.serialization.events import encode_letter


def signal(command: EntitySignaled, origin: Origin | None) -> Outgoing:
    """Return the letter of an operation that nobody waits for."""
    operation = EntityOperation(
        command.operation, command.input, due_us=command.due_us, origin=origin
    )
    return _to(command.entity_id, encode_letter(operation))


def call(command: EntityCalled, caller: ParentLink, origin: Origin | None) -> Outgoing:
    """Return the letter of an operation whose caller waits for it."""
    operation = EntityOperation(
        command.operation,
        command.input,
        caller=caller,
        section=command.section,
        origin=origin,
    )
    return _to(command.entity_id, encode_letter(operation))


def requests(command: EntityLocksRequested, holder: ParentLink) -> Iterator[Outgoing]:
    """Go through the letters that ask each entity of a set to be locked."""
    letter = encode_letter(EntityLockRequest(holder, command.hold_us))
    for entity_id in command.entity_ids:
        yield _to(entity_id, letter)


def releases(entity_ids: Sequence[str], holder: ParentLink) -> Iterator[Outgoing]:
    """Go through the letters that unlock each entity of a set; they call none into being."""
    letter = encode_letter(EntityLockRelease(holder))
    for entity_id in entity_ids:
        yield Outgoing(instance_id=entity_id, execution=None, letter=letter)


def will(entity_ids: tuple[str, ...], holder: ParentLink) -> Will:
    """Return what is to be sent if the holder ends meanwhile."""
    return Will(receivers=entity_ids, letter=encode_letter(EntityLockRelease(holder, is_will=True)))


def _to(entity_id: str, letter: bytes) -> Outgoing:
    return Outgoing(
        instance_id=entity_id,
        execution=None,
        letter=letter,
        opens=entity_id[: entity_id.index(ENTITY_MARK, 1)],
    )
