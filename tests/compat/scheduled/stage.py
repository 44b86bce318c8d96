"""Schedules on a hub in virtual time, and what they have started."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from tests.integration.worlds import World

from durable_async import TaskHub
from durable_async.testing import VirtualEnvironment
from durabletask import task
from durabletask._runtime.texts import TextPayloads
from durabletask._runtime.verbs import Verbs
from durabletask.client import AsyncTaskHubGrpcClient
from durabletask.scheduled import AsyncScheduledTaskClient, ScheduleCreationOptions
from durabletask.serialization import DEFAULT_DATA_CONVERTER, DataConverter
from durabletask.worker import TaskHubGrpcWorker

HOUR = timedelta(hours=1)


@dataclass
class Job:
    """An input that is a dataclass."""

    text: str


@dataclass
class Stage:
    """A hub with a worker that knows schedules.

    Attributes:
        hub: The hub.
        client: Asks it, in the words of the SDK.
        schedules: The client of its schedules.
        ran: What ran, and how many hours after the beginning that was.
    """

    hub: TaskHub
    client: Verbs
    schedules: AsyncScheduledTaskClient
    ran: list[tuple[float, Any]]

    def now(self) -> datetime:
        """Return the store's time, aware, UTC."""
        return datetime.fromtimestamp(self.hub.backend.now_us() / 1e6, UTC)

    def hours(self) -> list[float]:
        """Return when something ran, in hours after the beginning, to the hundredth."""
        return [hours for hours, _ in self.ran]

    async def ids(self) -> set[str]:
        """Return the ids of what the schedules have started."""
        states = await self.client.get_all_orchestration_states()
        return {state.instance_id for state in states if state.name in ("work", "long_work")}


def options(schedule_id: str = "s", **changed: Any) -> ScheduleCreationOptions:
    """Return the options of a schedule that works every hour."""
    given = {"orchestration_name": "work", "interval": HOUR}
    return ScheduleCreationOptions(schedule_id, **{**given, **changed})


@asynccontextmanager
async def staged(
    env: VirtualEnvironment, world: World, *, converter: DataConverter = DEFAULT_DATA_CONVERTER
) -> AsyncIterator[Stage]:
    """Open the world's hub with a worker."""
    ran: list[tuple[float, Any]] = []
    worker = TaskHubGrpcWorker(data_converter=converter)
    worker.configure_scheduled_tasks()
    for function in _program(ran, env.monotonic):
        worker.add_orchestrator(function)
    registry = worker._native_registry()
    async with world.hub(env, registry, payloads=TextPayloads()) as hub, hub.worker():
        client = Verbs(hub, converter=converter, logger=logging.getLogger("test"))
        schedules = AsyncScheduledTaskClient(cast("AsyncTaskHubGrpcClient", client))
        yield Stage(hub, client, schedules, ran)


def _program(ran: list[tuple[float, Any]], monotonic: Callable[[], float]) -> list[Any]:
    def work(ctx: task.OrchestrationContext, input: Any) -> Any:
        ran.append((round(monotonic() / 3_600, 2), input))
        return input

    def long_work(ctx: task.OrchestrationContext, input: Any) -> Any:
        if not ctx.is_replaying:
            ran.append((round(monotonic() / 3_600, 2), input))
        yield ctx.create_timer(1.5 * HOUR)

    return [work, long_work]
