"""Values of all kinds go through every door and come back as annotated; what cannot is refused before it is written."""

from __future__ import annotations

import enum
import math
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any, NamedTuple, TypedDict
from uuid import UUID

import msgspec
import pydantic
import pytest

from durable_async import (
    DecodeError,
    EncodeError,
    JsonConverter,
    OrchestrationContext,
    OrchestrationFailedError,
    PayloadTooLargeError,
    Registry,
    activity_context,
)
from durable_async.testing import VirtualEnvironment, virtual_time

from .worlds import MINUTE, World, ran


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Point(NamedTuple):
    x: int
    y: float = 0.5


@dataclass(frozen=True)
class Line:
    sku: str
    price: Decimal
    color: Color | None = None


@dataclass
class Order:
    id: UUID
    lines: list[Line]
    at: datetime
    within: timedelta
    tags: set[str] = field(default_factory=set)
    signature: bytes = b""


class Money(pydantic.BaseModel):
    amount: Decimal
    currency: str = "EUR"


class Invoice(pydantic.BaseModel):
    number: int
    total: Money
    due: date


class Event(msgspec.Struct):
    kind: str
    at: datetime
    level: Level = Level.LOW


class Options(TypedDict, total=False):
    depth: int
    when: datetime


LINE = Line("a-1", Decimal("12.340"), Color.GREEN)
ORDER = Order(
    UUID(int=7),
    [LINE, Line("b-2", Decimal("1E+3"))],
    datetime(2026, 3, 29, 1, 30, tzinfo=timezone(timedelta(hours=2))),
    timedelta(days=3, microseconds=1),
    {"x", "y"},
    b"\x00\xff",
)

VALUES: list[tuple[Any, Any]] = [
    (Line, LINE),
    (Order, ORDER),
    (Money, Money(amount=Decimal("9.90"))),
    (Invoice, Invoice(number=1, total=Money(amount=Decimal("0.10")), due=date(2026, 2, 28))),
    (Event, Event("click", datetime(2026, 1, 1, tzinfo=UTC), Level.HIGH)),
    (Point, Point(1, -2.5)),
    (Color, Color.RED),
    (Level, Level.HIGH),
    (datetime, datetime(2026, 1, 1, 12, 30, 0, 123456)),
    (datetime, datetime(2026, 1, 1, 12, tzinfo=UTC)),
    (datetime, datetime(2026, 1, 1, 12, tzinfo=timezone(-timedelta(hours=3, minutes=30)))),
    (date, date(1, 1, 1)),
    (time, time(23, 59, 59, 999999)),
    (timedelta, timedelta(days=-1, seconds=5)),
    (UUID, UUID("12345678-1234-5678-1234-567812345678")),
    (Decimal, Decimal("0.1")),
    (set[int], {3, 1, 2}),
    (frozenset[str], frozenset({"b", "a"})),
    (bytes, bytes(range(256))),
    (tuple[int, str], (1, "one")),
    (dict[str, Line], {"k": LINE}),
    (list[Line | None], [LINE, None]),
    (Options, {"depth": 2, "when": datetime(2026, 1, 1)}),
    (PurePosixPath, PurePosixPath("a/b")),
    (int, 2**63 - 1),
    (float, 5e-324),
    (str, "Grüße \N{PARTY POPPER} \u2028"),
    (bool, False),
    (int | None, None),
]


