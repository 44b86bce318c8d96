"""Errors of clients, as programs of the Durable Task SDK catch them: with a status code and details.

Nothing here calls anything remote. A program that has imported ``grpc`` gets errors that are its ``grpc.RpcError`` and carry its
``grpc.StatusCode``; one that has not gets the same words from here. This package never imports ``grpc`` itself.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import sys
from collections.abc import Generator
from contextlib import contextmanager
from enum import Enum
from types import ModuleType
from typing import Any

from durable_async import (
    BackendError,
    BackendUnavailableError,
    CorruptHistoryError,
    EncodeError,
    InstanceExistsError,
    InstanceNotFoundError,
    InvalidTransitionError,
    OverloadedError,
    PayloadTooLargeError,
    ValidationError,
)

from .texts import PAYLOAD_BYTES_MAX


class StatusCode(Enum):
    """What kind of error it is, with gRPC's names, numbers and words."""

    OK = (0, "ok")
    CANCELLED = (1, "cancelled")
    UNKNOWN = (2, "unknown")
    INVALID_ARGUMENT = (3, "invalid argument")
    DEADLINE_EXCEEDED = (4, "deadline exceeded")
    NOT_FOUND = (5, "not found")
    ALREADY_EXISTS = (6, "already exists")
    PERMISSION_DENIED = (7, "permission denied")
    RESOURCE_EXHAUSTED = (8, "resource exhausted")
    FAILED_PRECONDITION = (9, "failed precondition")
    ABORTED = (10, "aborted")
    OUT_OF_RANGE = (11, "out of range")
    UNIMPLEMENTED = (12, "unimplemented")
    INTERNAL = (13, "internal")
    UNAVAILABLE = (14, "unavailable")
    DATA_LOSS = (15, "data loss")
    UNAUTHENTICATED = (16, "unauthenticated")


class RpcError(Exception):
    """A request of a client was refused or failed.

    Attributes:
        status: What kind of error it is, always from here; ``code()`` may answer with gRPC's own.
    """

    def __init__(self, status: StatusCode, details: str) -> None:
        # Not `super().__init__`: beside it there may be a base of gRPC's that wants arguments of its own.
        Exception.__init__(self, status, details)
        self.status = status
        self._details = details

    def code(self) -> Any:
        """Return the status code: a ``grpc.StatusCode`` if the program has imported ``grpc``, otherwise a `StatusCode`."""
        theirs = getattr(sys.modules.get("grpc"), "StatusCode", None)
        return getattr(theirs, self.status.name, self.status)

    def details(self) -> str:
        """Say what is wrong."""
        return self._details

    def debug_error_string(self) -> str:
        """Say it with the code."""
        return str(self)

    def initial_metadata(self) -> tuple[()]:
        """Return nothing: no server has answered."""
        return ()

    def trailing_metadata(self) -> tuple[()]:
        """Return nothing: no server has answered."""
        return ()

    def __str__(self) -> str:
        return f"{self.status.name}: {self._details}"

    def __repr__(self) -> str:
        return f"<RpcError {self}>"

    def __reduce__(self) -> Any:
        return error, (self.status, self._details)


def error(status: StatusCode, details: str) -> RpcError:
    """Return an error that a program catches, whichever way it has learnt to."""
    return _class_for(sys.modules.get("grpc"), sys.modules.get("grpc.aio"))(status, details)


_classes: dict[type, type[RpcError]] = {}


def _class_for(grpc: ModuleType | None, aio: ModuleType | None) -> type[RpcError]:
    """Return a class that is also gRPC's; its asynchronous one is the more particular."""
    theirs = getattr(aio, "AioRpcError", None) or getattr(grpc, "RpcError", None)
    if not isinstance(theirs, type) or not issubclass(theirs, Exception):
        return RpcError
    made = _classes.get(theirs)
    if made is None:
        fields = {"__module__": __name__, "__doc__": RpcError.__doc__}
        made = _classes[theirs] = type("RpcError", (RpcError, theirs), fields)
    return made


_STATUSES: tuple[tuple[type[Exception], StatusCode], ...] = (
    (InstanceNotFoundError, StatusCode.NOT_FOUND),
    (InstanceExistsError, StatusCode.ALREADY_EXISTS),
    (InvalidTransitionError, StatusCode.FAILED_PRECONDITION),
    (PayloadTooLargeError, StatusCode.RESOURCE_EXHAUSTED),
    (ValidationError, StatusCode.INVALID_ARGUMENT),
    (EncodeError, StatusCode.INVALID_ARGUMENT),
    (OverloadedError, StatusCode.RESOURCE_EXHAUSTED),
    (BackendUnavailableError, StatusCode.UNAVAILABLE),
    (CorruptHistoryError, StatusCode.DATA_LOSS),
    (BackendError, StatusCode.INTERNAL),
)
"""The first that fits counts."""


def from_native(native: Exception) -> RpcError | None:
    """Return what an error of durable_async's is for a client of the SDK; ``None`` if it stays as it is.

    A payload that is too large for the program's own store of payloads is a ``ValueError`` there, and stays one.
    """
    if isinstance(native, PayloadTooLargeError) and native.limit_bytes != PAYLOAD_BYTES_MAX:
        return None
    for kind, status in _STATUSES:
        if isinstance(native, kind):
            return error(status, str(native))
    return None


@contextmanager
def translated() -> Generator[None]:
    """Let errors of durable_async leave as those that programs of the SDK expect.

    Raises:
        RpcError: Instead of what has a status code; its cause tells more.
    """
    try:
        yield
    except Exception as native:
        told = from_native(native)
        if told is None:
            raise
        raise told from native


@contextmanager
def ended_with_client() -> Generator[None]:
    """Tell whoever waits for an answer, when the client was closed meanwhile, what happened.

    Raises:
        RpcError: CANCELLED, if the work was cancelled and the caller was not.
    """
    try:
        yield
    except (concurrent.futures.CancelledError, asyncio.CancelledError) as cancelled:
        if _is_cancelled_itself():
            raise
        raise error(StatusCode.CANCELLED, "the client was closed") from cancelled


def _is_cancelled_itself() -> bool:
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return False
    return task is not None and task.cancelling() > 0
