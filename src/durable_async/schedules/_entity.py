"""The schedule itself: an entity that sleeps on a signal to itself, and starts orchestrations.

What an operation starts, and that the tick has been dealt with, are one commit, so that there is one run for a tick however many workers
there are, and however often they die. An operation looks at earlier runs first, since that may fail; only then does it decide and start.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar

from durable_async.client import Client
from durable_async.errors import BackendUnavailableError, ConfigurationError, InstanceNotFoundError
from durable_async.registry import Entity, SystemRegistry
from durable_async.telemetry import Signals, TicksMissed

from . import _due
from ._record import FORMAT, GOING_KEPT, RunRecord, ScheduleRecord
from ._ticks import MICROSECOND, delay_of, run_id, tick_text
from .spec import IfExists, Overlap, ScheduleSpec

NAME = "durable_async.schedule"

KINDS = frozenset({"cron", "every", "at"})
"""One of them says when the ticks are."""

SLEEP_MAX = timedelta(days=1)
"""It looks at the calendar at least so often: what a time zone is may have been decided anew."""

RETRY_SECONDS = 30.0
"""After so long it tries again what went wrong."""

LOOKS_OF_CHANGE_MAX = 20
"""So often what is due is looked at before other times count; what is due then still is passed over."""

PROBLEM_CHARS_MAX = 500

TOO_MANY = f"more than {GOING_KEPT:,} runs go on: the oldest have been forgotten"

_log = logging.getLogger("durable_async")

_uncommitted: ContextVar[set[str] | None] = ContextVar("durable_async_uncommitted", default=None)
"""Which runs the operations of one turn have started: they are in the store once that is durable. A turn is a task, and so has a context of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """What came of creating a schedule.

    Attributes:
        record: The one that is there now.
        was_there: Whether it was there before.
    """

    record: ScheduleRecord
    was_there: bool


