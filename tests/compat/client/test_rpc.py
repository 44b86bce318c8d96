"""Errors as programs catch them, whether or not they have imported grpc."""

from __future__ import annotations

import asyncio
import copy
import pickle
import sys
from enum import Enum
from types import ModuleType
from typing import Any

import pytest

import durable_async
from durabletask._runtime import rpc
from durabletask._runtime.rpc import RpcError, StatusCode


class FakeStatusCode(Enum):
    NOT_FOUND = (5, "not found")
    UNAVAILABLE = (14, "unavailable")


class FakeRpcError(Exception):
    """As grpc's, it has nothing."""


class FakeAioRpcError(FakeRpcError):
    """As grpc's asynchronous one, it wants arguments of its own."""

    def __init__(self, code: FakeStatusCode, initial: Any, trailing: Any) -> None:
        super().__init__()
        self._code = code

    def code(self) -> FakeStatusCode:
        return self._code


@pytest.fixture
def no_grpc(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("grpc", "grpc.aio"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.fixture
def grpc(no_grpc: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    module: Any = ModuleType("grpc")
    module.RpcError = FakeRpcError
    module.StatusCode = FakeStatusCode
    monkeypatch.setitem(sys.modules, "grpc", module)
    return module


@pytest.mark.usefixtures("no_grpc")
def test_without_grpc_it_is_a_look_alike() -> None:
    error = rpc.error(StatusCode.NOT_FOUND, "no such thing")
    assert type(error) is RpcError
    assert error.code() is StatusCode.NOT_FOUND
    assert error.code().name == "NOT_FOUND"
    assert error.code().value == (5, "not found")
    assert error.details() == "no such thing"
    assert str(error) == error.debug_error_string() == "NOT_FOUND: no such thing"
    assert error.initial_metadata() == error.trailing_metadata() == ()


def test_for_a_program_with_grpc_it_is_grpcs(grpc: Any) -> None:
    error = rpc.error(StatusCode.NOT_FOUND, "no such thing")
    assert isinstance(error, grpc.RpcError)
    assert isinstance(error, RpcError)
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert error.status is StatusCode.NOT_FOUND
    assert type(error) is type(rpc.error(StatusCode.UNAVAILABLE, "gone"))
    assert rpc.error(StatusCode.INTERNAL, "x").code() is StatusCode.INTERNAL  # a word it lacks


def test_for_a_program_with_its_asynchronous_half_it_is_that_too(
    grpc: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    aio: Any = ModuleType("grpc.aio")
    aio.AioRpcError = FakeAioRpcError
    monkeypatch.setitem(sys.modules, "grpc.aio", aio)
    error = rpc.error(StatusCode.NOT_FOUND, "no such thing")
    assert isinstance(error, aio.AioRpcError)
    assert isinstance(error, grpc.RpcError)
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert str(error) == "NOT_FOUND: no such thing"


def test_a_module_that_is_called_so_and_is_another_does_no_harm(
    no_grpc: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "grpc", ModuleType("grpc"))
    error = rpc.error(StatusCode.NOT_FOUND, "no such thing")
    assert type(error) is RpcError
    assert error.code() is StatusCode.NOT_FOUND


@pytest.mark.usefixtures("grpc")
def test_it_is_copied_and_pickled() -> None:
    error = rpc.error(StatusCode.NOT_FOUND, "no such thing")
    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (type(other), other.status, other.details()) == (
            type(error),
            StatusCode.NOT_FOUND,
            "no such thing",
        )


@pytest.mark.parametrize(
    ("native", "status"),
    [
        (durable_async.InstanceNotFoundError("x"), StatusCode.NOT_FOUND),
        (durable_async.InstanceExistsError("x", "running"), StatusCode.ALREADY_EXISTS),
        (
            durable_async.InvalidTransitionError("x", "rewind", "running", "failed"),
            StatusCode.FAILED_PRECONDITION,
        ),
        (durable_async.ValidationError("tags", "too many"), StatusCode.INVALID_ARGUMENT),
        (durable_async.PayloadTooLargeError("x", 2**27, 2**26), StatusCode.RESOURCE_EXHAUSTED),
        (durable_async.EncodeError("input", "$", "no text"), StatusCode.INVALID_ARGUMENT),
        (durable_async.OverloadedError("mailbox", 1), StatusCode.RESOURCE_EXHAUSTED),
        (durable_async.BackendUnavailableError("silent"), StatusCode.UNAVAILABLE),
        (durable_async.CorruptHistoryError("x", "no sense"), StatusCode.DATA_LOSS),
        (durable_async.BackendError("bad"), StatusCode.INTERNAL),
    ],
)
def test_errors_of_durable_async_get_a_code(native: Exception, status: StatusCode) -> None:
    with pytest.raises(RpcError) as caught, rpc.translated():
        raise native
    assert caught.value.status is status
    assert caught.value.details() == str(native)
    assert caught.value.__cause__ is native


@pytest.mark.parametrize(
    "other",
    [
        durable_async.WaitTimeoutError("x", "end", 1.0),
        durable_async.ConfigurationError("no"),
        durable_async.PayloadTooLargeError("x", 2, 1),  # a bound of the program's own
        KeyError("x"),
    ],
)
def test_what_is_no_answer_of_a_server_stays_as_it_is(other: Exception) -> None:
    with pytest.raises(type(other)) as caught, rpc.translated():
        raise other
    assert caught.value is other


async def test_only_a_client_that_was_closed_makes_an_error_of_a_cancellation() -> None:
    async def waiting() -> None:
        with rpc.ended_with_client():
            await asyncio.Event().wait()

    task = asyncio.create_task(waiting())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(RpcError, match="CANCELLED: the client was closed"), rpc.ended_with_client():
        raise asyncio.CancelledError
