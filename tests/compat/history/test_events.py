"""The event classes: names, fields, and what becomes of them as plain values."""

from __future__ import annotations

import dataclasses
import json
import typing
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import pytest

from durabletask import history
from durabletask.task import FailureDetails

AT = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
KINDS = [
    value
    for name, value in vars(history).items()
    if isinstance(value, type) and issubclass(value, history.HistoryEvent)
]


class Shade(Enum):
    RED = "red"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_event_has_an_id_and_a_time_and_becomes_json(kind: type[history.HistoryEvent]):
    fields = dataclasses.fields(kind)
    assert [field.name for field in fields[:2]] == ["event_id", "timestamp"]
    required: dict[str, Any] = {
        field.name: {} if field.name == "orchestration_state" else "x"
        for field in fields[2:]
        if field.default is dataclasses.MISSING
    }
    event = kind(3, AT, **required)
    plain = event.to_dict()
    assert list(plain) == [field.name for field in fields]
    assert (plain["event_id"], plain["timestamp"]) == (3, "2026-01-02T03:04:05.000006+00:00")
    assert history.to_dict(event) == plain == json.loads(json.dumps(plain))


def test_there_are_28_kinds_beside_their_base():
    assert len(KINDS) == 28 + 1
    assert {kind.__name__ for kind in KINDS} <= set(history.__all__)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_annotations_can_be_looked_up(kind: type[history.HistoryEvent]):
    assert typing.get_type_hints(kind)["timestamp"] is datetime


def test_events_are_equal_by_value_and_have_no_room_for_more():
    event = history.TimerFiredEvent(-1, AT, AT, 2)
    assert event == history.TimerFiredEvent(-1, AT, fire_at=AT, timer_id=2)
    assert not hasattr(event, "__dict__")


def test_what_is_within_becomes_plain_as_well():
    failure = FailureDetails(
        "no", "builtins.ValueError", None, FailureDetails("why", "x.Y", "at z"), {"at": AT}
    )
    event = history.ExecutionCompletedEvent(-1, AT, 3, failure_details=failure)
    assert event.to_dict()["failure_details"] == {
        "message": "no",
        "error_type": "builtins.ValueError",
        "stack_trace": None,
        "inner_failure": {
            "message": "why",
            "error_type": "x.Y",
            "stack_trace": "at z",
            "inner_failure": None,
            "properties": None,
        },
        "properties": {"at": AT.isoformat()},
    }
    started = history.ExecutionStartedEvent(
        -1, AT, "order", orchestration_instance=history.OrchestrationInstance("o1", "1")
    )
    assert started.to_dict()["orchestration_instance"] == {
        "instance_id": "o1",
        "execution_id": "1",
    }


def test_values_of_any_kind_within_a_state_become_plain():
    state = {"at": (AT, [AT]), "shade": Shade.RED, 1: {2}, "odd": 1j}
    plain = history.HistoryStateEvent(-1, AT, state).to_dict()["orchestration_state"]  # type: ignore[arg-type]
    iso = AT.isoformat()
    assert plain == {"at": [iso, [iso]], "shade": "red", "1": [2], "odd": "1j"}