class ScheduleEntity(Entity[ScheduleRecord]):
    """One schedule. Its operations do not raise: those that find none return ``None``."""

    client: ClassVar[Client]
    signals: ClassVar[Signals | None] = None
    hub: ClassVar[str] = "default"

    # -- what its user asks for

    async def create(
        self, spec: ScheduleSpec, if_exists: IfExists, paused: bool, reason: str | None
    ) -> Created:
        """Begin, or do with the one that is there what is asked for."""
        record = self._stored()
        if record is not None:
            if if_exists is IfExists.UPDATE and spec != record.spec:
                await self._change(record, spec)
            return Created(record=record, was_there=True)
        now = self.context.now()
        until = now if spec.at is None else min(now, spec.at - MICROSECOND)
        record = ScheduleRecord(
            spec=spec,
            created_at=now,
            updated_at=now,
            anchor=now,
            looked_until=until,
            paused=paused,
            reason=reason,
        )
        self._rest(record)
        return Created(record=record, was_there=False)

    async def update(self, spec: ScheduleSpec, fields: list[str]) -> ScheduleRecord | None:
        """Take some fields of a specification over."""
        record = self._stored()
        if record is not None:
            if not KINDS.isdisjoint(
                fields
            ):  # whoever asked may not have seen the one that is there
                fields = [*{*fields, *KINDS}]
            changes = {name: getattr(spec, name) for name in fields}
            await self._change(record, replace(record.spec, **changes))
        return record

    async def pause(self, reason: str | None) -> ScheduleRecord | None:
        """Let ticks pass by, and forget those that wait."""
        record = self._stored()
        if record is not None:
            record.paused, record.reason = True, reason
            record.forget_waiting()
            self._touch(record)
        return record

    async def resume(self) -> ScheduleRecord | None:
        """Begin with the next tick, also if it was dealt with before the clock was set back; those that passed by stay so."""
        record = self._stored()
        now = self.context.now()
        if record is not None and (record.paused or record.is_ahead(now)):
            record.paused, record.reason = False, None
            record.begin_at(now)
            self._touch(record)
        return record

    async def trigger(self) -> str | None:
        """Start a run now, whatever is going on, and return its id."""
        record = self._stored()
        if record is None:
            return None
        await self._make_room(record, 1)
        now = self.context.now()
        triggers = [run.tick for run in record.runs if run.is_triggered]
        if triggers and now <= triggers[-1]:
            now = triggers[-1] + MICROSECOND  # two in one turn see one time
        run = self._start(record, now, is_triggered=True)
        self._rest(record)
        return run

    async def backfill(self, ticks: list[datetime]) -> list[str] | None:
        """Start the runs of past ticks that have none in the store, and return their ids."""
        record = self._stored()
        if record is None:
            return None
        await self._make_room(record, len(ticks))
        past = self.context.now() if record.paused else record.looked_until
        key = self.context.entity_id.key
        runs = {run_id(record.spec, key, tick): tick for tick in ticks if tick <= past}
        started = await self._without_run(runs)
        for instance_id in started:
            self._start(record, runs[instance_id])
        record.waiting = [tick for tick in record.waiting if tick not in ticks]
        self._rest(record)
        return started

    async def remove(self) -> bool:
        """End it; its runs go on. Says whether it was there."""
        was_there = self._stored() is not None
        if was_there:
            self.delete_state()
        return was_there

    # -- what it asks of itself

    async def wake(self, due: datetime) -> None:
        """Deal with the ticks that are due. A signal that it does not sleep on any more is nothing.

        Nobody would send another one if this failed; so it does not, and tries again.
        """
        try:
            record = self._stored()
            if record is None or record.wake_at != due:
                return
            # Its own signal is never early by the store's clock.
            seen = await self._look(record, max(self.context.now(), due))
        except Exception as error:  # noqa: BLE001 - the store, the zones of this machine, a state of another release
            self._try_again(due, error)
            return
        record.wake_at = None
        if seen is None:
            self._rest(record)
            return
        if record.problem != TOO_MANY or len(record.going) < GOING_KEPT:
            record.problem = None
        self._deal_with(record, seen)
        self._rest(record, at_once=seen.has_more)

    def _deal_with(self, record: ScheduleRecord, seen: _due.Look) -> None:
        for tick in _due.decide(record, seen, self.context.now()):
            self._start(record, tick)
        self._tell_missed(seen.missed)

    def _tell_missed(self, count: int) -> None:
        tell = None if self.signals is None else self.signals.ticks_missed
        if count and tell is not None:
            key = self.context.entity_id.key
            tell(TicksMissed(hub=self.hub, schedule_id=key, count=count))

    async def _look(self, record: ScheduleRecord, now: datetime) -> _due.Look | None:
        if record.paused:
            return None
        seen = await self._without_known(record, _due.look(record, now))
        if record.spec.overlap is not Overlap.ALLOW and (seen.chosen or record.waiting):
            await self._see_ends(record)
            if record.spec.overlap is Overlap.TERMINATE_PREVIOUS:
                await self._terminate(record.going)
        next(record.ticks(seen.until), None)  # what cannot be computed fails here
        return seen

    async def _without_known(self, record: ScheduleRecord, seen: _due.Look) -> _due.Look:
        """Leave out what was dealt with before the clock was set back."""
        until = record.known_until
        if until is None or record.looked_until >= until:
            return seen
        known = {*record.waiting, *(run.tick for run in record.runs if not run.is_triggered)}
        key = self.context.entity_id.key
        doubtful = {
            run_id(record.spec, key, tick): tick
            for tick in seen.chosen
            if tick <= until and tick not in known
        }
        new = {doubtful[one] for one in await self._without_run(doubtful)}
        chosen = [tick for tick in seen.chosen if tick > until or tick in new]
        return seen._replace(chosen=chosen)

    async def _see_ends(self, record: ScheduleRecord) -> None:
        """Look at all runs that are remembered: one that has been seen to have ended may have been rewound since."""
        runs = record.runs
        states = await self.client.get_many([run.instance_id for run in runs], payloads=False)
        for run, state in zip(runs, states, strict=True):
            if state is None:  # it was purged, or is not there yet
                run.is_over = not _is_uncommitted(run.instance_id)
            else:
                run.is_over = state.is_ended

    async def _make_room(self, record: ScheduleRecord, count: int) -> None:
        if len(record.going) + count > GOING_KEPT:
            await self._see_ends(record)

    async def _terminate(self, runs: list[RunRecord]) -> None:
        for run in runs:
            try:
                await self.client.terminate(run.instance_id, f"the next tick of {self._name}")
            except InstanceNotFoundError:
                continue

    def _try_again(self, due: datetime, error: Exception) -> None:
        problem = _problem(error)
        _log.warning("%s cannot look at its ticks: %s; it tries again", self._name, problem)
        itself = self.context.entity_id
        self.context.signal_entity_at(RETRY_SECONDS, itself, ScheduleEntity.wake, due)
        try:
            record = self._stored()
        except Exception:  # noqa: BLE001 - it is told above already
            return
        if record is not None:
            record.problem = problem
            self.set_state(record)

    # -- parts of the above

    async def _without_run(self, instance_ids: Iterable[str]) -> list[str]:
        """Return those ids that no run has."""
        ids = list(instance_ids)
        states = await self.client.get_many(ids, payloads=False)
        return [
            one
            for one, state in zip(ids, states, strict=True)
            if state is None and not _is_uncommitted(one)
        ]

    def _stored(self) -> ScheduleRecord | None:
        record = self.get_state()
        if record is not None and record.format > FORMAT:
            raise ConfigurationError(
                f"{self._name} was written by a later release: upgrade durable-async in this process"
            )
        return record

    @property
    def _name(self) -> str:
        return f"schedule {self.context.entity_id.key!r}"

    def _start(self, record: ScheduleRecord, tick: datetime, *, is_triggered: bool = False) -> str:
        spec, schedule_id, now = record.spec, self.context.entity_id.key, self.context.now()
        instance_id = run_id(spec, schedule_id, tick)
        if is_triggered:
            instance_id = f"{schedule_id}:triggered:{tick_text(tick)}"
        delay = None if is_triggered else delay_of(spec, schedule_id, tick)
        self.context.start_orchestration(
            spec.orchestrator,
            spec.input,
            instance_id=instance_id,
            version=self.client.default_version if spec.version is None else spec.version,
            tags={**spec.tags, "schedule": schedule_id},
            start_at=tick + delay if delay else None,
        )
        _note_uncommitted(instance_id)
        record.started += 1
        run = RunRecord(
            instance_id=instance_id, tick=tick, started_at=now, is_triggered=is_triggered
        )
        record.runs.append(run)
        return instance_id

    async def _change(self, record: ScheduleRecord, spec: ScheduleSpec) -> None:
        now = self.context.now()
        if record.begins_anew(spec, now):
            await self._finish(record, now)
        record.take(spec, now)
        self._touch(record)

    async def _finish(self, record: ScheduleRecord, now: datetime) -> None:
        """Deal with what is due, before other times count."""
        for _ in range(LOOKS_OF_CHANGE_MAX):
            try:
                seen = await self._look(record, now)
            except BackendUnavailableError:
                raise
            except Exception as error:  # noqa: BLE001 - what cannot be computed may be what is changed
                _log.warning("%s passes over what is due: %s", self._name, _problem(error))
                return
            if seen is None:
                return
            self._deal_with(record, seen)
            if not seen.has_more:
                return
        _log.warning("%s passes over ticks after %s", self._name, record.looked_until)

    def _touch(self, record: ScheduleRecord) -> None:
        record.updated_at = self.context.now()
        self._rest(record)

    def _rest(self, record: ScheduleRecord, *, at_once: bool = False) -> None:
        """Sleep until there is something to do, and keep all of it."""
        if record.forget_runs():
            record.problem = TOO_MANY
        now = self.context.now()
        moments = [_due.check_at(record, now), self._look_at(record, now, at_once=at_once)]
        known = [moment for moment in moments if moment is not None]
        if known:
            self._wake_at(record, min(known), now)
        self.set_state(record)

    def _look_at(self, record: ScheduleRecord, now: datetime, *, at_once: bool) -> datetime | None:
        """Return when to look at the ticks again, and note the next one."""
        record.next_tick = None
        if record.paused:
            return None
        try:
            record.next_tick = next(record.ticks(), None)
        except Exception as error:  # noqa: BLE001 - this machine lacks what that takes: another one may have it
            record.problem = _problem(error)
            return now + timedelta(seconds=RETRY_SECONDS)
        if record.next_tick is None:
            return None
        return now if at_once else min(record.next_tick, now + SLEEP_MAX)

    def _wake_at(self, record: ScheduleRecord, moment: datetime, now: datetime) -> None:
        """Have itself woken, unless it is in time already. A signal cannot be taken back, so few are sent."""
        if record.wake_at is not None and now <= record.wake_at <= moment:
            return
        record.wake_at = moment
        itself = self.context.entity_id
        self.context.signal_entity_at(moment, itself, ScheduleEntity.wake, moment)


def _note_uncommitted(instance_id: str) -> None:
    noted = _uncommitted.get()
    if noted is None:
        _uncommitted.set({instance_id})
    else:
        noted.add(instance_id)


def _is_uncommitted(instance_id: str) -> bool:
    noted = _uncommitted.get()
    return noted is not None and instance_id in noted


def _problem(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:PROBLEM_CHARS_MAX]


def system_of(
    client: Client, signals: Signals | None = None, hub: str = "default"
) -> SystemRegistry:
    """Return what a hub's workers need for its schedules: the entity, which looks at runs by the hub's client, and tells who listens."""
    surroundings = {"client": client, "signals": signals, "hub": hub}
    kind = type("ScheduleEntity", (ScheduleEntity,), surroundings)
    registry = SystemRegistry()
    registry.entity(name=NAME)(kind)
    return registry
