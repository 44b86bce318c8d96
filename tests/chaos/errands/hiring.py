"""Workers that start orchestrations themselves, from within an activity: these are their own at once, and must not die with them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from workload import Mark, mark, mark_from, registry

from durable_async import BackendUnavailableError, Client, OrchestrationContext

from .programs import Task

HIRED = 4
_AGAIN_SECONDS = 0.05

_office: list[Client] = []


def open_office(client: Client) -> None:
    """Let activities of this process start orchestrations by the client of its own hub."""
    _office[:] = [client]


@dataclass
class Hire(Mark):
    """An activity's input.

    Attributes:
        ids: Of the orchestrations to start.
    """

    ids: list[str]


@registry.activity
async def hire(order: Hire) -> list[str]:
    """Start them, one after the other; begun again after a crash, it repeats the same requests."""
    with mark_from(order):
        for number, instance in enumerate(order.ids):
            await _start(instance, Task(order.ledger, number))
    return order.ids


async def _start(instance: str, task: Task) -> None:
    [client] = _office
    while True:
        try:
            await client.start(hired, task, instance_id=instance, request_id=instance)
        except BackendUnavailableError:
            await asyncio.sleep(_AGAIN_SECONDS)
        else:
            return


@registry.orchestrator
async def hired(ctx: OrchestrationContext, task: Task) -> int:
    """Work a little."""
    await ctx.call_activity(mark, Mark(task.ledger, f"{ctx.instance_id}/{ctx.execution}/0"))
    return task.number


@registry.orchestrator
async def boss(ctx: OrchestrationContext, task: Task) -> list[str]:
    """Have some hired; they are nobody's children."""
    key = f"{ctx.instance_id}/{ctx.execution}/0"
    return await ctx.call_activity(hire, Hire(task.ledger, key, ids_of(ctx.instance_id)))


def ids_of(boss_id: str) -> list[str]:
    """Return whom a boss has hired."""
    return [f"{boss_id}-hired-{number}" for number in range(HIRED)]
