"""The two activities of an export job: list a page of what has ended, and export one history.

They look at the task hub through a client of their own, as any program does, and find it and the writer in a `HistoryExportContext` that
a resolver hands them at each call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from durabletask import client as client_module, history, task

from ._internal import aware, dt_from_iso, dt_to_iso
from .models import ExportDestination, ExportFormat, status_of
from .serialization import (
    content_encoding_for,
    content_type_for,
    file_extension_for,
    orchestration_state_to_dict,
    serialize_history,
)
from .writer import HistoryWriter

if TYPE_CHECKING:
    from durabletask import worker as worker_module

LIST_TERMINAL_INSTANCES_ACTIVITY = "list_terminal_instances"
EXPORT_INSTANCE_HISTORY_ACTIVITY = "export_instance_history"

_TERMINAL = frozenset(
    {
        client_module.OrchestrationStatus.COMPLETED,
        client_module.OrchestrationStatus.FAILED,
        client_module.OrchestrationStatus.TERMINATED,
    }
)


@dataclass
class HistoryExportContext:
    """What the activities need.

    Attributes:
        client: Sees the task hub whose histories are exported.
        writer: Puts them where they are to be.
    """

    client: client_module.TaskHubGrpcClient
    writer: HistoryWriter


HistoryExportContextResolver = Callable[[], HistoryExportContext]
"""Called at each activity, in the worker's process."""


def build_list_activity_input(
    *,
    runtime_status_names: list[str] | None,
    completed_time_from: datetime,
    completed_time_to: datetime | None,
    page_size: int,
    continuation_token: str | None,
) -> dict[str, Any]:
    """Return the input of `run_list_terminal_instances`."""
    return {
        "runtime_status": runtime_status_names,
        "completed_time_from": dt_to_iso(completed_time_from),
        "completed_time_to": dt_to_iso(completed_time_to),
        "page_size": page_size,
        "continuation_token": continuation_token,
    }


def run_list_terminal_instances(
    context: HistoryExportContext, input: Mapping[str, Any]
) -> dict[str, Any]:
    """List a page of orchestrations that have ended, those that ended first first.

    Args:
        context: Where to look.
        input: As `build_list_activity_input` makes it.

    Returns:
        ``instance_ids``, and the ``continuation_token`` of the next page, ``None`` after the last.

    Raises:
        ValueError: There is no ``completed_time_from``, or no such status.
    """
    begin = dt_from_iso(input.get("completed_time_from"))
    if begin is None:
        raise ValueError("list_terminal_instances requires 'completed_time_from'")
    names = input.get("runtime_status")
    statuses = _TERMINAL.intersection(_TERMINAL if not names else map(status_of, names))
    if not statuses:
        return {"instance_ids": [], "continuation_token": None}
    page = context.client.list_instance_ids(
        runtime_status=sorted(statuses, key=lambda status: status.value),
        completed_time_from=begin,
        completed_time_to=dt_from_iso(input.get("completed_time_to")),
        page_size=input.get("page_size"),
        continuation_token=input.get("continuation_token"),
    )
    return {"instance_ids": list(page.items), "continuation_token": page.continuation_token}


def run_export_instance_history(
    context: HistoryExportContext, input: Mapping[str, Any]
) -> dict[str, Any]:
    """Write one orchestration's history.

    The file's name is made of the instance's id and of when it ended, so to export it again overwrites the file, and one that was
    rewound or replaced since gets another.

    Args:
        context: Where to look, and where to write.
        input: ``instance_id``, ``destination``, and ``format``.

    Returns:
        ``instance_id``, whether it is a ``success``, and otherwise the ``error``. ``skipped`` is there, and true, if the orchestration is
        gone or goes on, so that there is nothing to export at present.

    Raises:
        KeyError: There is no ``instance_id``.
        ValueError: There is no ``destination``.
    """
    instance_id = str(input["instance_id"])
    if not input.get("destination"):
        raise ValueError("destination.container is required")
    destination = ExportDestination.from_dict(input["destination"])
    given = input.get("format")
    fmt = ExportFormat() if given is None else ExportFormat.from_dict(given)
    try:
        state, events = _read(context.client, instance_id)
        _write(context.writer, state, events, destination, fmt)
    except _NothingToExportError as nothing:
        return {**_outcome(instance_id, str(nothing)), "skipped": True}
    except Exception as error:  # noqa: BLE001 - whatever it is, the job tries again and then records it
        return _outcome(instance_id, f"{type(error).__name__}: {error}")
    return _outcome(instance_id, None)


