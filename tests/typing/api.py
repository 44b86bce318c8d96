"""The API as people use it, for type checkers to read; nothing here is run.

Each ``assert_type`` must hold. Each line with an ignore must be an error: an ignore that is not needed is one itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, assert_type
from uuid import UUID

from durable_async import (
    Activity,
    ActivityContext,
    ActivityOptions,
    DurableFuture,
    FailureDetails,
    HubStatistics,
    OrchestrationContext,
    OrchestrationHandle,
    OrchestrationState,
    Orchestrator,
    Registry,
    RetryPolicy,
    ReusePolicy,
    Status,
    TaskHub,
    activity,
    activity_context,
    orchestrator,
    when_all,
    when_any,
)


@dataclass
class Order:
    id: int


@dataclass
class Receipt:
    number: str


class Approval(NamedTuple):
    approver: str


# -- activities


@activity
async def charge(order: Order) -> Receipt:
    context = activity_context()
    assert_type(context, ActivityContext)
    assert_type(context.heartbeat_details(int), int | None)
    assert_type(context.deadline, datetime | None)
    assert_type(context.idempotency_key, str)
    return Receipt(str(order.id))


@activity
def count(first: str, second: str = "", *, limit: int = 3) -> int:
    return min(len(first + second), limit)


@activity(name="shop.ship", retry=RetryPolicy(max_attempts=3), start_to_close=timedelta(minutes=5))
async def ship(order: Order, address: str) -> None: ...


@activity(heartbeat=10)
def no_input() -> list[str]:
    return []


assert_type(charge.name, str)
assert_type(charge.with_options(start_to_close=5).name, str)
kept: Activity[[Order], Receipt] = charge.with_options(retry=RetryPolicy(jitter=0.5))
charge.with_options(nonsense=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
activity(name=7)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]


# -- orchestrators


@orchestrator
async def checkout(ctx: OrchestrationContext, order: Order) -> Receipt:
    receipt = await ctx.call_activity(charge, order)
    assert_type(receipt, Receipt)
    assert_type(await ctx.call_activity(charge.with_options(start_to_close=3), order), Receipt)
    assert_type(await ctx.call_activity(charge, order=order), Receipt)
    assert_type(await ctx.call_activity(count, "a"), int)
    assert_type(await ctx.call_activity(count, "a", "b", limit=5), int)
    assert_type(await ctx.call_activity(no_input), list[str])
    await ctx.call_activity(ship, order, "here")
    await ctx.call_activity(ship, order, address="here")

    ctx.call_activity(charge, "no order")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    ctx.call_activity(charge)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    ctx.call_activity(count, "a", limit="x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ctx.call_activity(count, "a", nonsense=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    return receipt


@orchestrator
async def by_name(ctx: OrchestrationContext) -> str:
    assert_type(await ctx.call_activity("charge", Order(1), result_type=Receipt), Receipt)
    assert_type(await ctx.call_activity("charge", Order(1)), Any)
    options = ActivityOptions(retry=RetryPolicy(max_attempts=2))
    assert_type(await ctx.call_activity("charge", result_type=int, options=options), int)
    assert_type(await ctx.call_sub_orchestrator("checkout", Order(1)), Any)
    return "done"


@orchestrator
async def children(ctx: OrchestrationContext, orders: list[Order]) -> list[Receipt]:
    one = ctx.call_sub_orchestrator(checkout, input=orders[0], instance_id="x", version="2")
    assert_type(one, DurableFuture[Receipt])
    assert_type(await one, Receipt)
    receipts = await asyncio.gather(*(ctx.call_sub_orchestrator(checkout, o) for o in orders))
    assert_type(receipts, list[Receipt])
    assert_type(await when_all([ctx.call_activity(charge, o) for o in orders]), list[Receipt])
    text, number = await asyncio.gather(
        ctx.call_sub_orchestrator(by_name), ctx.call_activity(count, "a")
    )
    assert_type(text, str)
    assert_type(number, int)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(ctx.call_activity(charge, orders[0]))
    assert_type(task.result(), Receipt)
    assert_type(await asyncio.wait_for(ctx.call_activity(count, "a"), 5), int)
    return receipts


@orchestrator
async def waiting(ctx: OrchestrationContext, hours: float) -> str | None:
    assert_type(ctx.instance_id, str)
    assert_type(ctx.version, str | None)
    assert_type(ctx.parent_instance_id, str | None)
    assert_type(ctx.execution, int)
    assert_type(ctx.now(), datetime)
    assert_type(ctx.uuid4(), UUID)
    assert_type(ctx.random().random(), float)
    approval = ctx.wait_for_external_event("approved", Approval)
    assert_type(approval, DurableFuture[Approval])
    assert_type(await ctx.wait_for_external_event("anything"), Any)
    timer = ctx.create_timer(timedelta(hours=hours))
    assert_type(timer, DurableFuture[None])
    ctx.create_timer(datetime(2030, 1, 1))
    ctx.create_timer(3.5)
    ctx.create_timer("soon")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    winner = await when_any([approval, timer])
    if winner is timer:
        return None
    ctx.send_event("other", "done", approval.result().approver)
    ctx.set_custom_status({"any": "thing"})
    return approval.result().approver


@orchestrator
def generator(ctx: OrchestrationContext, order: Order) -> Generator[Any, Any, Receipt]:
    receipt: Receipt = yield ctx.call_activity(charge, order)
    yield when_any([ctx.create_timer(5), ctx.wait_for_external_event("e")])
    return receipt


@orchestrator(name="shop.eternal")
async def eternal(ctx: OrchestrationContext, number: int) -> None:
    await ctx.create_timer(60)
    ctx.continue_as_new(number + 1)


assert_type(checkout, Orchestrator[Order, Receipt])
assert_type(by_name, Orchestrator[None, str])
assert_type(generator, Orchestrator[Order, Receipt])
assert_type(eternal, Orchestrator[int, None])


# -- hub, worker, client


def options(hub: TaskHub, registry: Registry) -> None:
    assert_type(TaskHub.from_environment(hub="eu", registry=registry), TaskHub)
    TaskHub.from_environment(name="eu")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    hub.worker(activity_max=100)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    hub.worker(lease_seconds="15")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def main(order: Order) -> None:
    registry = Registry()
    assert_type(registry.activities, frozenset[str])
    async with TaskHub.open("sqlite:///shop.db", hub="eu", registry=registry) as hub:
        assert_type(hub, TaskHub)
        async with hub.worker(activities_max=100):
            pass
        client = hub.client

        handle = await client.start(checkout, order)
        assert_type(handle, OrchestrationHandle[Receipt])
        assert_type(await client.wait(handle), Receipt)
        assert_type(await client.wait(await client.start(checkout, order)), Receipt)
        assert_type(await handle.wait(), Receipt)
        assert_type(await client.wait("an id", Receipt), Receipt)
        assert_type(await client.wait("an id"), Any)
        assert_type(await client.start(checkout, input=order), OrchestrationHandle[Receipt])
        assert_type(await client.wait(await client.start(by_name)), str)
        assert_type(await client.wait(await client.start(generator, order)), Receipt)
        assert_type(await client.wait(await client.start(waiting, 5.0)), str | None)
        assert_type(await client.start("by name", {"any": 1}), OrchestrationHandle[Any])
        assert_type(await client.start_many(checkout, [order]), list[OrchestrationHandle[Receipt]])
        assert_type(client.handle("an id", Receipt), OrchestrationHandle[Receipt])
        await client.start(
            checkout,
            order,
            instance_id="x",
            version="1",
            tags={"a": "b"},
            start_at=timedelta(hours=1),
            reuse=ReusePolicy.REPLACE_TERMINAL,
            request_id="r",
        )

        await client.start(checkout, "no order")  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
        await client.start(checkout, input="no order")  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
        await client.start(checkout)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
        await client.start(checkout, order, reuse="reject")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
        await client.start_many(checkout, ["no order"])  # type: ignore[misc]  # pyright: ignore[reportArgumentType]

        state = await client.get(handle)
        assert_type(state, OrchestrationState | None)
        assert state is not None
        assert_type(state.status, Status)
        assert_type(state.input(Order), Order)
        assert_type(state.output(Receipt), Receipt)
        assert_type(state.custom_status(int), int | None)
        assert_type(state.failure, FailureDetails | None)
        assert_type(state.completed_at, datetime | None)

        assert_type(await client.raise_event(handle, "approved", Approval("me")), bool)
        assert_type(await client.raise_events([(handle, "a", 1), ("id", "b", None)]), list[bool])
        assert_type(await client.purge(handle), int)
        assert_type(await client.unpark(handle), bool)
        with client.watch(handle) as watch:
            assert_type(await watch.next(timeout=1), OrchestrationState | None)
            async for seen in watch:
                assert_type(seen, OrchestrationState)
        async for each in client.query(statuses=[Status.FAILED], tags={"a": "b"}):
            assert_type(each, OrchestrationState)
        client.query(status=Status.FAILED)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        assert_type(await hub.statistics(), HubStatistics)
        await client.suspend(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
