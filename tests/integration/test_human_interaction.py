"""Human interaction: an approval, or a day without one."""

from __future__ import annotations

import asyncio
from collections import namedtuple
from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

import anyio
import pytest

from durable_async import (
    DurableFuture,
    OrchestrationContext,
    OrchestrationFailedError,
    OrchestrationTerminatedError,
    Status,
    TaskHub,
    when_any,
)
from durable_async.testing import VirtualEnvironment, virtual_time

from .worlds import DAY, HOUR, Styles, World, doomed, elapsed, ran, recorded, until

pytestmark = pytest.mark.pattern("human interaction")

styles = Styles()
CANCELED = "Canceled - approval timeout"
APPROVED = "Approved by 'manager@company.com'"


@dataclass
class Order:
    cost: float
    product: str
    quantity: int


class Approval(NamedTuple):
    approver: str


@dataclass
class ApprovalForm:
    approver: str


Untyped = namedtuple("Untyped", ["approver"])  # noqa: PYI024 - the form that has no types


@styles.activity
async def send_approval_request(order: Order) -> None:
    if order.product == "unspeakable":
        raise ConnectionError("the mail server is away")
    ran.append(f"asked for {order.product}")


@styles.activity
def place_order(order: Order) -> str:
    ran.append(f"placed {order.quantity}x {order.product}")
    return f"Order placed: {order.quantity}x {order.product}"


@styles.in_async("purchase")
async def purchase(ctx: OrchestrationContext, order: Order) -> str:
    if order.cost < 1000:
        return "Auto-approved"
    await ctx.call_activity(send_approval_request, order)
    try:
        async with asyncio.timeout(DAY):
            approval = await ctx.wait_for_external_event("approval_received", Approval)
    except TimeoutError:
        return CANCELED
    await ctx.call_activity(place_order, order)
    return f"Approved by '{approval.approver}'"


@styles.in_generator("purchase")
def purchase_generator(ctx: OrchestrationContext, order: Order) -> Generator[Any, Any, str]:
    if order.cost < 1000:
        return "Auto-approved"
    yield ctx.call_activity(send_approval_request, order)
    approval: DurableFuture[Any] = ctx.wait_for_external_event("approval_received", Approval)
    timeout: DurableFuture[Any] = ctx.create_timer(timedelta(hours=24))
    winner = yield when_any([approval, timeout])
    if winner is timeout:
        return CANCELED
    yield ctx.call_activity(place_order, order)
    return f"Approved by '{approval.result().approver}'"


def order(cost: float = 2000.0, product: str = "desk") -> Order:
    return Order(cost, product, 3)


async def asked(hub: TaskHub, cost: float = 2000.0) -> Any:
    """Start a purchase and let it come to where it waits."""
    handle = await hub.client.start("purchase", order(cost))
    await until(lambda: "asked for desk" in ran)
    await anyio.sleep(1)
    return handle


@virtual_time
async def test_small_orders_need_nobody(env: VirtualEnvironment, world: World, style: str) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("purchase", order(999.99))
        assert await handle.wait() == "Auto-approved"
        assert await recorded(hub, handle) == [
            "ExecutionStarted",
            "TurnStarted",
            "ExecutionCompleted",
        ]
    assert ran == []


@pytest.mark.parametrize("cost", [1000.0, 2000.0])
@virtual_time
async def test_a_day_without_an_answer(
    env: VirtualEnvironment, world: World, style: str, cost: float
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("purchase", order(cost))
        await anyio.sleep(DAY - HOUR)
        assert ran == ["asked for desk"]
        assert await handle.wait() == CANCELED
        assert DAY <= elapsed(env) < DAY + 10
        assert await hub.client.raise_event(handle, "approval_received", Approval("late")) is False
        assert await handle.wait() == CANCELED
    assert ran == ["asked for desk"]


@pytest.mark.parametrize(
    "payload",
    [
        Approval("manager@company.com"),
        Untyped("manager@company.com"),
        ["manager@company.com"],
    ],
    ids=["NamedTuple", "namedtuple", "list"],
)
@virtual_time
async def test_an_approval(
    env: VirtualEnvironment, world: World, style: str, payload: object
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await asked(hub)
        assert await hub.client.raise_event(handle, "approval_received", payload) is True
        assert await handle.wait() == APPROVED
        assert env.monotonic() < HOUR
    assert ran == ["asked for desk", "placed 3x desk"]


@virtual_time
async def test_an_approval_that_comes_before_the_wait(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.hub(env, styles[style]) as hub:
        handle = await hub.client.start("purchase", order())
        await hub.client.raise_event(handle, "approval_received", Approval("manager@company.com"))
        async with hub.worker():
            assert await handle.wait() == APPROVED


@virtual_time
async def test_of_two_approvals_the_first_counts(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await asked(hub)
        await hub.client.raise_events(
            [
                (handle, "approval_received", Approval("manager@company.com")),
                (handle, "approval_received", Approval("second@company.com")),
            ]
        )
        assert await handle.wait() == APPROVED
        assert (await recorded(hub, handle)).count("EventRaised") == 1
    assert ran.count("placed 3x desk") == 1


@virtual_time
async def test_event_and_timer_are_both_due_when_the_worker_comes_back(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.hub(env, styles[style]) as hub:
        async with hub.worker():
            handle = await asked(hub)
        await anyio.sleep(2 * DAY)
        await hub.client.raise_event(handle, "approval_received", Approval("manager@company.com"))
        async with hub.worker():  # what arrived comes before what is due, in every replay
            assert await handle.wait() == APPROVED
        kinds = await recorded(hub, handle)
    assert "TimerFired" not in kinds[: kinds.index("EventRaised")]
    assert ran == ["asked for desk", "placed 3x desk"]


@virtual_time
async def test_nobody_waits_when_the_request_cannot_be_sent(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("purchase", order(product="unspeakable"))
        with pytest.raises(OrchestrationFailedError, match="the mail server is away"):
            await handle.wait()
        assert "TimerCreated" not in await recorded(hub, handle)


@virtual_time
async def test_a_crash_does_not_begin_the_day_anew(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.hub(env, styles[style]) as hub:
        async with doomed(hub):
            handle = await asked(hub)
            await anyio.sleep(20 * HOUR)
        async with hub.worker():
            assert await handle.wait() == CANCELED
        assert DAY <= elapsed(env) < DAY + 10
    assert ran == ["asked for desk"]


@virtual_time
async def test_an_approval_during_suspension_counts_after_it(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await asked(hub)
        await handle.suspend()
        await hub.client.raise_event(handle, "approval_received", Approval("manager@company.com"))
        await anyio.sleep(2 * DAY)
        state = await handle.get()
        assert state is not None
        assert state.status is Status.SUSPENDED
        assert ran == ["asked for desk"]
        await handle.resume()
        assert await handle.wait() == APPROVED


@virtual_time
async def test_termination_ends_the_wait(env: VirtualEnvironment, world: World, style: str) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await asked(hub)
        await handle.terminate("not wanted any more")
        with pytest.raises(OrchestrationTerminatedError) as caught:
            await handle.wait()
        assert caught.value.output == "not wanted any more"
    assert ran == ["asked for desk"]