class _NothingToExportError(Exception):
    """The orchestration is gone, or has not ended."""


def _outcome(instance_id: str, error: str | None) -> dict[str, Any]:
    return {"instance_id": instance_id, "success": error is None, "error": error}


def _read(
    client: client_module.TaskHubGrpcClient, instance_id: str
) -> tuple[client_module.OrchestrationState, list[history.HistoryEvent]]:
    """Return the state of an orchestration that has ended, and its history."""
    state = _ended(client, instance_id, fetch_payloads=True)
    try:
        events = client.get_orchestration_history(instance_id)
    except Exception as error:
        if is_missing(error):
            raise _gone(instance_id) from error
        raise
    again = _ended(client, instance_id, fetch_payloads=False)
    if (again.created_at, again.last_updated_at) != (state.created_at, state.last_updated_at):
        raise RuntimeError(f"instance {instance_id!r} changed while it was read")
    return state, events


def _ended(
    client: client_module.TaskHubGrpcClient, instance_id: str, *, fetch_payloads: bool
) -> client_module.OrchestrationState:
    state = client.get_orchestration_state(instance_id, fetch_payloads=fetch_payloads)
    if state is None:
        raise _gone(instance_id)
    if state.runtime_status not in _TERMINAL:
        status = state.runtime_status.name
        raise _NothingToExportError(
            f"instance {instance_id!r} is no longer terminal (runtime_status={status})"
        )
    return state


def _gone(instance_id: str) -> _NothingToExportError:
    return _NothingToExportError(f"instance {instance_id!r} no longer exists or has been purged")


def is_missing(error: BaseException) -> bool:
    """Tell whether an error of a client says that there is no such instance."""
    code = getattr(error, "code", None)
    return callable(code) and getattr(code(), "name", None) == "NOT_FOUND"


def _write(
    writer: HistoryWriter,
    state: client_module.OrchestrationState,
    events: list[history.HistoryEvent],
    destination: ExportDestination,
    fmt: ExportFormat,
) -> None:
    payload = serialize_history(
        events,
        instance_id=state.instance_id,
        fmt=fmt,
        metadata=orchestration_state_to_dict(state),
    )
    writer.write(
        instance_id=state.instance_id,
        container=destination.container,
        blob_name=blob_name_for(
            state.instance_id, state.last_updated_at, prefix=destination.prefix, fmt=fmt
        ),
        payload=payload,
        content_type=content_type_for(fmt),
        content_encoding=content_encoding_for(fmt),
        metadata={"instance_id": state.instance_id},
    )


def blob_name_for(
    instance_id: str, last_updated_at: datetime, *, prefix: str | None, fmt: ExportFormat
) -> str:
    """Return the name of an instance's file: the prefix, and a digest of when it ended and of its id."""
    unique = f"{_round_trip(last_updated_at)}|{instance_id}"
    name = hashlib.sha256(unique.encode()).hexdigest() + file_extension_for(fmt)
    folder = (prefix or "").rstrip("/")
    return f"{folder}/{name}" if folder else name


def _round_trip(value: datetime) -> str:
    """Return a moment as .NET's format "O" has it: seven digits of a second. Names of files depend on it."""
    moment = aware(value)
    offset = moment.strftime("%z")
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}0{offset[:3]}:{offset[3:5]}"


def build_activities(
    resolver: HistoryExportContextResolver,
) -> tuple[task.Activity[Any, Any], task.Activity[Any, Any]]:
    """Return both activities, bound to where they find what they need.

    Args:
        resolver: Called at each activity.
    """

    def list_terminal_instances(
        _: task.ActivityContext, input: Mapping[str, Any]
    ) -> dict[str, Any]:
        return run_list_terminal_instances(resolver(), input)

    def export_instance_history(
        _: task.ActivityContext, input: Mapping[str, Any]
    ) -> dict[str, Any]:
        return run_export_instance_history(resolver(), input)

    return list_terminal_instances, export_instance_history


def register(
    worker_instance: worker_module.TaskHubGrpcWorker, resolver: HistoryExportContextResolver
) -> None:
    """Register both activities with a worker that has not been started."""
    for activity in build_activities(resolver):
        worker_instance.add_activity(activity)
