"""Failures as data: types, messages, causes, groups."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
import pytest

from durable_async import (
    ConfigurationError,
    FailureDetails,
    OrchestrationContext,
    OrchestrationFailedError,
    Registry,
    TaskHub,
)
from durable_async.backends._rows import decode_failure, encode_failure
from durable_async.testing import VirtualEnvironment, virtual_time


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except Exception as caught:  # noqa: BLE001 - it is the one raised above
        return caught


@virtual_time
async def test_its_traceback_begins_with_the_code_that_the_library_called(
    env: VirtualEnvironment,
) -> None:
    registry = Registry()

    @registry.activity
    async def lose() -> None:
        raise LookupError("lost")

    @registry.orchestrator
    async def seek(ctx: OrchestrationContext) -> None:
        await ctx.call_activity(lose)

    async with TaskHub.open("memory://", environment=env, registry=registry) as hub, hub.worker():
        handle = await hub.client.start(seek)
        with pytest.raises(OrchestrationFailedError) as caught:
            await handle.wait()
    first = [one.stack_trace.splitlines()[0] for one in caught.value.failure.chain]
    assert all(__file__ in line for line in first)
    assert [line.rpartition(" ")[2] for line in first] == ["seek", "lose"]


def test_the_traceback_of_what_the_library_does_alone_is_kept() -> None:
    with pytest.raises(ConfigurationError) as caught:
        TaskHub.at("nothing://known")
    stack = caught.value.__traceback__
    assert stack is not None
    within = FailureDetails.of(caught.value.with_traceback(stack.tb_next))
    assert "raise ConfigurationError" in within.stack_trace


def test_it_names_type_message_and_place() -> None:
    details = FailureDetails.of(raised(ValueError("bad")))

    assert details.error_type == "builtins.ValueError"
    assert details.message == "bad"
    assert "test_failure.py" in details.stack_trace
    assert details.is_type("ValueError")
    assert details.is_type("builtins.ValueError")
    assert not details.is_type("Error")


def test_causes_are_followed_and_end() -> None:
    inner = raised(KeyError("k"))
    inner.__cause__ = error = raised(ValueError("outer"), inner)

    details = FailureDetails.of(error)

    assert details.cause is not None
    assert details.cause.is_type("KeyError")
    assert details.root.is_type("KeyError")
    assert details.chain[0] is details
    assert details.chain[-1] is details.root


def test_a_group_tells_what_is_in_it() -> None:
    group = ExceptionGroup("two", [ValueError("a"), KeyError("b")])

    details = FailureDetails.of(group)

    assert details.message == "two (2 sub-exceptions): ValueError: a; KeyError: 'b'"
    assert details.root.is_type("ValueError")


def test_what_cannot_be_printed_is_recorded_all_the_same() -> None:
    assert FailureDetails.of(UnprintableError()).message == "<unprintable: RuntimeError>"


@pytest.mark.parametrize("text", ["x" * 20_000, "\ud800"])
def test_messages_are_bounded_and_fit_into_utf_8(text: str) -> None:
    message = FailureDetails.of(ValueError(text)).message

    assert len(message.encode()) <= 8_192


def test_an_error_can_rule_out_another_attempt() -> None:
    error = ValueError("final")
    error.non_retryable = True  # type: ignore[attr-defined]

    assert FailureDetails.of(error).non_retryable
    assert not FailureDetails.of(ValueError()).non_retryable


class LayerError(Exception):
    def __init__(self, recorded_as: Any) -> None:
        super().__init__("the layer's own text")
        self.recorded_as = recorded_as


def test_a_layer_above_decides_what_is_recorded() -> None:
    wanted = FailureDetails(
        "shop.Declined", "no cover", "theirs", FailureDetails("Inner", "x"), True, {"code": 51}
    )

    assert FailureDetails.of(raised(LayerError(wanted))) == wanted
    assert FailureDetails.of(LayerError(wanted), non_retryable=False) == wanted
    assert FailureDetails.of(raised(ValueError("outer"), LayerError(wanted))).cause == wanted
    assert FailureDetails.of(LayerError("no details")).error_type.endswith("LayerError")


class Unwritable:
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"a": [1, 2.5, None, True, "x"]}, {"a": [1, 2.5, None, True, "x"]}),
        ({1: (2,)}, {"1": [2]}),
        ({"big": 2**63, "odd": float("nan")}, {"big": str(2**63), "odd": "nan"}),
        ({"half": "\ud800", "bytes": b"x"}, {"half": "?", "bytes": "b'x'"}),
        ({"m": MappingProxyType({"k": ValueError("v")})}, {"m": {"k": "v"}}),
        ({"u": Unwritable()}, {"u": "<unprintable: RuntimeError>"}),
        ({}, {}),
    ],
)
def test_properties_are_kept_as_json_has_them(given: Any, kept: Mapping[str, Any]) -> None:
    recorded = FailureDetails.of(LayerError(FailureDetails("E", "m", properties=given)))

    assert recorded.properties == kept
    assert decode_failure("i", encode_failure(recorded)) == recorded
    decoder = msgspec.msgpack.Decoder(FailureDetails)
    assert decoder.decode(msgspec.msgpack.encode(recorded)) == recorded


def test_what_turns_in_a_circle_ends() -> None:
    circle: dict[str, Any] = {}
    circle["again"] = circle

    recorded = FailureDetails.of(LayerError(FailureDetails("E", "m", properties=circle)))

    assert decode_failure("i", encode_failure(recorded)) == recorded


def test_failures_of_earlier_releases_are_read() -> None:
    earlier = msgspec.json.encode(["E", "m", "s", None, True])

    assert decode_failure("i", earlier) == FailureDetails("E", "m", "s", None, True)
