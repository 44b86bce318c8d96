"""Parameters: what may stand in the query and the headers of the routes, and what OpenAPI says of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from durable_async.model.status import Status

LIMIT_DEFAULT = 100
LIMIT_MAX = 1_000

_TEXT = {"type": "string"}
_TIME = {"type": "string", "format": "date-time"}
_FLAG = {"type": "boolean"}
_SECONDS = {"type": "number", "minimum": 0}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter.

    Attributes:
        name: Its name.
        description: What it means.
        schema: What its values are.
        place: ``query`` or ``header``.
    """

    name: str
    description: str
    schema: dict[str, Any] = field(default_factory=lambda: dict(_TEXT))
    place: str = "query"


def _several(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": schema}


_TAGS = Parameter("tag", "`key:value`, as often as needed.", _several(_TEXT))

INSTANCE_ID = Parameter("instanceId", "An id for the instance; by default the server finds one.")
START = (
    INSTANCE_ID,
    Parameter("version", "What the orchestrator sees as its version."),
    _TAGS,
    Parameter("startAt", "Not to begin before this time (ISO 8601), or so many seconds from now."),
)
WAIT = Parameter("wait", "Seconds to wait for the end, or the answer, at most.", _SECONDS)
VIEW = (
    Parameter("showInput", "Whether the input is told; it is by default.", _FLAG),
    Parameter("showHistory", "Whether the history is told.", _FLAG),
    Parameter(
        "historyFrom",
        "So many events at its beginning are left out, as `historyNextUri` says.",
        {"type": "integer", "minimum": 0, "default": 0},
    ),
)
REASON = Parameter("reason", "Why, for people.")
RECURSIVE = Parameter(
    "recursive", "Whether sub-orchestrations go with it; they do by default.", _FLAG
)
AT = Parameter("at", "Not before this time (ISO 8601), or so many seconds from now.")
IDEMPOTENCY = Parameter(
    "Idempotency-Key",
    "Who repeats a request with the same key gets the same answer, and nothing more is done.",
    place="header",
)
LAST_EVENT_ID = Parameter(
    "Last-Event-ID", "The last event that arrived, as browsers send it.", place="header"
)
PAGE = (
    Parameter(
        "limit",
        "How many in one answer.",
        {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT},
    ),
    Parameter("page", "`nextPage` of the answer before."),
)
CONDITIONS = (
    Parameter(
        "runtimeStatus",
        "One of these.",
        _several({"type": "string", "enum": [status.value.capitalize() for status in Status]}),
    ),
    Parameter("name", "The orchestrator is one of these.", _several(_TEXT)),
    Parameter("instanceIdPrefix", "The id begins with it."),
    Parameter("createdTimeFrom", "Inclusive.", _TIME),
    Parameter("createdTimeTo", "Exclusive.", _TIME),
    Parameter("completedTimeFrom", "Inclusive.", _TIME),
    Parameter("completedTimeTo", "Exclusive.", _TIME),
    _TAGS,
    Parameter("parentInstanceId", "Sub-orchestrations of this instance."),
    Parameter("parked", "Only parked ones, or only others.", _FLAG),
    Parameter("order", "`created`, oldest first, or another order of the client's."),
    Parameter("showPayloads", "Whether inputs and outputs are told.", _FLAG),
)
ENTITY_CONDITIONS = (
    Parameter("name", "The entities' name."),
    Parameter("keyPrefix", "The key begins with it; needs a name."),
    Parameter("lastUpdatedTimeFrom", "Inclusive.", _TIME),
    Parameter("lastUpdatedTimeTo", "Exclusive.", _TIME),
    Parameter("exists", "Only those that have a state, or only others.", _FLAG),
    Parameter("showState", "Whether states are told.", _FLAG),
)
