"""The fold of an entity: what its turn came to becomes one commit.

A function of values; it runs no user code and touches no store.
"""

from __future__ import annotations

from durable_async._kernel.entities import (
    EntityInstance,
    EntitySignal,
    EntityTurn,
    OrchestrationStart,
)
from durable_async.model.history import ExecutionStarted, Letter, ParentLink
from durable_async.model.policy import ReusePolicy
from durable_async.model.records import Answer, NewInstance, Outgoing, TurnCommit
from durable_async.serialization.events import encode_events, encode_letter, encode_snapshot


def fold_entity(instance: EntityInstance, turn: EntityTurn, *, now_us: int) -> TurnCommit:
    """Return the commit of an entity's turn: letters consumed, and what came of them; no history.

    Args:
        instance: The entity.
        turn: What ``finish`` returned.
        now_us: The store's clock.
    """
    return TurnCommit(
        instance_id=instance.instance_id,
        execution=instance.execution,
        turn=0,
        events=b"",
        consumed=turn.consumed,
        state=None if turn.snapshot is None else encode_snapshot(turn.snapshot),
        outbox=(*map(_reply, turn.replies), *map(_signal, turn.signals)),
        answers=tuple(map(_answer, turn.answers)),
        children=tuple([_start(start, now_us) for start in turn.starts]) if turn.starts else (),
    )


def _reply(reply: tuple[ParentLink, Letter]) -> Outgoing:
    asker, letter = reply
    return Outgoing(
        instance_id=asker.instance_id, execution=asker.execution, letter=encode_letter(letter)
    )


def _answer(answer: tuple[str, Letter]) -> Answer:
    request_id, letter = answer
    return Answer(request_id=request_id, answer=encode_letter(letter))


def _signal(signal: EntitySignal) -> Outgoing:
    return Outgoing(
        instance_id=signal.entity_id,
        execution=None,
        letter=encode_letter(signal.operation),
        opens=signal.stored_name,
    )


def _start(start: OrchestrationStart, now_us: int) -> NewInstance:
    started = ExecutionStarted(
        start.name, start.version, start.input, None, start.start_at_us, origin=start.origin
    )
    return NewInstance(
        instance_id=start.instance_id,
        name=start.name,
        version=start.version,
        events=encode_events([started]),
        created_at_us=now_us,
        start_at_us=start.start_at_us,
        tags=start.tags,
        reuse=ReusePolicy.REPLACE_TERMINAL,
    )
