"""What schedules are made of, as values: what is stored and sent is as the SDK has it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from durabletask.scheduled import (
    ScheduleClientValidationError,
    ScheduleCreationOptions,
    ScheduleDescription,
    ScheduledTaskClient,
    ScheduleError,
    ScheduleInvalidTransitionError,
    ScheduleNotFoundError,
    ScheduleQuery,
    ScheduleStatus,
    ScheduleUpdateOptions,
)
from durabletask.scheduled.models import ScheduleConfiguration, ScheduleState
from durabletask.scheduled.schedule_entity import next_run
from durabletask.scheduled.timespans import span_of_text, span_to_text
from durabletask.scheduled.transitions import (
    CREATE_SCHEDULE,
    PAUSE_SCHEDULE,
    RESUME_SCHEDULE,
    UPDATE_SCHEDULE,
    is_valid_transition,
)
from durabletask.serialization import JsonDataConverter

NAIVE = datetime(2026, 1, 2, 3, 4, 5, 678901)
AWARE = NAIVE.replace(tzinfo=timezone(timedelta(hours=2)))
HOUR = timedelta(hours=1)
NEW, ACTIVE, PAUSED = ScheduleStatus


def full() -> ScheduleCreationOptions:
    return ScheduleCreationOptions(
        "s",
        "o",
        timedelta(days=1, hours=2, minutes=3, seconds=4, microseconds=567),
        orchestration_input={"a": 1},
        orchestration_instance_id="inst",
        start_at=NAIVE,
        end_at=NAIVE + timedelta(days=1),
        start_immediately_if_late=True,
    )


def test_options_are_sent_as_the_sdk_sends_them() -> None:
    sent = full().to_json()
    assert sent == {
        "schedule_id": "s",
        "orchestration_name": "o",
        "interval_seconds": 93784.000567,
        "orchestration_input": {"a": 1},
        "orchestration_instance_id": "inst",
        "start_at": "2026-01-02T03:04:05.678901",
        "end_at": "2026-01-03T03:04:05.678901",
        "start_immediately_if_late": True,
    }
    assert ScheduleCreationOptions.from_json(sent) == full()
    text = JsonDataConverter().serialize(full())
    assert JsonDataConverter().deserialize(text, ScheduleCreationOptions) == full()
    with pytest.raises(KeyError):
        ScheduleCreationOptions.from_json({"schedule_id": "s", "orchestration_name": "o"})


def test_changes_are_sent_as_the_sdk_sends_them() -> None:
    nothing = ScheduleUpdateOptions()
    assert set(nothing.to_json().values()) == {None}
    assert ScheduleUpdateOptions.from_json({}) == nothing
    changes = ScheduleUpdateOptions("n", [1], "i", NAIVE, AWARE, 30 * HOUR, False)
    assert changes.to_json() == {
        "orchestration_name": "n",
        "orchestration_input": [1],
        "orchestration_instance_id": "i",
        "start_at": "2026-01-02T03:04:05.678901",
        "end_at": "2026-01-02T03:04:05.678901+02:00",
        "interval_seconds": 108000.0,
        "start_immediately_if_late": False,
    }
    assert ScheduleUpdateOptions.from_json(changes.to_json()) == changes


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"schedule_id": ""}, ValueError),
        ({"orchestration_name": ""}, ValueError),
        ({"interval": timedelta(seconds=0.5)}, ValueError),
        ({"interval": timedelta(0)}, ValueError),
        ({"interval": -HOUR}, ValueError),
        ({"interval": 60}, TypeError),
    ],
)
def test_options_that_cannot_be(changed: dict[str, Any], error: type[Exception]) -> None:
    given: dict[str, Any] = {"schedule_id": "s", "orchestration_name": "o", "interval": HOUR}
    with pytest.raises(error, match=next(iter(changed))):
        ScheduleCreationOptions(**{**given, **changed})
    if "interval" in changed:
        with pytest.raises(error, match="interval"):
            ScheduleUpdateOptions(**changed)


def test_a_state_is_stored_as_the_sdk_stores_it() -> None:
    state = ScheduleState()
    state.status, state.execution_token = ACTIVE, "token"
    state.last_run_at = NAIVE.replace(tzinfo=UTC)
    state.next_run_at = state.schedule_created_at = AWARE
    assert state.to_description() == ScheduleDescription("", status=ACTIVE)
    state.schedule_configuration = ScheduleConfiguration.from_create_options(full())
    stored = state.to_json()
    assert stored == {
        "Status": 1,
        "ExecutionToken": "token",
        "LastRunAt": "2026-01-02T03:04:05.678901+00:00",
        "NextRunAt": "2026-01-02T03:04:05.678901+02:00",
        "ScheduleCreatedAt": "2026-01-02T03:04:05.678901+02:00",
        "ScheduleLastModifiedAt": None,
        "ScheduleConfiguration": {
            "ScheduleId": "s",
            "OrchestrationName": "o",
            "Interval": "1.02:03:04.0005670",
            "OrchestrationInput": '{"a": 1}',
            "OrchestrationInstanceId": "inst",
            "StartAt": "2026-01-02T03:04:05.678901",
            "EndAt": "2026-01-03T03:04:05.678901",
            "StartImmediatelyIfLate": True,
        },
    }
    assert ScheduleState.from_json(stored) == state
    text = JsonDataConverter().serialize(state)
    assert JsonDataConverter().deserialize(text, ScheduleState) == state
    description = state.to_description()
    assert (description.schedule_id, description.interval) == ("s", full().interval)
    assert (description.status, description.next_run_at) == (ACTIVE, AWARE)


def test_a_state_that_says_nothing() -> None:
    empty = ScheduleState.from_json({})
    assert (empty.status, empty.schedule_configuration) == (NEW, None)
    assert len(empty.execution_token) == 32
    with pytest.raises(ValueError, match="says nothing"):
        next_run(empty, AWARE)


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(seconds=5), "00:00:05"),
        (timedelta(minutes=90), "01:30:00"),
        (timedelta(days=1), "1.00:00:00"),
        (timedelta(milliseconds=1500), "00:00:01.5000000"),
        (timedelta(days=400, microseconds=1), "400.00:00:00.0000010"),
    ],
)
def test_durations_are_those_of_dotnet(span: timedelta, text: str) -> None:
    assert span_to_text(span) == text
    assert span_of_text(text) == span


def test_other_texts_of_durations() -> None:
    assert span_of_text(" 0:00:01.5 ") == timedelta(seconds=1.5)
    for bad in ("", "5", "-00:00:01", "1:2", "x"):
        with pytest.raises(ValueError, match="duration"):
            span_of_text(bad)


@pytest.mark.parametrize(
    ("value", "status"),
    [
        *[(0, NEW), (1, ACTIVE), (2, PAUSED), (7, NEW), (-1, NEW), (True, NEW), (None, NEW)],
        *[("Active", ACTIVE), (" paused ", PAUSED), ("1", ACTIVE), ("unknown", NEW), ([], NEW)],
    ],
)
def test_a_status_is_a_number_or_a_name(value: Any, status: ScheduleStatus) -> None:
    assert ScheduleStatus.from_dotnet(value) is status
    assert ScheduleStatus.from_dotnet(status.to_dotnet_ordinal()) is status
    assert ScheduleStatus.ACTIVE == "Active"  # type: ignore[comparison-overlap]


def test_which_transitions_there_are() -> None:
    valid = {
        (operation, one, other)
        for operation in (CREATE_SCHEDULE, UPDATE_SCHEDULE, PAUSE_SCHEDULE, RESUME_SCHEDULE)
        for one in ScheduleStatus
        for other in ScheduleStatus
        if is_valid_transition(operation, one, other)
    }
    assert valid == {
        (CREATE_SCHEDULE, NEW, ACTIVE),
        (CREATE_SCHEDULE, ACTIVE, ACTIVE),
        (CREATE_SCHEDULE, PAUSED, ACTIVE),
        (UPDATE_SCHEDULE, ACTIVE, ACTIVE),
        (UPDATE_SCHEDULE, PAUSED, PAUSED),
        (PAUSE_SCHEDULE, ACTIVE, PAUSED),
        (RESUME_SCHEDULE, PAUSED, ACTIVE),
    }
    assert not is_valid_transition("another", ACTIVE, ACTIVE)


def test_errors_say_of_which_schedule() -> None:
    error = ScheduleInvalidTransitionError("s", PAUSED, "other", "pause_schedule")
    assert str(error) == "schedule 's' is Paused: pause_schedule cannot make it other"
    assert (error.schedule_id, error.from_status, error.to_status, error.operation_name) == (
        "s",
        PAUSED,
        "other",
        "pause_schedule",
    )
    assert ScheduleNotFoundError("s").schedule_id == "s"
    assert str(ScheduleClientValidationError("s", "no")) == "schedule 's': no"
    for kind in (
        ScheduleInvalidTransitionError,
        ScheduleNotFoundError,
        ScheduleClientValidationError,
    ):
        assert issubclass(kind, ScheduleError)


def test_conditions_on_when_it_was_created_leave_the_bounds_out() -> None:
    state = ScheduleState()
    state.status, state.schedule_created_at = ACTIVE, NAIVE  # a naive time is UTC
    utc, matches = NAIVE.replace(tzinfo=UTC), ScheduledTaskClient.matches_filter
    assert matches(state, None)
    assert matches(state, ScheduleQuery(created_from=NAIVE - HOUR, created_to=utc + HOUR))
    for query in (
        ScheduleQuery(created_from=NAIVE),
        ScheduleQuery(created_to=utc),
        ScheduleQuery(status=PAUSED),
    ):
        assert not matches(state, query)
    assert not matches(ScheduleState(), ScheduleQuery(created_to=utc))
    assert ScheduleQuery.DEFAULT_PAGE_SIZE == 100
