"""Histories as the content of files, and the names of those."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from durabletask import history
from durabletask.client import OrchestrationState, OrchestrationStatus
from durabletask.extensions.history_export import ExportFormat, ExportFormatKind
from durabletask.extensions.history_export.activities import blob_name_for
from durabletask.extensions.history_export.serialization import (
    content_encoding_for,
    content_type_for,
    event_to_dict,
    file_extension_for,
    orchestration_state_to_dict,
    serialize_history,
)
from durabletask.task import FailureDetails

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
FAILURE = FailureDetails("m", "t", "s", FailureDetails("m2", "t2", None), {"a": 1})
EVENTS = [
    history.ExecutionStartedEvent(-1, AT, "n", input='"é"'),
    history.ExecutionCompletedEvent(-1, AT, 3, failure_details=FAILURE),
]
JSON, LINES = ExportFormat(ExportFormatKind.JSON), ExportFormat()

# What the Durable Task SDK 1.12 makes of the same events.
STARTED = (
    '{"event_id":-1,"event_type":"ExecutionStartedEvent","input":"\\"é\\"","name":"n",'
    '"orchestration_instance":null,"orchestration_span_id":null,"parent_instance":null,'
    '"parent_trace_context":null,"scheduled_start_timestamp":null,"tags":null,'
    '"timestamp":"2026-01-02T03:04:05.678901+00:00","version":null}'
)
COMPLETED = (
    '{"event_id":-1,"event_type":"ExecutionCompletedEvent","failure_details":{"error_type":"t",'
    '"inner_failure":{"error_type":"t2","inner_failure":null,"message":"m2","properties":null,'
    '"stack_trace":null},"message":"m","properties":{"a":1},"stack_trace":"s"},'
    '"orchestration_status":3,"result":null,"timestamp":"2026-01-02T03:04:05.678901+00:00"}'
)


def test_one_document():
    data = serialize_history(EVENTS, instance_id="i", fmt=JSON, metadata={"a": 1, "b": "é"})
    assert data.decode() == (
        f'{{"events":[{STARTED},{COMPLETED}],"instance_id":"i",'
        '"metadata":{"a":1,"b":"é"},"schema_version":"1.0"}'
    )
    empty = serialize_history([], instance_id="i", fmt=JSON)
    assert json.loads(empty) == {"events": [], "instance_id": "i", "schema_version": "1.0"}


def test_lines_compressed():
    data = serialize_history(EVENTS, instance_id="i", fmt=LINES, metadata={"a": 1, "b": "é"})
    head = '{"instance_id":"i","kind":"metadata","metadata":{"a":1,"b":"é"},"schema_version":"1.0"}'
    assert gzip.decompress(data).decode() == f"{head}\n{STARTED}\n{COMPLETED}\n"
    assert data == serialize_history(
        EVENTS, instance_id="i", fmt=LINES, metadata={"b": "é", "a": 1}
    )
    assert data[4:8] == bytes(4), "no time is in it"


def test_what_the_formats_are_called():
    assert (content_type_for(JSON), content_encoding_for(JSON)) == ("application/json", None)
    assert (content_type_for(LINES), content_encoding_for(LINES)) == (
        "application/x-ndjson",
        "gzip",
    )
    assert (file_extension_for(JSON), file_extension_for(LINES)) == (".json", ".jsonl.gz")


def test_unknown_formats_are_refused():
    odd: Any = ExportFormat("zip")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Unsupported export format kind: 'zip'"):
        serialize_history(EVENTS, instance_id="i", fmt=odd)


def test_an_event_names_its_kind_first():
    assert next(iter(event_to_dict(EVENTS[0]).items())) == ("event_type", "ExecutionStartedEvent")


def test_a_state_as_metadata():
    naive = AT.replace(tzinfo=None)
    state = OrchestrationState(
        "i", "n", OrchestrationStatus.FAILED, naive, naive + timedelta(1), "1", None, '"c"', FAILURE
    )
    assert orchestration_state_to_dict(state) == {
        "instance_id": "i",
        "name": "n",
        "runtime_status": "FAILED",
        "created_at": "2026-01-02T03:04:05.678901+00:00",
        "last_updated_at": "2026-01-03T03:04:05.678901+00:00",
        "serialized_input": "1",
        "serialized_output": None,
        "serialized_custom_status": '"c"',
        "failure_details": {
            "message": "m",
            "error_type": "t",
            "stack_trace": "s",
            "inner_failure": {
                "message": "m2",
                "error_type": "t2",
                "stack_trace": None,
                "inner_failure": None,
                "properties": None,
            },
            "properties": {"a": 1},
        },
    }


NAME = "e2c0e5510aa24e124125387fc75d3a955125c8d96e3b9e64906761f6b8f378e5.jsonl.gz"


@pytest.mark.parametrize(
    ("prefix", "name"),
    [
        (None, NAME),
        ("", NAME),
        ("p", f"p/{NAME}"),
        ("p/", f"p/{NAME}"),
        ("/p/", f"/p/{NAME}"),
        ("a/b", f"a/b/{NAME}"),
    ],
)
def test_names_are_those_of_the_sdk(prefix: str | None, name: str):
    assert blob_name_for("i/é", AT, prefix=prefix, fmt=LINES) == name
    assert blob_name_for("i/é", AT.replace(tzinfo=None), prefix=prefix, fmt=LINES) == name


def test_names_tell_apart_instances_times_and_formats():
    def name(instance_id: str = "i", at: datetime = AT, fmt: ExportFormat = JSON) -> str:
        return blob_name_for(instance_id, at, prefix=None, fmt=fmt)

    assert name() == "42428e8d9fa0a6047315862d998b84d16205beddf0fe4a7c7341ed51b2eae115.json"
    east = AT.astimezone(timezone(timedelta(hours=5)))
    others = {name("j"), name(at=AT + timedelta(microseconds=1)), name(at=east), name(fmt=LINES)}
    assert len(others | {name()}) == 5


# -- all kinds of events, with all fields and with those that must be there

VALUES: dict[str, Any] = {
    "int": 3,
    "str": "té",
    "bool": True,
    "datetime": datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    "list[str]": ["a", "b"],
    "dict[str, str]": {"k": "v"},
    "dict[str, Any]": {"z": 1, "a": [datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)]},
    "FailureDetails": FailureDetails(
        "m", "t", "s", FailureDetails("é", "t2", None), {"a": [1, {"b": None}]}
    ),
    "TraceContext": history.TraceContext("tp", "sp"),
    "OrchestrationInstance": history.OrchestrationInstance("i", "e"),
    "ParentInstanceInfo": history.ParentInstanceInfo(
        1, "n", None, history.OrchestrationInstance("i")
    ),
}


def all_kinds() -> list[history.HistoryEvent]:
    events: list[history.HistoryEvent] = []
    for name in sorted(history.__all__):
        kind = getattr(history, name)
        if isinstance(kind, type) and issubclass(kind, history.HistoryEvent):
            fields = dataclasses.fields(kind)
            values = {one.name: VALUES[str(one.type).removesuffix(" | None")] for one in fields}
            needed = [one.name for one in fields if one.default is dataclasses.MISSING]
            events.append(kind(**values))
            events.append(kind(**{name: values[name] for name in needed}))
    return events


@pytest.mark.parametrize(
    ("fmt", "digest"),
    [
        (JSON, "42904934ee4d05230f7018a6ef61bc24b4cda529d2a42b4db87d80ee82fa1901"),
        (LINES, "f25fa339a56a4a94f9c35504c6163d17331f5dd23fac1a7e4ea9bbed5b89a7c4"),
    ],
    ids=["json", "lines"],
)
def test_files_are_those_of_the_sdk_to_the_byte(fmt: ExportFormat, digest: str):
    """The digests are of what the Durable Task SDK 1.12 makes of the same events."""
    data = serialize_history(all_kinds(), instance_id="i", fmt=fmt, metadata={"x": 1})
    content = gzip.decompress(data) if fmt is LINES else data
    assert hashlib.sha256(content).hexdigest() == digest
