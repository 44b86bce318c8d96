"""Problems: what an error becomes for who sent the request. One table, and one form of body, `application/problem+json`."""

from __future__ import annotations

import logging
import re
from typing import Any

import orjson

from durable_async.errors import (
    BackendError,
    CorruptHistoryError,
    DurableError,
    EntityOperationFailedError,
    InstanceExistsError,
    InstanceNotFoundError,
    InvalidTransitionError,
    OverloadedError,
    PayloadTooLargeError,
    ScheduleExistsError,
    ScheduleNotFoundError,
    SerializationError,
    ValidationError,
)

from .messages import Answer

_log = logging.getLogger("durable_async")

PROBLEM = "application/problem+json"
TYPE = "urn:durable-async:problem:"

RETRY_SECONDS = 1
"""After so long a caller may try again what was refused for now."""


class ProblemError(DurableError):
    """Raised for what only HTTP knows, such as a body that is not JSON.

    Attributes:
        status: The status code.
        kind: What kind of problem it is, in the words of `TYPE`.
        path: The place in the body, such as ``$.items[3].price``.
    """

    def __init__(self, status: int, kind: str, detail: str, *, path: str | None = None) -> None:
        self.status = status
        self.kind = kind
        self.path = path
        super().__init__(detail)


STATUS_CODES: dict[type[DurableError], int] = {
    InstanceNotFoundError: 404,
    InstanceExistsError: 409,
    InvalidTransitionError: 409,
    ScheduleNotFoundError: 404,
    ScheduleExistsError: 409,
    PayloadTooLargeError: 413,
    ValidationError: 422,
    SerializationError: 422,
    EntityOperationFailedError: 422,
    OverloadedError: 429,
    CorruptHistoryError: 500,
    BackendError: 503,
}
"""The first of an error's own classes that stands here says its status code. Other errors are the server's own, and are raised."""

_RETRYABLE = (429, 503)

_OF_THE_SERVER: dict[int, str] = {
    500: "what is stored of it cannot be read; the server's log says why",
    503: "the store did not answer, and whether it was done is unknown; the server's log says why",
}
"""What is said of an error whose own words are for who looks after the server: they may name hosts, addresses and schemas."""


def answer_to(error: DurableError, where: str) -> Answer:
    """Return what to answer to who asked for something; an error that is none of the caller's is raised again.

    Args:
        error: What came of it.
        where: What was asked for, as the log calls it.
    """
    answer = problem_of(error)
    if answer is None:
        raise error
    if answer.status >= 500:
        _log.warning("%s is answered with %d: %s", where, answer.status, error)
    return answer


def problem_of(error: DurableError) -> Answer | None:
    """Return what to answer, or ``None`` if the error is none of the caller's."""
    status = _status_of(error)
    if status is None:
        return None
    kind = _kind_of(error)
    document: dict[str, Any] = {
        "type": TYPE + kind,
        "title": kind.replace("-", " ").capitalize().replace("json", "JSON"),
        "status": status,
        "detail": _detail(error, status),
        **_facts(error),
    }
    return Answer(
        status=status,
        body=dump(document),
        headers={"Retry-After": str(RETRY_SECONDS)} if status in _RETRYABLE else {},
        media_type=PROBLEM,
    )


def dump(document: Any) -> bytes:
    """Return a document as JSON; half a surrogate pair, which no JSON holds, becomes a question mark."""
    try:
        return orjson.dumps(document)
    except TypeError:
        return orjson.dumps(_valid(document))


def _status_of(error: DurableError) -> int | None:
    if isinstance(error, ProblemError):
        return error.status
    if isinstance(error, InvalidTransitionError) and error.status == "ended":
        return 410
    if isinstance(error, EntityOperationFailedError) and _is_unknown_operation(error):
        return 404
    known = (STATUS_CODES.get(kind) for kind in type(error).__mro__)
    return next((status for status in known if status is not None), None)


def _kind_of(error: DurableError) -> str:
    if isinstance(error, ProblemError):
        return error.kind
    if isinstance(error, EntityOperationFailedError) and _is_unknown_operation(error):
        return "unknown-operation"
    name = type(error).__name__.removesuffix("Error")
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()


def _is_unknown_operation(error: EntityOperationFailedError) -> bool:
    return error.failure.is_type("UnknownOperationError")


def _detail(error: DurableError, status: int) -> str:
    return _OF_THE_SERVER[status] if status in _OF_THE_SERVER else str(error)


def _facts(error: DurableError) -> dict[str, Any]:
    """Return what an error knows beside its words, and a program may act on."""
    facts: dict[str, Any] = {}
    for member, attribute in (
        ("field", "field"),
        ("path", "path"),
        ("instanceId", "instance_id"),
        ("entityId", "entity_id"),
        ("scheduleId", "schedule_id"),
        ("operation", "operation"),
    ):
        value = getattr(error, attribute, None)
        if isinstance(value, str):
            facts[member] = value
    if isinstance(error, EntityOperationFailedError):
        facts["failure"] = {"type": error.failure.error_type, "message": error.failure.message}
    return facts


def _valid(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case dict():
            return {_valid(key): _valid(one) for key, one in value.items()}
        case list() | tuple():
            return [_valid(one) for one in value]
        case _:
            return value
