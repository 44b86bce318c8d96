"""What programs of the Durable Task SDK say to `durabletask`, for type checkers to read; nothing here is run.

Each ``assert_type`` must hold. Each line with an ignore must be an error: an ignore that is not needed is one itself.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, assert_type

from durabletask import client, entities, task, worker


@dataclass
class Order:
    product: str
    cost: float


def place(ctx: task.ActivityContext, order: Order) -> str:
    return order.product


async def place_slowly(ctx: task.ActivityContext, order: Order) -> str:
    return order.product


def child(ctx: task.OrchestrationContext, order: Order) -> Generator[task.Task[Any], Any, int]:
    yield ctx.call_activity(place, input=order)
    return 1


async def async_child(ctx: task.OrchestrationContext, order: Order) -> int:
    return len(await ctx.call_activity(place, input=order))


def plain_child(ctx: task.OrchestrationContext, order: Order) -> int:
    return 1


def purchase(ctx: task.OrchestrationContext, order: Order) -> Generator[task.Task[Any], Any, str]:
    policy = task.RetryPolicy(first_retry_interval=timedelta(seconds=1), max_number_of_attempts=3)
    cart = entities.EntityInstanceId("cart", "Mia")

    placed = ctx.call_activity(place, input=order, retry_policy=policy)
    assert_type(placed, task.CompletableTask[str])
    assert_type(ctx.call_activity(place_slowly, input=order), task.CompletableTask[str])
    assert_type(ctx.call_activity("place", input=order), task.CompletableTask[Any])
    assert_type(ctx.call_activity("place", return_type=Order), task.CompletableTask[Order])
    assert_type(ctx.call_activity(place, return_type=bytes), task.CompletableTask[bytes])

    assert_type(ctx.call_sub_orchestrator(child, input=order), task.CompletableTask[int])
    assert_type(ctx.call_sub_orchestrator(async_child, input=order), task.CompletableTask[int])
    assert_type(ctx.call_sub_orchestrator(plain_child, input=order), task.CompletableTask[int])
    assert_type(ctx.call_sub_orchestrator("child"), task.CompletableTask[Any])
    assert_type(ctx.call_sub_orchestrator("child", return_type=int), task.CompletableTask[int])

    assert_type(ctx.call_entity(cart, "total"), task.CompletableTask[Any])
    assert_type(ctx.call_entity(cart, "total", return_type=float), task.CompletableTask[float])

    approval = ctx.wait_for_external_event("approved", data_type=Order)
    assert_type(approval, task.CancellableTask[Order])
    assert_type(ctx.wait_for_external_event("approved"), task.CancellableTask[Any])
    winner = yield task.when_any([approval, ctx.create_timer(timedelta(days=1))])
    assert_type(task.when_all([approval, approval]), task.WhenAllTask[Order])
    if winner == approval:
        return approval.get_result().product
    with (yield ctx.lock_entities([cart])):
        yield ctx.call_entity(cart, "empty")
    return placed.get_result()


async def quote(ctx: task.OrchestrationContext, order: Order) -> str:
    assert_type(await ctx.call_activity(place, input=order), str)
    both = await task.when_all([ctx.call_activity(place, input=order) for _ in range(2)])
    assert_type(both, list[str])
    return await ctx.call_activity(place_slowly, input=order)


def main() -> None:
    with worker.TaskHubGrpcWorker() as w, client.TaskHubGrpcClient() as c:
        w.add_orchestrator(purchase)
        w.add_orchestrator(quote)
        w.add_activity(place)
        w.add_activity(place_slowly)
        w.start()
        instance_id = c.schedule_new_orchestration(purchase, input=Order("desk", 80.0))
        assert_type(instance_id, str)
        state = c.wait_for_orchestration_completion(instance_id, timeout=30)
        assert state is not None
        assert_type(state.get_output(str), str | None)
