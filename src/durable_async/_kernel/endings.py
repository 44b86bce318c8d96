"""How an execution ends: what the outcome of its root task means."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from durable_async.errors import DeterminismError, ForbiddenOperationError
from durable_async.failure import FailureDetails
from durable_async.model.history import (
    ExecutionCompleted,
    ExecutionContinuedAsNew,
    ExecutionFailed,
    ExecutionTerminated,
    HistoryEvent,
)

from .context import ContinueAsNew, ContinueRequest
from .program import Program

Outcome = ExecutionCompleted | ExecutionFailed | ExecutionTerminated | ExecutionContinuedAsNew

_FOREIGN = (
    "attached to a different loop",
    "await wasn't used with future",
    "belongs to a different loop",
    "bound to a different event loop",
    "got bad yield",
    "yield was used instead of",
)


def conclude(root: asyncio.Task[Any], asked: ContinueRequest | None, program: Program) -> Outcome:
    """Return the outcome of an execution whose root task is done.

    Raises:
        DeterminismError: The code ended by an error that is not its own; also one inside a group or a cause.
    """
    error = asyncio.CancelledError("it cancelled itself") if root.cancelled() else root.exception()
    if error is not None and (asked is None or not _is_only(error, ContinueAsNew)):
        for inner in _all_in(error):
            _raise_if_determinism(inner)
        return ExecutionFailed(FailureDetails.of(error))
    if asked is not None:
        return ExecutionContinuedAsNew(asked.payload, asked.version, asked.keep_events)
    try:
        result = program.payloads.encode(root.result(), f"orchestrator {program.name!r} result")
    except Exception as refused:  # noqa: BLE001 - a result that cannot be stored is the code's failure
        return ExecutionFailed(FailureDetails.of(refused))
    return ExecutionCompleted(result)


def is_same(recorded: HistoryEvent | None, actual: HistoryEvent | None) -> bool:
    """Tell whether the code did as history says. Of its failures only the kind counts: stacks differ between machines."""
    if isinstance(recorded, ExecutionFailed) and isinstance(actual, ExecutionFailed):
        return recorded.failure.error_type == actual.failure.error_type
    return recorded == actual


def _is_only(error: BaseException, kind: type[BaseException]) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_only(inner, kind) for inner in error.exceptions)
    return isinstance(error, kind)


def _all_in(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        inner = todo.pop()
        if inner is None or id(inner) in seen:
            continue
        seen.add(id(inner))
        yield inner
        if isinstance(inner, BaseExceptionGroup):
            todo.extend(inner.exceptions)
        todo.append(inner.__cause__)


def _raise_if_determinism(error: BaseException) -> None:
    if isinstance(error, DeterminismError):
        raise error
    if isinstance(error, (RuntimeError, ValueError)) and any(
        text in str(error) for text in _FOREIGN
    ):
        raise ForbiddenOperationError(
            f"awaiting something that is not durable ({error})",
            "await ctx.call_activity(...), timers, events, or asyncio objects made in the orchestrator",
        ) from error
