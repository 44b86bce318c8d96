"""Options, configurations and states of export jobs, and what is stored of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from durabletask.client import OrchestrationStatus
from durabletask.extensions.history_export import (
    ExportCheckpoint,
    ExportDestination,
    ExportFailure,
    ExportFilter,
    ExportFormat,
    ExportFormatKind,
    ExportJobConfiguration,
    ExportJobCreationOptions,
    ExportJobDescription,
    ExportJobError,
    ExportJobInvalidTransitionError,
    ExportJobNotFoundError,
    ExportJobState,
    ExportJobStatus,
    ExportMode,
    orchestrator_instance_id_for,
)
from durabletask.extensions.history_export.transitions import (
    TRANSITIONS,
    assert_valid_transition,
    is_valid_transition,
)

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
DAY = timedelta(days=1)
BOX = ExportDestination("box")


def options(**changes: Any) -> ExportJobCreationOptions:
    given: dict[str, Any] = {
        "mode": ExportMode.BATCH,
        "completed_time_from": AT,
        "completed_time_to": AT + DAY,
        "destination": BOX,
    }
    return ExportJobCreationOptions(**{**given, **changes})


STORED = {
    "schema_version": "1.0",
    "status": "Active",
    "config": {
        "mode": "Batch",
        "filter": {
            "completed_time_from": "2026-01-02T03:04:05.678901+00:00",
            "completed_time_to": "2026-01-03T03:04:05.678901+00:00",
            "runtime_status": [3],
        },
        "destination": {"container": "box", "prefix": None},
        "format": {"kind": "JsonlGzip", "schema_version": "1.0"},
        "max_instances_per_batch": 100,
        "max_parallel_exports": 32,
    },
    "checkpoint": {"last_instance_key": "k"},
    "created_at": "2026-01-02T03:04:05.678901+00:00",
    "last_modified_at": "2026-01-02T03:04:05.678901+00:00",
    "last_checkpoint_time": "2026-01-02T03:04:05.678901+00:00",
    "last_error": None,
    "scanned_instances": 0,
    "exported_instances": 0,
    "failed_instances": 0,
    "orchestrator_instance_id": "export-job-j",
    "failures": [
        {
            "instance_id": "i",
            "reason": "r",
            "attempt_count": 3,
            "last_attempt": "2026-01-02T03:04:05.678901+00:00",
        }
    ],
}


def test_a_state_is_stored_as_the_sdk_stores_it():
    config = options(runtime_status=[OrchestrationStatus.FAILED]).to_configuration()
    state = ExportJobState.new(config, created_at=AT, orchestrator_instance_id="export-job-j")
    state.checkpoint = ExportCheckpoint("k")
    state.last_checkpoint_time = AT
    state.failures.append(ExportFailure("i", "r", 3, AT))
    assert state.to_dict() == json.loads(json.dumps(state.to_dict())) == STORED
    assert list(state.to_dict()) == list(STORED)
    assert ExportJobState.from_dict(STORED) == state
    job = ExportJobDescription.from_state_dict("j", STORED)
    assert job == ExportJobDescription.from_state("j", state)
    assert (job.job_id, job.status, job.failures) == ("j", ExportJobStatus.ACTIVE, state.failures)


def test_new_jobs_have_done_nothing_yet():
    state = ExportJobState.new(options().to_configuration(), created_at=AT)
    assert state.status is ExportJobStatus.ACTIVE
    assert state.created_at == state.last_modified_at == AT
    assert state.checkpoint == ExportCheckpoint(None)
    assert (state.scanned_instances, state.exported_instances, state.failed_instances) == (0, 0, 0)
    assert state.failures == []


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ({"config": {}}, "missing 'config'"),
        ({"created_at": None}, "must include 'created_at'"),
        ({"last_modified_at": None}, "'last_modified_at'"),
        ({"schema_version": "9"}, "schema_version='9'; expected '1.0'"),
        ({"status": "Odd"}, "Odd"),
    ],
)
def test_states_that_cannot_be_read_are_refused(missing: dict[str, Any], says: str):
    with pytest.raises(ValueError, match=says):
        ExportJobState.from_dict({**STORED, **missing})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"completed_time_to": None}, "required for batch"),
        ({"completed_time_to": AT}, "strictly greater"),
        ({"completed_time_to": datetime(2026, 1, 1)}, "strictly greater"),
        ({"mode": ExportMode.CONTINUOUS}, "not allowed for continuous"),
        ({"runtime_status": [OrchestrationStatus.RUNNING]}, "terminal statuses .*; got RUNNING"),
        ({"max_instances_per_batch": 0}, r"in \[1, 1000\]; got 0"),
        ({"max_instances_per_batch": 1001}, r"in \[1, 1000\]; got 1001"),
        ({"max_parallel_exports": 0}, "must be positive"),
        ({"mode": "Odd"}, "Odd"),
    ],
)
def test_options_that_do_not_go_together_are_refused(changes: dict[str, Any], says: str):
    with pytest.raises(ValueError, match=says):
        options(**changes).to_configuration()


@pytest.mark.parametrize("container", ["", None])
def test_a_destination_has_a_container(container: Any):
    with pytest.raises(ValueError, match=r"destination\.container must be a non-empty string"):
        ExportDestination(container)


def test_continuous_jobs_have_no_end_and_batches_may_have_naive_times():
    config = options(mode=ExportMode.CONTINUOUS, completed_time_to=None).to_configuration()
    assert (config.mode, config.filter.completed_time_to) == (ExportMode.CONTINUOUS, None)
    naive = options(completed_time_to=datetime(2026, 1, 4)).to_configuration()
    stored = naive.to_dict()
    assert stored["filter"]["completed_time_to"] == "2026-01-04T00:00:00+00:00"
    again = ExportJobConfiguration.from_dict(stored)
    assert again.filter.completed_time_to == datetime(2026, 1, 4, tzinfo=UTC)


def test_filters_mean_all_ends_by_default():
    ends = [
        OrchestrationStatus.COMPLETED,
        OrchestrationStatus.FAILED,
        OrchestrationStatus.TERMINATED,
    ]
    assert ExportFilter(AT).effective_runtime_status() == ends
    assert ExportFilter(AT, runtime_status=[]).effective_runtime_status() == ends
    assert ExportFilter(AT, runtime_status=ends[:1]).effective_runtime_status() == ends[:1]


def test_filters_are_read_by_number_and_by_name():
    data = {"completed_time_from": "2026-01-02T00:00:00", "runtime_status": [3, "completed"]}
    found = ExportFilter.from_dict(data)
    assert found.completed_time_from == datetime(2026, 1, 2, tzinfo=UTC)
    assert found.runtime_status == [OrchestrationStatus.FAILED, OrchestrationStatus.COMPLETED]
    with pytest.raises(ValueError, match="no status"):
        ExportFilter.from_dict({**data, "runtime_status": ["ODD"]})
    with pytest.raises(ValueError, match="completed_time_from is required"):
        ExportFilter.from_dict({})


def test_times_are_stored_in_utc():
    east = datetime(2026, 1, 2, 5, tzinfo=timezone(timedelta(hours=2)))
    failure = ExportFailure("i", "r", 1, east)
    assert failure.to_dict()["last_attempt"] == "2026-01-02T03:00:00+00:00"
    assert ExportFailure.from_dict(failure.to_dict()) == failure


def test_formats_and_configurations_have_defaults():
    assert ExportFormat() == ExportFormat(ExportFormatKind.JSONL_GZIP, "1.0")
    config = ExportJobConfiguration.from_dict(
        {
            "mode": "Continuous",
            "filter": {"completed_time_from": "2026-01-02T00:00:00Z"},
            "destination": {"container": "box"},
        }
    )
    assert config.format == ExportFormat()
    assert (config.max_instances_per_batch, config.max_parallel_exports) == (100, 32)


def test_transitions():
    active, completed, failed = (
        ExportJobStatus.ACTIVE,
        ExportJobStatus.COMPLETED,
        ExportJobStatus.FAILED,
    )
    table = {
        ("create", None): {active},
        ("create", failed): {active},
        ("create", completed): {active},
        ("commit_checkpoint", active): {active, failed},
        ("mark_completed", active): {completed},
        ("mark_failed", active): {failed},
        ("mark_failed", failed): {failed},
    }
    assert table == TRANSITIONS
    assert is_valid_transition("create", None, active)
    assert not is_valid_transition("create", active, active)
    assert not is_valid_transition("odd", active, active)
    assert_valid_transition("mark_failed", failed, failed)
    with pytest.raises(ExportJobInvalidTransitionError) as caught:
        assert_valid_transition("create", active, active, job_id="j")
    error = caught.value
    assert (error.job_id, error.operation) == ("j", "create")
    assert (error.from_status, error.to_status) == ("Active", "Active")
    assert (
        str(error)
        == "Operation 'create' cannot transition export job 'j' from 'Active' to 'Active'"
    )


def test_errors_are_also_python_s():
    assert issubclass(ExportJobNotFoundError, LookupError)
    assert issubclass(ExportJobInvalidTransitionError, ValueError)
    missing = ExportJobNotFoundError("j")
    assert (str(missing), missing.job_id) == ("Export job 'j' was not found", "j")
    assert isinstance(missing, ExportJobError)


def test_ids_of_orchestrations():
    assert orchestrator_instance_id_for("j") == "export-job-j"
    with pytest.raises(ValueError, match="job_id must be a non-empty string"):
        orchestrator_instance_id_for("")
