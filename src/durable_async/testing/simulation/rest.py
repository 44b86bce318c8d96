"""When a system is at rest: nothing changes any more, and nobody has anything to do that time alone would bring."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence

import anyio

from durable_async.backend import Backend
from durable_async.model.history import (
    ActivityCancelRequested,
    ActivityCompleted,
    ActivityFailed,
    ActivityScheduled,
    HistoryEvent,
    TimerCancelled,
    TimerCreated,
    TimerFired,
)
from durable_async.model.records import EntityFilter, InstanceFilter, InstanceRecord
from durable_async.model.status import Status

from .violations import StuckError
from .world import World

BOUND_SECONDS = 120.0
"""So long after the last fault everything must have been done."""
HORIZON_SECONDS = 60.0
"""Timers that fall due later than that are not waited for."""
LOOK_SECONDS = 0.5
_PAGE = 1_000


async def settle(world: World) -> None:
    """Wait until a system is at rest.

    Raises:
        StuckError: It is not, after `BOUND_SECONDS`.
    """
    settings = world.settings
    quiet = settings.lease_seconds + 2 * settings.sweep_seconds + settings.poll_seconds
    world.changed_at = world.loop.time()  # what workloads did last must take effect, too
    deadline = world.changed_at + BOUND_SECONDS
    while True:
        await anyio.sleep(LOOK_SECONDS)
        is_late = world.loop.time() > deadline
        if is_late or world.loop.time() - world.changed_at >= quiet:
            left = [one async for one in _unfinished(world)]
            if not left and not await _awaited_entities(world.judge):
                return
            if is_late and left:
                raise StuckError("not done", where=left[0], left=left[:10])
            if is_late:
                return  # an entity may be locked by somebody who waits for what never comes


async def _unfinished(world: World) -> AsyncIterator[str]:
    going = InstanceFilter(statuses=(Status.PENDING, Status.RUNNING), parked=False)
    page = await world.judge.query(going, limit=_PAGE, page=None, payloads=False)
    horizon_us = world.judge.now_us() + round(HORIZON_SECONDS * 1e6)
    for record in page.items:
        if record.name in world.registry.orchestrators:
            _, history = world.recorded(record.instance_id)
            for why in _reasons(record, history, horizon_us):
                yield f"{record.instance_id} ({record.name}): {why}"


def _reasons(
    record: InstanceRecord, history: Sequence[HistoryEvent], horizon_us: int
) -> Iterator[str]:
    if record.status is Status.PENDING and record.start_at_us <= horizon_us:
        yield "has not begun"
    for seq, name in _open_activities(history).items():
        yield f"activity {name} ({seq}) has no outcome"
    for seq, due_us in _open_timers(history).items():
        if due_us <= horizon_us:
            yield f"timer {seq} has not fired"


def _open_activities(history: Sequence[HistoryEvent]) -> dict[int, str]:
    found: dict[int, str] = {}
    for event in history:
        if isinstance(event, ActivityScheduled):
            found[event.seq] = event.name
        elif isinstance(event, ActivityCompleted | ActivityCancelRequested) or (
            isinstance(event, ActivityFailed) and event.retry_at_us is None
        ):
            found.pop(event.seq, None)
    return found


def _open_timers(history: Sequence[HistoryEvent]) -> dict[int, int]:
    found: dict[int, int] = {}
    for event in history:
        if isinstance(event, TimerCreated):
            found[event.seq] = event.fire_at_us
        elif isinstance(event, TimerFired | TimerCancelled):
            found.pop(event.seq, None)
    return found


async def _awaited_entities(judge: Backend) -> list[str]:
    """Return the entities that have letters to read, and are not parked."""
    page = await judge.query_entities(EntityFilter(), limit=_PAGE, page=None)
    return [record.instance_id for record in page.items if record.letters and record.parked is None]
