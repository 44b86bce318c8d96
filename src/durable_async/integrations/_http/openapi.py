"""OpenAPI: what it says of a route, in its own words."""

from __future__ import annotations

import re
from typing import Any

from durable_async.model.status import Status

from .links import NAMES
from .messages import EVENT_STREAM, JSON
from .problems import PROBLEM
from .routes import Route

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_MAYBE_TEXT: Schema = {"type": ["string", "null"]}
_TIME: Schema = {"type": "string", "format": "date-time"}
_MAYBE_TIME: Schema = {"type": ["string", "null"], "format": "date-time"}

_FAILURE: Schema = {
    "type": ["object", "null"],
    "title": "Failure",
    "properties": {"type": _TEXT, "message": _TEXT, "cause": {}},
}
_PROBLEM: Schema = {
    "type": "object",
    "title": "Problem",
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
    },
    "required": ["type", "title", "status", "detail"],
}
_MANAGEMENT: Schema = {
    "type": "object",
    "title": "Management",
    "properties": dict.fromkeys(NAMES, _TEXT),
    "required": list(NAMES),
}
_ENTITY: Schema = {
    "type": "object",
    "title": "Entity",
    "properties": {
        "entityId": {"type": "object", "properties": {"name": _TEXT, "key": _TEXT}},
        "exists": {"type": "boolean"},
        "state": {},
        "createdTime": _TIME,
        "lastUpdatedTime": _TIME,
        "backlog": {"type": "integer"},
        "lockedBy": _MAYBE_TEXT,
        "parked": _MAYBE_TEXT,
    },
}


_HEALTH: Schema = {
    "type": "object",
    "title": "Health",
    "properties": {
        "isLive": {"type": "boolean"},
        "isReady": {"type": "boolean"},
        "problems": {"type": "array", "items": _TEXT},
        "details": {"type": "object"},
    },
}


def _state(input_schema: Schema | None = None, output_schema: Schema | None = None) -> Schema:
    """Return the schema of where an orchestration stands."""
    return {
        "type": "object",
        "title": "Orchestration",
        "properties": {
            "instanceId": _TEXT,
            "name": _TEXT,
            "version": _MAYBE_TEXT,
            "runtimeStatus": {
                "type": "string",
                "enum": [status.value.capitalize() for status in Status],
            },
            "customStatus": {},
            "input": _maybe(input_schema),
            "output": _maybe(output_schema),
            "failure": _FAILURE,
            "createdTime": _TIME,
            "lastUpdatedTime": _TIME,
            "completedTime": _MAYBE_TIME,
            "execution": {"type": "integer"},
            "tags": {"type": "object", "additionalProperties": _TEXT},
            "parentInstanceId": _MAYBE_TEXT,
            "parked": _MAYBE_TEXT,
            "history": {"type": "array", "items": {"type": "object"}},
            "historyNextUri": {"type": ["string", "null"]},
        },
        "required": ["instanceId", "name", "runtimeStatus", "createdTime", "lastUpdatedTime"],
    }


def extra_of(
    route: Route, input_schema: Schema | None = None, *, needs_input: bool = False
) -> Schema:
    """Return a route's parameters and body."""
    extra: Schema = {"parameters": [*_path_parameters(route), *_parameters(route)]}
    if route.body is not None:
        extra["requestBody"] = {
            "description": route.body,
            "required": needs_input,
            "content": {JSON: {"schema": input_schema or {}}},
        }
    return extra


def responses_of(
    route: Route, input_schema: Schema | None = None, output_schema: Schema | None = None
) -> dict[int | str, Schema]:
    """Return what a route answers, by status code."""
    found: dict[int | str, Schema] = {}
    for code, meaning in route.answers.items():
        schema = _body(route, code, _state(input_schema, output_schema))
        found[code] = {"description": _sentence(meaning)}
        if schema is not None:
            media_type = EVENT_STREAM if route.operation == "events" else JSON
            found[code]["content"] = {media_type: {"schema": schema}}
    found["default"] = {
        "description": "A problem, in the form of RFC 9457.",
        "content": {PROBLEM: {"schema": _PROBLEM}},
    }
    return found


def _body(route: Route, code: int, state: Schema) -> Schema | None:
    match route.operation, code:
        case ("start" | "restart", 202):
            return _MANAGEMENT
        case ("start", 200) | ("status", _):
            return state
        case ("list", _):
            return _page("instances", state)
        case ("list_entities", _):
            return _page("entities", _ENTITY)
        case ("entity", _):
            return _ENTITY
        case ("call", _):
            return {}
        case ("purge", _):
            return {"type": "object", "properties": {"instancesDeleted": {"type": "integer"}}}
        case ("events", 200):
            return _TEXT
        case ("live" | "ready", _):
            return _HEALTH
        case _:
            return None


def _page(member: str, item: Schema) -> Schema:
    return {
        "type": "object",
        "properties": {member: {"type": "array", "items": item}, "nextPage": _MAYBE_TEXT},
    }


def _path_parameters(route: Route) -> list[Schema]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _TEXT}
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]


def _parameters(route: Route) -> list[Schema]:
    return [
        {
            "name": parameter.name,
            "in": parameter.place,
            "required": False,
            "description": parameter.description,
            "schema": parameter.schema,
        }
        for parameter in route.parameters
    ]


def _maybe(schema: Schema | None) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]} if schema else {}


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
