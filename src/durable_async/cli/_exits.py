"""Exit statuses: what a script is told. One table for all commands; it stands in docs/reference/cli.md."""

from __future__ import annotations

from collections.abc import Iterable

from durable_async.errors import (
    BackendUnavailableError,
    DurableError,
    ExecutionError,
    InstanceNotFoundError,
    InstanceParkedError,
    ScheduleNotFoundError,
    SchemaVersionError,
    WaitTimeoutError,
)

OK = 0
NOT_DONE = 1
"""Not there, not all, not completed, not in time: the store was asked, and that is the answer."""
REFUSED = 2
"""The arguments, or the state of what they name, do not allow it; nothing was done."""
NO_STORE = 3
"""The store does not answer, or its schema is none that this release works with."""
INTERRUPTED = 130

_NOT_DONE = (
    InstanceNotFoundError,
    ScheduleNotFoundError,
    InstanceParkedError,
    WaitTimeoutError,
    ExecutionError,
)
_NO_STORE = (BackendUnavailableError, SchemaVersionError)


def status_of(errors: Iterable[DurableError]) -> int:
    """Return the exit status that errors lead to: of several, the highest."""
    return max((_status_of(error) for error in errors), default=REFUSED)


def _status_of(error: DurableError) -> int:
    if isinstance(error, _NOT_DONE):
        return NOT_DONE
    return NO_STORE if isinstance(error, _NO_STORE) else REFUSED