def echoing(kind: Any) -> Registry:
    """Orchestrators that send a value of a kind through every door."""
    registry = Registry()

    async def echo(value: Any) -> Any:
        ran.append(value)
        context = activity_context()
        context.heartbeat(value)
        assert context.heartbeat_details(kind) == value
        return value

    async def echo_two(first: Any, second: Any) -> Any:
        assert first == second
        return second

    async def child(ctx: OrchestrationContext, value: Any) -> Any:
        return value

    async def parent(ctx: OrchestrationContext, value: Any) -> Any:
        ran.append(value)
        ctx.set_custom_status(value)
        values = [
            await ctx.call_activity(echo_activity, value),
            await ctx.call_activity(two_activity, value, second=value),
            await ctx.call_sub_orchestrator(child_orchestrator, value),
            await ctx.wait_for_external_event("value", kind),
        ]
        ran.extend(values)
        return values[-1]

    for function in (echo, child, parent):
        function.__annotations__.update({"value": kind, "return": kind})
    echo_two.__annotations__.update({"first": kind, "second": kind, "return": kind})
    echo_activity = registry.activity(echo)
    two_activity = registry.activity(echo_two)
    child_orchestrator = registry.orchestrator(child)
    registry.orchestrator(parent)
    return registry


@pytest.mark.parametrize(
    ("kind", "value"), VALUES, ids=[f"{n}-{type(v).__name__}" for n, (_, v) in enumerate(VALUES)]
)
@virtual_time
async def test_a_value_comes_back_as_annotated(
    env: VirtualEnvironment, world: World, kind: Any, value: Any
) -> None:
    registry = echoing(kind)
    async with world.running(env, registry) as hub:
        parent = registry.find_orchestrator("parent")
        assert parent is not None
        handle = await hub.client.start(parent, value)
        await hub.client.raise_event(handle, "value", value)
        assert await handle.wait(timeout=MINUTE) == value
        state = await hub.client.get(handle)
        assert state is not None
        for seen in (state.input(kind), state.output(kind), state.custom_status(kind), *ran):
            assert seen == value
            assert type(seen) is type(value)
            if isinstance(value, datetime):
                assert seen.utcoffset() == value.utcoffset()
            if isinstance(value, Decimal):
                assert str(seen) == str(value)
    assert len(ran) == 6


class Foreign:
    pass


def cyclic() -> list[Any]:
    ring: list[Any] = []
    ring.append(ring)
    return ring


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(300):
        value = [value]
    return value


REFUSED: list[tuple[str, Callable[[], Any], str]] = [
    ("nan", lambda: {"a": [1.0, math.nan]}, r"\$\.a\[1\]"),
    ("infinity", lambda: [math.inf], r"\$\[0\]"),
    ("surrogate", lambda: {"text": "\ud800"}, r"\$\.text"),
    ("foreign object", lambda: {"deep": [Foreign()]}, r"\$\.deep\[0\]"),
    ("function", lambda: [print], r"\$\[0\]"),
    ("socket", lambda: {"s": socket.socket}, r"\$\.s"),
    ("complex", lambda: 1j, r"\$"),
    ("generator", lambda: (n for n in "ab"), r"\$"),
    ("big int", lambda: [2**64], r"\$\[0\]"),
    ("cycle", cyclic, "nest|deep|itself|level"),
    ("deep", deep, "nest|deep|level"),
]


@pytest.mark.parametrize(("name", "make", "where"), REFUSED, ids=[name for name, _, _ in REFUSED])
@virtual_time
async def test_what_cannot_be_stored_is_refused_by_name_before_it_is_written(
    env: VirtualEnvironment, world: World, name: str, make: Callable[[], Any], where: str
) -> None:
    registry = echoing(Any)
    async with world.running(env, registry) as hub:
        with pytest.raises(EncodeError, match=where) as caught:
            await hub.client.start("child", make())
        assert caught.value.where == "orchestrator 'child' input"
        assert not any((await hub.statistics()).by_status.values())
        handle = await hub.client.start("parent", 1)
        with pytest.raises(EncodeError, match=where) as caught:
            await hub.client.raise_event(handle, "value", make())
        assert caught.value.where == "event 'value' payload"
        with pytest.raises(EncodeError, match="terminate output"):
            await hub.client.terminate(handle, make())
        await hub.client.raise_event(handle, "value", 1)
        assert await handle.wait(timeout=MINUTE) == 1


