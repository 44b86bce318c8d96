"""I2, I12 and I13: what was taken from a mailbox has come to something: history tells of it, or whoever asked is answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from durable_async.model.history import (
    ActivityCompleted,
    ActivityFailed,
    EntityCallCompleted,
    EntityCallFailed,
    EntityOperation,
    EventRaised,
    HistoryEvent,
    SubOrchestrationCompleted,
    SubOrchestrationFailed,
)
from durable_async.model.records import Mail, TurnCommit
from durable_async.serialization.events import decode_letter
from durable_async.testing.simulation.violations import Violation

from ._calls import Call

_OUTCOMES = (
    ActivityCompleted,
    ActivityFailed,
    SubOrchestrationCompleted,
    SubOrchestrationFailed,
    EntityCallCompleted,
    EntityCallFailed,
)


def check_use(
    turn: TurnCommit,
    events: list[HistoryEvent],
    taken: Iterable[Mail],
    pending_before: Mapping[int, Any],
) -> None:
    """Compare the letters that an orchestration's turn has taken with the history that it wrote.

    Raises:
        Violation: A letter was taken and nothing came of it, or history tells of one that was never there.
    """
    if turn.next_execution is not None or not (turn.events or turn.consumed):
        return
    letters = [
        decode_letter(mail.instance_id, mail.letter)
        for mail in taken
        if mail.execution in {None, turn.execution}
    ]
    raised = Counter((one.name, one.payload) for one in letters if isinstance(one, EventRaised))
    recorded = Counter((one.name, one.payload) for one in events if isinstance(one, EventRaised))
    where = f"{turn.instance_id} execution {turn.execution}"
    if recorded - raised:
        raise Violation(
            "I2",
            "events that nobody sent, or not again",
            where=where,
            events=list(recorded - raised),
        )
    if turn.status is not None and turn.status.is_terminal:
        return
    if raised - recorded:
        raise Violation(
            "I12",
            "events were taken and not given to the code",
            where=where,
            events=list(raised - recorded),
        )
    answered = {getattr(event, "seq", 0) for event in events}
    for letter in letters:
        if isinstance(letter, _OUTCOMES) and letter.seq in pending_before:
            is_old = isinstance(letter, ActivityFailed)  # of an attempt that is over, perhaps
            if letter.seq not in answered and not is_old:
                raise Violation(
                    "I2", "an outcome was taken and not recorded", where=where, letter=letter
                )


def check_answers(call: Call, turn: TurnCommit, taken: Iterable[Mail]) -> None:
    """See that whoever waits for an operation that an entity has taken is answered in the same commit.

    Raises:
        Violation: Nobody will ever be.
    """
    told = {answer.request_id for answer in turn.answers}
    replies = {
        (one.instance_id, one.execution, letter.seq)
        for one in turn.outbox
        if isinstance(
            letter := decode_letter(one.instance_id, one.letter),
            (EntityCallCompleted, EntityCallFailed),
        )
    }
    in_group = {one.instance_id for one in call.turns() if turn.group and one.group == turn.group}
    for mail in taken:
        letter = decode_letter(mail.instance_id, mail.letter)
        if not isinstance(letter, EntityOperation) or mail.execution not in {None, turn.execution}:
            continue
        caller = letter.caller
        if letter.due_us > call.now_us:
            raise Violation(
                "I13", "an operation before it is due", where=turn.instance_id, letter=letter
            )
        if caller is not None:
            wanted = (caller.instance_id, caller.execution, caller.seq)
            if wanted not in replies and caller.instance_id not in in_group:
                raise Violation(
                    "I2",
                    "an operation that nobody is told of",
                    where=turn.instance_id,
                    letter=letter,
                )
        elif letter.request_id is not None and letter.request_id not in told:
            raise Violation(
                "I2", "a request that is not answered", where=turn.instance_id, letter=letter
            )
