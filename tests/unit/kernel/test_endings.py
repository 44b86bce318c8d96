"""Endings: what the outcome of the code means."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from durable_async._kernel.endings import is_same
from durable_async.errors import (
    DeterminismError,
    ForbiddenOperationError,
    NotRegisteredError,
)
from durable_async.failure import FailureDetails
from durable_async.model.history import (
    ExecutionCompleted,
    ExecutionContinuedAsNew,
    ExecutionFailed,
)

from .driver import Driver


def raising(error: BaseException) -> Any:
    async def orchestrator(ctx: Any) -> None:
        raise error

    return orchestrator


def forbidden() -> DeterminismError:
    return ForbiddenOperationError("time.time", "use ctx.now()")


def caused() -> Exception:
    error = ValueError("mine")
    error.__cause__ = forbidden()
    return error


@pytest.mark.parametrize(
    "error",
    [
        forbidden(),
        NotRegisteredError("activity", "a"),
        ExceptionGroup("group", [ValueError(), ExceptionGroup("inner", [forbidden()])]),
        BaseExceptionGroup("group", [KeyboardInterrupt(), forbidden()]),
        caused(),
        ExceptionGroup("group", [caused()]),
    ],
    ids=repr,
)
def test_what_is_not_the_codes_own_error_abandons_the_turn(error: BaseException) -> None:
    driver = Driver(raising(error))
    with pytest.raises(DeterminismError):
        driver.turn()
    assert driver.live.outcome is None


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError("no"), "builtins.ValueError"),
        (RuntimeError("attached"), "builtins.RuntimeError"),
        (ExceptionGroup("group", [ValueError()]), "builtins.ExceptionGroup"),
        (asyncio.CancelledError(), "asyncio.exceptions.CancelledError"),
        (GeneratorExit(), "builtins.GeneratorExit"),
    ],
    ids=repr,
)
def test_the_codes_own_error_fails_the_orchestration(error: BaseException, kind: str) -> None:
    outcome = Driver(raising(error)).run()
    assert isinstance(outcome, ExecutionFailed)
    assert outcome.failure.error_type == kind


def test_a_result_that_cannot_be_stored_fails_the_orchestration() -> None:
    async def orchestrator(ctx: Any) -> Any:
        return object()

    outcome = Driver(orchestrator).run()
    assert isinstance(outcome, ExecutionFailed)
    assert "not JSON serializable" in outcome.failure.message


def test_errors_that_cause_each_other_in_a_circle_end_too() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert isinstance(Driver(raising(one)).run(), ExecutionFailed)


def test_of_failures_only_the_kind_is_compared() -> None:
    one = ExecutionFailed(FailureDetails("builtins.ValueError", "one", "File a.py"))
    two = ExecutionFailed(FailureDetails("builtins.ValueError", "two", "File b.py"))
    other = ExecutionFailed(FailureDetails("builtins.KeyError", "one", "File a.py"))
    assert is_same(one, two)
    assert not is_same(one, other)
    assert not is_same(one, None)
    assert not is_same(ExecutionCompleted(b"1"), ExecutionCompleted(b"2"))
    assert not is_same(
        ExecutionContinuedAsNew(b"1", None), ExecutionContinuedAsNew(b"1", None, False)
    )