@virtual_time
async def test_in_an_orchestrator_the_call_raises_and_nothing_is_recorded(
    env: VirtualEnvironment, world: World
) -> None:
    registry = Registry()

    @registry.activity
    async def echo(value: Any) -> Any:
        return value

    @registry.orchestrator
    async def refused(ctx: OrchestrationContext) -> list[str]:
        told = []
        doors: list[Callable[[Any], Any]] = [
            lambda value: ctx.call_activity(echo, value),
            lambda value: ctx.call_activity("echo", value),
            lambda value: ctx.call_sub_orchestrator("child", value),
            lambda value: ctx.send_event("other", "name", value),
            ctx.set_custom_status,
            ctx.continue_as_new,
        ]
        for door in doors:
            try:
                door([Foreign()])
            except EncodeError as error:
                told.append(f"{error.where} {error.path}")
        return told

    async with world.running(env, registry) as hub:
        handle = await hub.client.start(refused)
        assert await handle.wait(timeout=MINUTE) == [
            "activity 'echo' input $[0]",
            "activity 'echo' input $[0]",
            "orchestrator 'child' input $[0]",
            "event 'name' payload $[0]",
            "custom status $[0]",
            "continue_as_new input $[0]",
        ]


@virtual_time
async def test_a_result_that_cannot_be_stored_fails_the_orchestration(
    env: VirtualEnvironment, world: World
) -> None:
    registry = Registry()

    @registry.orchestrator
    async def foreign(ctx: OrchestrationContext) -> object:
        return Foreign()

    async with world.running(env, registry) as hub:
        handle = await hub.client.start(foreign)
        with pytest.raises(OrchestrationFailedError, match="orchestrator 'foreign' result"):
            await handle.wait(timeout=MINUTE)


@virtual_time
async def test_an_input_that_does_not_fit_fails_the_orchestration(
    env: VirtualEnvironment, world: World
) -> None:
    registry = echoing(Order)
    async with world.running(env, registry) as hub:
        handle = await hub.client.start("child", {"id": "not a uuid"})
        with pytest.raises(OrchestrationFailedError, match="DecodeError") as caught:
            await handle.wait(timeout=MINUTE)
    assert "orchestrator 'child' input at $" in caught.value.failure.message


@virtual_time
async def test_a_client_that_expects_something_else_is_told(
    env: VirtualEnvironment, world: World
) -> None:
    registry = echoing(int)
    async with world.running(env, registry) as hub:
        handle = await hub.client.start("child", 7)
        with pytest.raises(DecodeError, match="orchestrator 'child' result"):
            await hub.client.wait(handle, list[int])
        assert await hub.client.wait(handle, int) == 7


@virtual_time
async def test_over_large_payloads(env: VirtualEnvironment, world: World) -> None:
    registry = echoing(str)
    converter = JsonConverter(payload_bytes_max=1_000)
    async with world.hub(env, registry, payloads=converter) as hub, hub.worker():
        with pytest.raises(
            PayloadTooLargeError, match=r"2,002 bytes encoded, over the limit of 1,000"
        ):
            await hub.client.start("child", "x" * 2_000)
        handle = await hub.client.start("child", "x" * 998)
        assert await handle.wait(timeout=MINUTE) == "x" * 998
        with pytest.raises(PayloadTooLargeError):
            await hub.client.start("child", "é" * 500)


@pytest.mark.parametrize("verb", ["suspend", "resume", "rewind"])
@virtual_time
async def test_a_reason_may_be_any_text(env: VirtualEnvironment, world: World, verb: str) -> None:
    registry = Registry()

    @registry.orchestrator
    async def waits(ctx: OrchestrationContext, fail: bool) -> None:
        if fail:
            raise ValueError("as asked")
        await ctx.wait_for_external_event("never")

    async with world.running(env, registry) as hub:
        handle = await hub.client.start(waits, verb == "rewind")
        if verb == "rewind":
            await hub.client.wait_for_end(handle)
        await getattr(hub.client, verb)(handle, "two\nlines \0 and half a \ud800")
