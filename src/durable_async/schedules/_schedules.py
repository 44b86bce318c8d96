"""Schedules: what `TaskHub.schedules` is."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime
from itertools import islice, takewhile
from typing import Any, Concatenate, ParamSpec, TypeVar, Unpack, overload

from durable_async.client import Client, EntityState, OrchestrationHandle
from durable_async.errors import (
    DecodeError,
    LimitExceededError,
    MissingExtraError,
    ScheduleExistsError,
    ScheduleNotFoundError,
    ValidationError,
    shown,
)
from durable_async.model.arguments import check_flag, check_reason
from durable_async.model.identity import EntityId, check_name
from durable_async.model.moments import instant
from durable_async.registry import Orchestrator
from durable_async.serialization import DataConverter

from ._asking import Asking
from ._cron import zone_of
from ._entity import NAME, ScheduleEntity
from ._options import changed, check, entity_of, moment_of
from ._record import ScheduleRecord
from ._ticks import MICROSECOND, run_id, tick_text, ticks_after
from .spec import IfExists, ScheduleChanges, ScheduleOptions, ScheduleSpec
from .state import ScheduleState

In = TypeVar("In")
P = ParamSpec("P")

BACKFILL_MAX = 10_000
BACKFILL_BATCH = 100
TICKS_MAX = 1_000

_log = logging.getLogger("durable_async")


class Schedules:
    """Creates, watches and steers the schedules of one task hub, from any process.

        await hub.schedules.create("report", write_report, cron="0 9 * * MON-FRI", time_zone="Europe/Berlin")

    Workers carry them out, each that a hub makes; no process is in charge. What a verb says has happened when it returns. If no worker is there
    to answer it, it runs one for itself, which takes nothing but schedules.

    Args:
        client: The hub's.
        payloads: The hub's.
        now_us: The store's clock.
        new_id: Makes ids of requests.
        serve: Makes a worker that takes nothing but schedules.
    """

    def __init__(
        self,
        client: Client,
        payloads: DataConverter,
        now_us: Callable[[], int],
        new_id: Callable[[], str],
        serve: Callable[[], AbstractAsyncContextManager[object]],
    ) -> None:
        self._client = client
        self._payloads = payloads
        self._now_us = now_us
        self._new_id = new_id
        self._asking = Asking(client, new_id, serve)

    # -- making and changing

    @overload
    async def create(
        self,
        schedule_id: str,
        orchestrator: Orchestrator[None, Any],
        /,
        *,
        if_exists: IfExists = ...,
        paused: bool = ...,
        reason: str | None = ...,
        **options: Unpack[ScheduleOptions],
    ) -> ScheduleState: ...
    @overload
    async def create(
        self,
        schedule_id: str,
        orchestrator: Orchestrator[In, Any],
        /,
        input: In,
        *,
        if_exists: IfExists = ...,
        paused: bool = ...,
        reason: str | None = ...,
        **options: Unpack[ScheduleOptions],
    ) -> ScheduleState: ...
    @overload
    async def create(
        self,
        schedule_id: str,
        orchestrator: str,
        /,
        input: Any = ...,
        *,
        if_exists: IfExists = ...,
        paused: bool = ...,
        reason: str | None = ...,
        **options: Unpack[ScheduleOptions],
    ) -> ScheduleState: ...
    async def create(
        self,
        schedule_id: str,
        orchestrator: Any,
        /,
        input: Any = None,
        *,
        if_exists: IfExists = IfExists.REJECT,
        paused: bool = False,
        reason: str | None = None,
        **options: Unpack[ScheduleOptions],
    ) -> ScheduleState:
        """Create a schedule. Its ticks begin now: what its times would have been before is not caught up with.

        Args:
            schedule_id: Its id.
            orchestrator: What it starts: the decorated function, or its name.
            input: The input of each run.
            if_exists: What to do if the id is taken.
            paused: Whether it begins paused.
            reason: Why it does.
            **options: When, and what to do if that cannot be done in time; see `ScheduleOptions`.

        Raises:
            ScheduleExistsError: The id is taken.
            ValidationError: An argument is refused, or no tick is yet to come; nothing was written.
            MissingExtraError: ``cron`` is asked for, and the extra ``schedules`` is not installed.
            EncodeError: The input cannot be stored.
            WaitTimeoutError: The store's workers did not answer.
        """
        entity = entity_of(schedule_id)
        if not isinstance(if_exists, IfExists):
            raise ValidationError("if_exists", f"must be an IfExists, not {shown(if_exists)}")
        given = {**options, "orchestrator": orchestrator, "input": input}
        spec = changed(None, given, self._payloads)
        there = await self._record(entity)
        is_new = there is None or spec.timing != there.spec.timing
        check(spec, schedule_id, self._now(), is_new_time=is_new)
        created = await self._asking.ask(
            entity,
            ScheduleEntity.create,
            spec,
            if_exists,
            check_flag(paused, "paused"),
            check_reason(reason),
        )
        if created.was_there and if_exists is IfExists.REJECT:
            raise ScheduleExistsError(schedule_id)
        return ScheduleState.of(schedule_id, created.record)

    async def update(
        self, schedule_id: str, /, **changes: Unpack[ScheduleChanges]
    ) -> ScheduleState:
        """Change some of what a schedule was created with; the rest stays. What runs is not touched.

        Another ``cron``, ``every`` or ``at`` takes the place of the one before. Other times count from now on. Another ``orchestrator`` is
        given the same input, unless it takes none.

        Raises:
            ScheduleNotFoundError: There is no such schedule.
            ValidationError: A change is refused; nothing was written.
        """
        entity = entity_of(schedule_id)
        before = (await self._existing(entity)).spec
        spec = self._changed(schedule_id, before, changes)
        fields = [
            name
            for name in ScheduleSpec.__dataclass_fields__
            if getattr(spec, name) != getattr(before, name)
        ]
        record = await self._asking.ask(entity, ScheduleEntity.update, spec, fields)
        return _state(entity, record)

    async def preview_update(
        self, schedule_id: str, /, *, ticks: int = 5, **changes: Unpack[ScheduleChanges]
    ) -> ScheduleState:
        """Return a schedule as `update` would leave it, with its next ticks; nothing is changed.

        Of one that is paused they are the ticks that it would have if it was resumed now.

        Args:
            schedule_id: Which one.
            ticks: How many of the next ones are wanted, up to 1,000.
            **changes: As for `update`.

        Raises:
            ScheduleNotFoundError: There is no such schedule.
            ValidationError: A change is refused.
            MissingExtraError: ``cron`` is asked for, and the extra ``schedules`` is not installed.
        """
        record, now = await self._existing(entity_of(schedule_id)), self._now()
        record.take(self._changed(schedule_id, record.spec, changes), now)
        if record.paused:
            record.begin_at(now)
        following = tuple(islice(record.ticks(), _count(ticks)))
        coming = None if record.paused else next(record.ticks(), None)
        state = ScheduleState.of(schedule_id, record)
        return replace(state, next_tick=coming, next_ticks=following)

    def _changed(
        self, schedule_id: str, before: ScheduleSpec, changes: ScheduleChanges
    ) -> ScheduleSpec:
        """Return a specification with changes, if that can be carried out."""
        spec = changed(before, changes, self._payloads)
        is_new = spec.timing != replace(before, end=spec.end).timing  # an end may be now
        check(spec, schedule_id, self._now(), is_new_time=is_new)
        return spec

    async def pause(self, schedule_id: str, /, reason: str | None = None) -> ScheduleState:
        """Let ticks pass by until it is resumed; what runs goes on. Twice is once, with the later reason.

        Raises:
            ScheduleNotFoundError: There is no such schedule.
        """
        return await self._steer(schedule_id, ScheduleEntity.pause, check_reason(reason))

    async def resume(self, schedule_id: str, /) -> ScheduleState:
        """Let a paused schedule go on with its next tick; for those that passed by there is `backfill`. Twice is once.

        One that is parked is put back. One that waits because the store's clock was set back begins with the next tick that has no run.

        Raises:
            ScheduleNotFoundError: There is no such schedule.
        """
        entity = entity_of(schedule_id)
        found = await self._client.get_entity(entity)
        if found is not None and found.parked is not None:
            await self._client.unpark(entity)
        if found is not None and found.parked_operations:
            await self._client.retry_parked_operations(entity)
        return await self._steer(schedule_id, ScheduleEntity.resume)

    async def delete(self, schedule_id: str, /) -> None:
        """End a schedule; what runs goes on.

        Raises:
            ScheduleNotFoundError: There is no such schedule.
        """
        entity = entity_of(schedule_id)
        await self._existing(entity)
        if not await self._asking.ask(entity, ScheduleEntity.remove):
            raise ScheduleNotFoundError(schedule_id)

    # -- runs

    async def trigger(
        self, schedule_id: str, /, *, request_id: str | None = None
    ) -> OrchestrationHandle[Any]:
        """Start a run now, also if it is paused or another one is going on; its ticks stay as they are.

        Args:
            schedule_id: Which one.
            request_id: Repeating the call with the same one, within a day, gives the same run and starts nothing more.

        Raises:
            ScheduleNotFoundError: There is no such schedule.
            ValidationError: An argument is refused.
        """
        entity = entity_of(schedule_id)
        once = self._new_id() if request_id is None else _request_of(schedule_id, request_id)
        await self._existing(entity)
        instance_id = await self._asking.ask_once(once, entity, ScheduleEntity.trigger)
        if instance_id is None:
            raise ScheduleNotFoundError(schedule_id)
        return self._client.handle(instance_id)

    async def backfill(
        self, schedule_id: str, /, start: datetime, end: datetime, *, dry_run: bool = False
    ) -> Sequence[str]:
        """Start the runs of ticks that are past and have none in the store, all at once; return their instance ids.

        Args:
            schedule_id: Which one.
            start: From when on, inclusive; a naive time is in the schedule's time zone.
            end: Until when, inclusive.
            dry_run: Only return which would be started.

        Raises:
            ScheduleNotFoundError: There is no such schedule.
            LimitExceededError: There are more than 10,000 such ticks; nothing was started.
            ValidationError: An argument is refused.
        """
        entity = entity_of(schedule_id)
        record = await self._existing(entity)
        ticks = self._past_ticks(record, start, end)
        if check_flag(dry_run, "dry_run"):
            ids = [run_id(record.spec, schedule_id, tick) for tick in ticks]
            states = await self._client.get_many(ids, payloads=False)
            return [one for one, state in zip(ids, states, strict=True) if state is None]
        started: list[str] = []
        for first in range(0, len(ticks), BACKFILL_BATCH):
            batch = ticks[first : first + BACKFILL_BATCH]
            more = await self._asking.ask(entity, ScheduleEntity.backfill, [*batch])
            if more is None:
                raise ScheduleNotFoundError(schedule_id)
            started += more
        return started

    def _past_ticks(self, record: ScheduleRecord, start: Any, end: Any) -> Sequence[datetime]:
        zone = zone_of(record.spec.time_zone)
        first, last = moment_of(start, "start", zone), moment_of(end, "end", zone)
        if first is None or last is None:
            raise ValidationError("start" if first is None else "end", "must be a datetime")
        last = min(last, self._now())
        due = takewhile(lambda tick: tick <= last, record.ticks(first - MICROSECOND))
        ticks = list(islice(due, BACKFILL_MAX + 1))
        if len(ticks) > BACKFILL_MAX:
            advice = "take one part after the other"
            raise LimitExceededError("ticks", len(ticks), BACKFILL_MAX, advice)
        return ticks

    # -- looking

    async def get(self, schedule_id: str, /) -> ScheduleState | None:
        """Return a schedule as it is now, or ``None`` if there is none."""
        entity = entity_of(schedule_id)
        record = await self._record(entity)
        return None if record is None else ScheduleState.of(schedule_id, record)

    async def describe(self, schedule_id: str, /, *, ticks: int = 5) -> ScheduleState:
        """Return a schedule with its next ticks, and what became of its last runs.

        Args:
            schedule_id: Which one.
            ticks: How many of the next ones are wanted, up to 1,000.

        Raises:
            ScheduleNotFoundError: There is no such schedule.
        """
        record = await self._existing(entity_of(schedule_id))
        state = ScheduleState.of(schedule_id, record)
        states = await self._client.get_many(
            [run.instance_id for run in state.runs], payloads=False
        )
        runs = [
            replace(run, status=None if seen is None else seen.status)
            for run, seen in zip(state.runs, states, strict=True)
        ]
        coming = state.next_ticks if record.paused else self._coming(record, _count(ticks))
        return replace(state, runs=tuple(runs), next_ticks=coming)

    def _coming(self, record: ScheduleRecord, count: int) -> tuple[datetime, ...]:
        try:
            return tuple(islice(record.ticks(), count))
        except MissingExtraError:  # the workers have it: they know the next one
            return () if record.next_tick is None else (record.next_tick,)

    def preview(
        self, *, ticks: int = 5, **options: Unpack[ScheduleChanges]
    ) -> tuple[datetime, ...]:
        """Return the next ticks that a schedule with these options would have, UTC; nothing is created.

        Args:
            ticks: How many are wanted, up to 1,000.
            **options: As for `create`; what it would start, and with which input, may be left out.

        Raises:
            ValidationError: The options are refused.
            MissingExtraError: ``cron`` is asked for, and the extra ``schedules`` is not installed.
        """
        spec = changed(None, options, self._payloads)
        now = self._now()
        check(spec, "preview", now, is_new_time=True)
        return tuple(islice(ticks_after(spec, now, now), _count(ticks)))

    async def list(self, *, prefix: str = "", page_size: int = 100) -> AsyncIterator[ScheduleState]:
        """Go through the schedules in order of their ids, page by page; without what became of their runs.

        Args:
            prefix: Their ids begin with it.
            page_size: How many are read at a time.
        """
        page: str | None = None
        while True:
            found, page = await self.list_page(limit=page_size, page=page, prefix=prefix)
            for state in found:
                yield state
            if page is None:
                return

    async def list_page(
        self, *, limit: int = 100, page: str | None = None, prefix: str = ""
    ) -> tuple[tuple[ScheduleState, ...], str | None]:
        """Return one page of schedules, and what to pass for the next one; ``None`` after the last. A page may hold fewer than asked for."""
        found, next_page = await self._client.query_entities_page(
            ScheduleRecord, limit=limit, page=page, name=NAME, key_prefix=prefix
        )
        states: list[ScheduleState] = []
        for one in found:
            try:
                record = self._read(one)
            except DecodeError as error:  # must not hide the others
                _log.warning("schedule %r cannot be read: %s", one.entity_id.key, error)
                continue
            if record is not None:
                states.append(ScheduleState.of(one.entity_id.key, record))
        return tuple(states), next_page

    # -- asking

    async def _steer(
        self,
        schedule_id: str,
        verb: Callable[Concatenate[ScheduleEntity, P], Coroutine[Any, Any, ScheduleRecord | None]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> ScheduleState:
        entity = entity_of(schedule_id)
        await self._existing(entity)
        return _state(entity, await self._asking.ask(entity, verb, *args, **kwargs))

    async def _existing(self, entity: EntityId) -> ScheduleRecord:
        record = await self._record(entity)
        if record is None:
            raise ScheduleNotFoundError(entity.key)
        return record

    async def _record(self, entity: EntityId) -> ScheduleRecord | None:
        found = await self._client.get_entity(entity, ScheduleRecord)
        return None if found is None else self._read(found)

    def _read(self, found: EntityState[ScheduleRecord]) -> ScheduleRecord | None:
        """Return what is stored of a schedule; that it is parked is its problem, and that it is ahead of the clock."""
        record = found.state
        reasons = [found.parked, *(one.reason for one in found.parked_operations)]
        parked = next((reason for reason in reasons if reason is not None), None)
        if record is None:
            return None
        if parked is not None:
            record.problem = f"parked: {parked}"
        elif record.problem is None and not record.paused and record.is_ahead(self._now()):
            until = tick_text(record.looked_until)
            record.problem = f"the clock was set back, and ticks up to {until} have been dealt with: it waits until then, or until it is resumed"
        return record

    def _now(self) -> datetime:
        return instant(self._now_us())


def _state(entity: EntityId, record: ScheduleRecord | None) -> ScheduleState:
    if record is None:
        raise ScheduleNotFoundError(entity.key)
    return ScheduleState.of(entity.key, record)


def _request_of(schedule_id: str, request_id: str) -> str:
    """Return a request of one schedule: the same id for another schedule is another request."""
    text = json.dumps([schedule_id, check_name(request_id, "request_id")])
    return f"trigger:{hashlib.sha256(text.encode()).hexdigest()}"


def _count(count: Any) -> int:
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= TICKS_MAX:
        raise ValidationError(
            "ticks", f"must be a whole number, 0 to {TICKS_MAX:,}, not {shown(count)}"
        )
    return count
