"""A history as the content of a file.

Both formats hold the same: the events, each with its ``event_type``, and what is known of the instance under ``metadata``. Keys are
sorted and the compressed file has no time in it, so the same history always makes the same bytes.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from durabletask import history, task

from ._internal import dt_to_iso
from .models import ExportFormat, ExportFormatKind

if TYPE_CHECKING:
    from durabletask import client


@dataclass(frozen=True, slots=True)
class _Kind:
    content_type: str
    content_encoding: str | None
    extension: str


_KINDS = {
    ExportFormatKind.JSON: _Kind("application/json", None, ".json"),
    ExportFormatKind.JSONL_GZIP: _Kind("application/x-ndjson", "gzip", ".jsonl.gz"),
}


def serialize_history(
    events: Sequence[history.HistoryEvent],
    *,
    instance_id: str,
    fmt: ExportFormat,
    metadata: Mapping[str, Any] | None = None,
) -> bytes:
    """Return the content of an instance's file.

    Args:
        events: Its history, in order.
        instance_id: Whose it is.
        fmt: The format. JSON is one document; JSON Lines begin with a line of ``kind`` ``metadata``, and have an event in each other.
        metadata: What else is known of the instance, in values of JSON.

    Raises:
        ValueError: There is no such format.
        TypeError: A value is none of JSON's.
    """
    _kind(fmt)
    head: dict[str, Any] = {"instance_id": instance_id, "schema_version": fmt.schema_version}
    if metadata is not None:
        head["metadata"] = dict(metadata)
    told = [event_to_dict(event) for event in events]
    if fmt.kind is ExportFormatKind.JSON:
        return _json({**head, "events": told}).encode()
    lines = [_json({**head, "kind": "metadata"}), *map(_json, told)]
    text = "".join(f"{line}\n" for line in lines)
    return gzip.compress(text.encode(), mtime=0)


def event_to_dict(event: history.HistoryEvent) -> dict[str, Any]:
    """Return an event's fields, and the name of its class as ``event_type``."""
    return {"event_type": type(event).__name__, **event.to_dict()}


def failure_details_to_dict(failure: task.FailureDetails) -> dict[str, Any]:
    """Return a failure and what caused it."""
    inner = failure.inner_failure
    return {
        "message": failure.message,
        "error_type": failure.error_type,
        "stack_trace": failure.stack_trace,
        "inner_failure": None if inner is None else failure_details_to_dict(inner),
        "properties": failure.properties,
    }


def orchestration_state_to_dict(state: client.OrchestrationState) -> dict[str, Any]:
    """Return what is known of an instance beside its history: the ``metadata`` of its file."""
    failure = state.failure_details
    return {
        "instance_id": state.instance_id,
        "name": state.name,
        "runtime_status": state.runtime_status.name,
        "created_at": dt_to_iso(state.created_at),
        "last_updated_at": dt_to_iso(state.last_updated_at),
        "serialized_input": state.serialized_input,
        "serialized_output": state.serialized_output,
        "serialized_custom_status": state.serialized_custom_status,
        "failure_details": None if failure is None else failure_details_to_dict(failure),
    }


def content_type_for(fmt: ExportFormat) -> str:
    """Return the media type of a file in this format."""
    return _kind(fmt).content_type


def content_encoding_for(fmt: ExportFormat) -> str | None:
    """Return ``gzip`` if a file in this format is compressed."""
    return _kind(fmt).content_encoding


def file_extension_for(fmt: ExportFormat) -> str:
    """Return what the name of a file in this format ends with, dot included."""
    return _kind(fmt).extension


def _kind(fmt: ExportFormat) -> _Kind:
    found = _KINDS.get(fmt.kind)
    if found is None:
        raise ValueError(f"Unsupported export format kind: {fmt.kind!r}")
    return found


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
