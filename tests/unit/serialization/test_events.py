"""Histories that earlier releases wrote are read: what was appended since has its default."""

from __future__ import annotations

import msgspec
import pytest

from durable_async.errors import CorruptHistoryError
from durable_async.failure import FailureDetails
from durable_async.model.history import (
    ActivityFailed,
    EntityLockRequest,
    EntityOperation,
    ExecutionStarted,
    HistoryEvent,
    Origin,
    ParentLink,
    SubOrchestrationScheduled,
    TimerCreated,
    TimerFired,
    TurnStarted,
)
from durable_async.model.policy import ReusePolicy
from durable_async.serialization.events import (
    decode_events,
    decode_letter,
    decode_start,
    encode_events,
    encode_letter,
)

EARLIER: list[tuple[list[object], HistoryEvent]] = [
    (
        [1, "name", "v", b"1", ["p", 1, 2, 3], 4, 5],
        ExecutionStarted("name", "v", b"1", ParentLink("p", 1, 2, 3), 4, 5),
    ),
    (
        [30, 1, "child", "id", None, b"1"],
        SubOrchestrationScheduled(1, "child", "id", None, b"1", ReusePolicy.REJECT),
    ),
    (
        [12, 1, 1, ["E", "m", "s", None, True], None],
        ActivityFailed(1, 1, FailureDetails("E", "m", "s", None, True, None)),
    ),
]


@pytest.mark.parametrize(("written", "event"), EARLIER)
def test_what_earlier_releases_wrote_is_read(written: list[object], event: HistoryEvent) -> None:
    assert decode_events("i", msgspec.msgpack.encode([written])) == [event]


def test_what_was_appended_comes_back() -> None:
    events: list[HistoryEvent] = [
        SubOrchestrationScheduled(1, "child", "id", None, b"1", ReusePolicy.REPLACE_TERMINAL),
        ActivityFailed(1, 1, FailureDetails("E", "m", properties={"a": [1]})),
    ]
    assert decode_events("i", encode_events(events)) == events


def test_what_something_belongs_to_comes_back() -> None:
    started = ExecutionStarted("name", None, None, origin=Origin("00-1-2-01", 7))
    assert decode_events("i", encode_events([started])) == [started]
    operation = EntityOperation("add", None, origin=Origin(sent_at_us=7))
    assert decode_letter("e", encode_letter(operation)) == operation


@pytest.mark.parametrize("number", [2**62 + 1, 2**64 - 1, -(2**63)])
def test_numbers_that_no_store_can_hold_are_damage(number: int) -> None:
    """They would come out of a damaged row and stop whatever is written together with what follows from them."""
    holder = ParentLink("i", 1, 1)
    for data in (
        encode_letter(EntityLockRequest(holder, number)),
        encode_letter(EntityOperation("add", None, due_us=number)),
        encode_letter(EntityLockRequest(ParentLink("i", number, 1))),
    ):
        with pytest.raises(CorruptHistoryError):
            decode_letter("i", data)
    for event in (TimerCreated(1, number), TimerFired(number), TurnStarted(number)):
        with pytest.raises(CorruptHistoryError):
            decode_events("i", encode_events([event]))


@pytest.mark.parametrize("events", [[], [TimerFired(1)]])
def test_what_does_not_begin_with_a_start_is_no_start(events: list[HistoryEvent]) -> None:
    with pytest.raises(CorruptHistoryError, match="does not begin with ExecutionStarted"):
        decode_start("i", encode_events(events))
