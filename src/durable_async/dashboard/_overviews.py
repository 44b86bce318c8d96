"""Costly looks at the whole hub, which all visits share: a dashboard that many have open is to be no load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

import anyio

from durable_async.client import OrchestrationState
from durable_async.hub import TaskHub
from durable_async.model.moments import instant
from durable_async.model.records import HubStatistics, QueryOrder
from durable_async.model.status import Status

T = TypeVar("T")

KEPT_SECONDS_MIN = 2.0
KEPT_SHARE = 20
"""A look is repeated at most after this many times as long as it took: no more than a twentieth of one connection's time goes there."""

MINUTES = 60
PULSE_INSTANCES_MAX = 5_000
PULSE_PAGE = 500


class Shared(Generic[T]):
    """What was seen last, kept for a time that follows from what it costs to look."""

    def __init__(self, hub: TaskHub, look: Callable[[], Awaitable[T]]) -> None:
        self._hub = hub
        self._look = look
        self._lock = anyio.Lock()
        self._seen: T | None = None
        self._due_us = 0

    async def get(self) -> T:
        """Return what was seen, a little while ago at most. Of many who ask at once, one looks."""
        async with self._lock:
            began_us = self._hub.backend.now_us()
            if self._seen is None or began_us >= self._due_us:
                self._seen = await self._look()
                now_us = self._hub.backend.now_us()
                kept_us = max(KEPT_SECONDS_MIN * 1e6, (now_us - began_us) * KEPT_SHARE)
                self._due_us = now_us + round(kept_us)
            return self._seen


@dataclass(frozen=True, slots=True)
class Pulse:
    """What began and ended in the last hour, minute by minute.

    Attributes:
        started: How many began in each of the sixty minutes, the oldest first.
        completed: How many came to their end.
        failed: How many failed.
        terminated: How many were terminated.
        seen_from: Since when all of them were counted, where there were too many to count; else ``None``.
    """

    started: list[int]
    completed: list[int]
    failed: list[int]
    terminated: list[int]
    seen_from: datetime | None


class Overviews:
    """The looks themselves."""

    def __init__(self, hub: TaskHub) -> None:
        self._hub = hub
        self.counts: Shared[tuple[HubStatistics, int]] = Shared(hub, self._count)
        self.pulse: Shared[Pulse] = Shared(hub, self._take_pulse)

    async def _count(self) -> tuple[HubStatistics, int]:
        """Count what there is, and how many of the entities are schedules."""
        schedules = 0
        async for _ in self._hub.schedules.list(page_size=PULSE_PAGE):
            schedules += 1
        return await self._hub.statistics(), schedules

    async def _take_pulse(self) -> Pulse:
        now = instant(self._hub.backend.now_us())
        begin = now.replace(second=0, microsecond=0) - timedelta(minutes=MINUTES - 1)
        client = self._hub.client
        started, started_from = await _latest(
            lambda page: client.query_page(
                created_from=begin, order=QueryOrder.NEWEST, limit=PULSE_PAGE, page=page
            ),
            lambda state: state.created_at,
        )
        ended, ended_from = await _latest(
            lambda page: client.query_page(
                completed_from=begin, order=QueryOrder.LATEST, limit=PULSE_PAGE, page=page
            ),
            lambda state: state.completed_at or now,
        )

        def ended_as(wanted: Status) -> list[int]:
            return _by_minute((at for at, status in ended if status is wanted), begin)

        return Pulse(
            started=_by_minute((at for at, _ in started), begin),
            completed=ended_as(Status.COMPLETED),
            failed=ended_as(Status.FAILED),
            terminated=ended_as(Status.TERMINATED),
            seen_from=max(filter(None, (started_from, ended_from)), default=None),
        )


async def _latest(
    ask: Callable[[str | None], Awaitable[tuple[list[OrchestrationState], str | None]]],
    at: Callable[[OrchestrationState], datetime],
) -> tuple[list[tuple[datetime, Status]], datetime | None]:
    """Return the latest moments, and since when none is left out; ``None`` if none is."""
    found: list[tuple[datetime, Status]] = []
    page: str | None = None
    for _ in range(PULSE_INSTANCES_MAX // PULSE_PAGE):
        states, page = await ask(page)
        found += [(at(state), state.status) for state in states]
        if page is None:
            return found, None
    return found, found[-1][0]


def _by_minute(moments: Iterable[datetime], begin: datetime) -> list[int]:
    """Count moments, minute by minute; what came while it was counted is in the last one."""
    passed = ((at - begin) // timedelta(minutes=1) for at in moments)
    minutes = Counter(min(minute, MINUTES - 1) for minute in passed)
    return [minutes[minute] for minute in range(MINUTES)]
