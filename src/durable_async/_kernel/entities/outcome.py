"""What came of an operation, and of a turn of an entity."""

from __future__ import annotations

import msgspec

from durable_async.failure import FailureDetails
from durable_async.model.entities import EntitySnapshot
from durable_async.model.history import EntityOperation, Letter, Origin, ParentLink


class _Value(msgspec.Struct, frozen=True, gc=False):
    pass


class EntitySignal(_Value, frozen=True, gc=False):
    """Let another entity do something; nobody waits for it.

    Attributes:
        entity_id: The other entity, as ``@name@key``.
        stored_name: What begins under that id, if nothing has it: ``@name``.
    """

    entity_id: str
    stored_name: str
    operation: EntityOperation


class OrchestrationStart(_Value, frozen=True, gc=False):
    """Begin an orchestration, unless one of that id is running.

    Attributes:
        start_at_us: Not before this time; 0 for at once.
    """

    instance_id: str
    name: str
    version: str | None
    input: bytes | None
    origin: Origin | None = None
    tags: dict[str, str] = {}
    start_at_us: int = 0


class OperationOutcome(_Value, frozen=True, gc=False):
    """What came of one operation. Of one that failed, only the failure counts.

    Attributes:
        result: What it returned, encoded.
        failure: Why it failed, or ``None``.
        state: The entity's state after it; ``None`` for no state.
        signals: In the order in which the code made them.
        starts: In the order in which the code made them.
    """

    result: bytes | None = None
    failure: FailureDetails | None = None
    state: bytes | None = None
    signals: tuple[EntitySignal, ...] = ()
    starts: tuple[OrchestrationStart, ...] = ()


class EntityTurn(_Value, frozen=True, gc=False):
    """What a turn leads to, each in the order in which it came about.

    Attributes:
        consumed: Ids of the letters that it took.
        snapshot: The entity after it, or ``None`` if that is as before.
        replies: For orchestrations: whose operation it answers, and the letter.
        answers: For clients: the id of the request, and the letter.
    """

    consumed: tuple[int, ...] = ()
    snapshot: EntitySnapshot | None = None
    replies: tuple[tuple[ParentLink, Letter], ...] = ()
    answers: tuple[tuple[str, Letter], ...] = ()
    signals: tuple[EntitySignal, ...] = ()
    starts: tuple[OrchestrationStart, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing happened."""
        return self == _NOTHING


_NOTHING = EntityTurn()
