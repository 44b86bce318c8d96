"""Histories that earlier releases wrote are read: what was appended since has its default."""

from __future__ import annotations

import msgspec
import pytest

from durable_async.failure import FailureDetails
from durable_async.model.history import (
    ActivityFailed,
    HistoryEvent,
    SubOrchestrationScheduled,
)
from durable_async.model.policy import ReusePolicy
from durable_async.serialization.events import decode_events, encode_events

EARLIER: list[tuple[list[object], HistoryEvent]] = [
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
