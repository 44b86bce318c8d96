"""Schedules as people use them, for type checkers to read; nothing here is run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, assert_type

from durable_async import OrchestrationContext, OrchestrationHandle, TaskHub, orchestrator
from durable_async.schedules import (
    CatchUp,
    IfExists,
    Overlap,
    ScheduleRun,
    Schedules,
    ScheduleState,
)


@dataclass
class Order:
    id: int


@orchestrator
async def checkout(ctx: OrchestrationContext, order: Order) -> str:
    return str(order.id)


@orchestrator
async def report(ctx: OrchestrationContext) -> None: ...


async def main() -> None:
    async with TaskHub.open("memory://") as hub:
        schedules = hub.schedules
        assert_type(schedules, Schedules)
        made = await schedules.create("s", checkout, Order(1), every=timedelta(hours=1))
        assert_type(made, ScheduleState)
        assert_type(made.runs, tuple[ScheduleRun, ...])
        assert_type(made.next_tick, datetime | None)
        await schedules.create(
            "s",
            report,
            cron="@daily",
            time_zone="Europe/Berlin",
            overlap=Overlap.ALLOW,
            catch_up=CatchUp.ALL,
            if_exists=IfExists.KEEP,
        )
        await schedules.create("s", checkout, input=Order(1), every=1)
        await schedules.create("s", "by name", {"any": 1}, at=datetime.now())
        assert_type(await schedules.get("s"), ScheduleState | None)
        assert_type(await schedules.trigger("s", request_id="click"), OrchestrationHandle[Any])
        assert_type(await schedules.preview_update("s", input=Order(3)), ScheduleState)
        assert_type(schedules.preview(cron="@daily"), tuple[datetime, ...])
        async for one in schedules.list(prefix="s"):
            assert_type(one, ScheduleState)
        await schedules.update("s", orchestrator=checkout, input=Order(2), jitter=5)

        await schedules.create("s", checkout, "no order", every=1)  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
        await schedules.create("s", checkout, every=1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
        await schedules.create("s", report, evry=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
        await schedules.update("s", overlap="skip")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await schedules.backfill("s", "yesterday", "now")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
