"""I2, I12 and I13: what was taken from a mailbox has come to something: history tells of it, or whoever asked is answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from durable_async.model.history import (
    ActivityCompleted,
    ActivityFailed,
    EntityCallCompleted,
    EntityCallFailed,
    EntityOperation,
    EventRaised,
    HistoryEvent,
    Letter,
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
    where = f"{turn.instance_id} execution {turn.execution}"
    is_over = turn.status is not None and turn.status.is_terminal
    _check_events(letters, events, where, is_over=is_over)
    if not is_over:
        _check_outcomes(letters, events, where, pending_before)


def _check_events(
    letters: Sequence[Letter], events: Sequence[HistoryEvent], where: str, *, is_over: bool
) -> None:
    """See that what was raised is what was recorded; code that has ended may leave some."""
    raised = Counter((one.name, one.payload) for one in letters if isinstance(one, EventRaised))
    recorded = Counter((one.name, one.payload) for one in events if isinstance(one, EventRaised))
    if invented := list(recorded - raised):
        what = "events that nobody sent, or not again"
        raise Violation("I2", what, where=where, events=invented)
    if not is_over and (lost := list(raised - recorded)):
        what = "events were taken and not given to the code"
        raise Violation("I12", what, where=where, events=lost)


def _check_outcomes(
    letters: Sequence[Letter],
    events: Sequence[HistoryEvent],
    where: str,
    pending_before: Mapping[int, Any],
) -> None:
    """See that outcomes of what was pending are recorded, but for failures, which may be of an attempt that is over."""
    answered = {getattr(event, "seq", 0) for event in events}
    for letter in letters:
        if not isinstance(letter, _OUTCOMES) or isinstance(letter, ActivityFailed):
            continue
        if letter.seq in pending_before and letter.seq not in answered:
            what = "an outcome was taken and not recorded"
            raise Violation("I2", what, where=where, letter=letter)


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
        if letter.due_us > call.now_us:
            what = "an operation before it is due"
            raise Violation("I13", what, where=turn.instance_id, letter=letter)
        caller = letter.caller
        if caller is not None:
            wanted = (caller.instance_id, caller.execution, caller.seq)
            if wanted not in replies and caller.instance_id not in in_group:
                what = "an operation that nobody is told of"
                raise Violation("I2", what, where=turn.instance_id, letter=letter)
        elif letter.request_id is not None and letter.request_id not in told:
            what = "a request that is not answered"
            raise Violation("I2", what, where=turn.instance_id, letter=letter)
