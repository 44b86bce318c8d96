"""Schedule: the entity behind a schedule, which wakes itself up by signals for later.

There is one chain of such signals at a time: each knows the schedule's token as it was when it was sent, and does nothing if that has changed since.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from durabletask.entities import DurableEntity

from .exceptions import ScheduleInvalidTransitionError
from .models import (
    ScheduleConfiguration,
    ScheduleCreationOptions,
    ScheduleState,
    ScheduleUpdateOptions,
)
from .schedule_status import ScheduleStatus
from .timespans import aware
from .transitions import (
    CREATE_SCHEDULE,
    PAUSE_SCHEDULE,
    RESUME_SCHEDULE,
    TRANSITIONS,
    UPDATE_SCHEDULE,
    target_of,
)

ENTITY_NAME = "schedule"
DELETE_OPERATION = "delete"
RUN_SCHEDULE_OPERATION = "run_schedule"

LONGEST_SLEEP = timedelta(days=365)
"""A schedule that has longer to wait wakes up in between, and sleeps on."""

_log = logging.getLogger("durabletask.scheduled")


class Schedule(DurableEntity):
    """A schedule, whose id is the entity's key."""

    def create_schedule(self, options: ScheduleCreationOptions) -> None:
        """Create it; one that is there already becomes what is said, and stays paused if it is.

        Raises:
            ValueError: It would end before it begins.
        """
        state = self._load()
        now = self._now()
        existed = state.schedule_created_at is not None
        state.schedule_configuration = ScheduleConfiguration.from_create_options(options)
        state.schedule_last_modified_at = now
        if existed:
            state.refresh_execution_token()
            state.next_run_at = None
        else:
            self._move(state, CREATE_SCHEDULE)
            state.schedule_created_at = now
        _log.info("schedule %r was %s", self._id, "created anew" if existed else "created")
        self._save_and_wake(state)

    def update_schedule(self, options: ScheduleUpdateOptions) -> None:
        """Change what it does.

        Raises:
            ScheduleInvalidTransitionError: There is no such schedule.
            ValueError: It would end before it begins.
        """
        state = self._load()
        self._move(state, UPDATE_SCHEDULE)
        changed = _configured(state).update(options)
        if not changed:
            return
        if changed & {"start_at", "interval", "start_immediately_if_late"}:
            state.next_run_at = None
        state.schedule_last_modified_at = self._now()
        state.refresh_execution_token()
        _log.info("schedule %r was changed: %s", self._id, ", ".join(sorted(changed)))
        self._save_and_wake(state)

    def pause_schedule(self, _: Any = None) -> None:
        """Let it start nothing until it is resumed.

        Raises:
            ScheduleInvalidTransitionError: It is not active.
        """
        state = self._load()
        self._move(state, PAUSE_SCHEDULE)
        state.next_run_at = None
        state.refresh_execution_token()
        _log.info("schedule %r was paused", self._id)
        self._save(state)

    def resume_schedule(self, _: Any = None) -> None:
        """Let it go on; what was missed meanwhile is not made up for.

        Raises:
            ScheduleInvalidTransitionError: It is not paused.
        """
        state = self._load()
        self._move(state, RESUME_SCHEDULE)
        state.next_run_at = None
        _log.info("schedule %r was resumed", self._id)
        self._save_and_wake(state)

    def run_schedule(self, execution_token: str) -> None:
        """Start what is due, and wake up again when the next run is; a signal that is stale does nothing."""
        state = self._load()
        if execution_token != state.execution_token or state.status is not ScheduleStatus.ACTIVE:
            _log.debug("schedule %r passes over a signal that is stale", self._id)
            return
        configuration = _configured(state)
        now = self._now()
        if configuration.end_at is not None and now > aware(configuration.end_at):
            _log.info("schedule %r has come to its end", self._id)
            self.delete()
            return
        due = state.next_run_at or next_run(state, now)
        if due <= now:
            self._start(configuration, due)
            state.last_run_at = due
            due = next_run(state, now)
        state.next_run_at = due
        self._save(state)
        self._wake(state, min(due, now + LONGEST_SLEEP))

    # -- what they are made of

    @property
    def _id(self) -> str:
        return self.entity_context.entity_id.key

    def _now(self) -> datetime:
        return self.entity_context.current_utc_datetime.replace(tzinfo=UTC)

    def _load(self) -> ScheduleState:
        stored = self.get_state()
        return ScheduleState() if stored is None else ScheduleState.from_json(stored)

    def _save(self, state: ScheduleState) -> None:
        self.set_state(state.to_json())

    def _save_and_wake(self, state: ScheduleState) -> None:
        self._save(state)
        if state.status is ScheduleStatus.ACTIVE:
            self._wake(state)

    def _wake(self, state: ScheduleState, at: datetime | None = None) -> None:
        itself = self.entity_context.entity_id
        self.signal_entity(itself, RUN_SCHEDULE_OPERATION, state.execution_token, at)

    def _move(self, state: ScheduleState, operation: str) -> None:
        target = target_of(operation, state.status)
        if state.status not in TRANSITIONS[operation]:
            raise ScheduleInvalidTransitionError(self._id, state.status, target, operation)
        state.status = target

    def _start(self, configuration: ScheduleConfiguration, due: datetime) -> None:
        instance_id = configuration.orchestration_instance_id or f"{self._id}-{due.isoformat()}"
        try:
            self.schedule_new_orchestration(
                configuration.orchestration_name, configuration.orchestration_input, instance_id
            )
        except Exception:  # noqa: BLE001 - were it raised, nobody would wake the schedule up again
            _log.exception("schedule %r cannot start %r", self._id, instance_id)
            return
        _log.info("schedule %r starts %r", self._id, instance_id)


def next_run(state: ScheduleState, now: datetime) -> datetime:
    """Return when a schedule is due, if nothing is said of that yet.

    Runs are due at whole intervals from its start. A start that is ahead is a run itself; one that is past only if the schedule has never run
    and is to begin at once if late, and then the run is due now.
    """
    configuration = _configured(state)
    start = aware(configuration.start_at or state.schedule_created_at or now)
    if now < start:
        return start
    if state.last_run_at is None and configuration.start_immediately_if_late:
        return now
    interval = configuration.interval
    try:
        return start + ((now - start) // interval + 1) * interval
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def _configured(state: ScheduleState) -> ScheduleConfiguration:
    configuration = state.schedule_configuration
    if configuration is None:
        raise ValueError("the schedule's state says nothing of what it does")
    return configuration
