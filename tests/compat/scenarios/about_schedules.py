"""Schedules: made, described, changed, paused, resumed, listed and deleted."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from durabletask import scheduled, task

from .book import scenario
from .stage import Stage, attempt

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


def staged(stage: Stage) -> scheduled.ScheduledTaskClient:
    """Start a worker that serves schedules and return their client."""

    def tick(ctx: task.OrchestrationContext, value: Any) -> Any:
        stage.note(value)
        return value

    worker = stage.worker([tick], start=False)
    worker.configure_scheduled_tasks()
    worker.start()
    return scheduled.ScheduledTaskClient(stage.client, operation_timeout=10)


def hourly(id: str = "s1", **more: Any) -> scheduled.ScheduleCreationOptions:
    options: dict[str, Any] = {"interval": HOUR, "orchestration_input": "tick", **more}
    return scheduled.ScheduleCreationOptions(id, "tick", **options)


def seen(description: scheduled.ScheduleDescription | None) -> Any:
    """Return what a description says, without times."""
    if description is None:
        return None
    return {
        "id": description.schedule_id,
        "name": description.orchestration_name,
        "input": description.orchestration_input,
        "seconds": description.interval and description.interval.total_seconds(),
        "status": description.status.name,
        "next": description.next_run_at is not None,
    }


@scenario
def created_and_run(stage: Stage) -> Any:
    schedules = staged(stage)
    schedule = schedules.create_schedule(hourly(interval=SECOND))
    stage.until(lambda: len(stage.log) >= 2)
    schedule.delete()
    return [schedule.schedule_id, stage.log[:2]]


@scenario
def described(stage: Stage) -> Any:
    schedules = staged(stage)
    schedule = schedules.create_schedule(hourly())
    stage.until(lambda: schedule.describe().next_run_at is not None)
    return [seen(schedule.describe()), seen(schedules.get_schedule("s1"))]


@scenario
def first_run_comes_after_an_interval(stage: Stage) -> Any:
    schedules = staged(stage)
    schedules.create_schedule(hourly())
    stage.pause(0.5)
    return [stage.log, schedules.get_schedule("s1").last_run_at]


@scenario
def late_start_is_made_up_for_at_once(stage: Stage) -> Any:
    late = datetime.now(UTC) - timedelta(minutes=10)
    schedules = staged(stage)
    schedules.create_schedule(hourly("on-time", start_at=late))
    schedules.create_schedule(
        hourly("late", start_at=late, start_immediately_if_late=True, orchestration_input="late")
    )
    stage.until(lambda: stage.log, 5)
    stage.pause(0.2)
    return stage.log


@scenario
def starts_later(stage: Stage) -> Any:
    schedules = staged(stage)
    schedules.create_schedule(hourly(start_at=datetime.now(UTC) + HOUR))
    stage.pause(0.3)
    return [stage.log, seen(schedules.get_schedule("s1"))]


@scenario
def ended_before_it_began(stage: Stage) -> Any:
    now = datetime.now(UTC)
    schedules = staged(stage)
    schedules.create_schedule(hourly(start_at=now - 2 * HOUR, end_at=now - HOUR))
    stage.pause(0.5)
    return [stage.log, seen(schedules.get_schedule("s1"))]


@scenario
def an_id_for_its_orchestrations(stage: Stage) -> Any:
    schedules = staged(stage)
    schedules.create_schedule(hourly(interval=SECOND, orchestration_instance_id="the-tick"))
    stage.until(lambda: stage.status("the-tick") == "COMPLETED")
    return stage.outcome_of("the-tick")


@scenario
def default_ids_begin_with_the_schedule(stage: Stage) -> Any:
    schedules = staged(stage)
    schedules.create_schedule(hourly(interval=SECOND))
    stage.until(lambda: stage.log)
    states = stage.client.get_all_orchestration_states()
    ids = [state.instance_id for state in states if state.name == "tick"]
    return [bool(ids), all(id.startswith("s1-") for id in ids)]


@scenario
def paused_and_resumed(stage: Stage) -> Any:
    schedules = staged(stage)
    schedule = schedules.create_schedule(hourly())
    statuses = [schedule.describe().status.name]
    schedule.pause()
    statuses.append(schedule.describe().status.name)
    schedule.resume()
    statuses.append(schedule.describe().status.name)
    return statuses


@scenario
def paused_runs_nothing(stage: Stage) -> Any:
    schedules = staged(stage)
    schedule = schedules.create_schedule(hourly(interval=SECOND))
    stage.until(lambda: stage.log)
    schedule.pause()
    stage.pause(0.3)
    before = len(stage.log)
    stage.pause(1.5)
    same = len(stage.log) == before
    schedule.resume()
    return [same, bool(stage.until(lambda: len(stage.log) > before, 5))]


@scenario
def updated(stage: Stage) -> Any:
    schedules = staged(stage)
    schedule = schedules.create_schedule(hourly())
    schedule.update(scheduled.ScheduleUpdateOptions(orchestration_input="other", interval=2 * HOUR))
    stage.until(lambda: schedule.describe().next_run_at is not None)
    return seen(schedule.describe())


@scenario
def deleted(stage: Stage) -> Any:
    schedules = staged(stage)
    schedule = schedules.create_schedule(hourly())
    schedule.delete()
    described = attempt(schedule.describe)
    return [described["raised"], schedules.get_schedule("s1"), schedules.list_schedules()]


@scenario
def created_twice(stage: Stage) -> Any:
    schedules = staged(stage)
    schedules.create_schedule(hourly())
    schedules.create_schedule(hourly(interval=2 * HOUR))
    stage.until(lambda: schedules.get_schedule("s1").next_run_at is not None)
    return seen(schedules.get_schedule("s1"))


@scenario
def verbs_on_what_does_not_exist(stage: Stage) -> Any:
    schedule = staged(stage).get_schedule_client("nobody")
    change = scheduled.ScheduleUpdateOptions(interval=HOUR)
    answers = [
        attempt(schedule.describe),
        attempt(schedule.pause),
        attempt(schedule.resume),
        attempt(schedule.update, change),
        attempt(schedule.delete),
    ]
    return [answer.get("raised", "no error") for answer in answers]


@scenario
def paused_twice(stage: Stage) -> Any:
    schedule = staged(stage).create_schedule(hourly())
    schedule.pause()
    again = attempt(schedule.pause)
    schedule.resume()
    return [again.get("raised", "no error"), attempt(schedule.resume).get("raised", "no error")]


@scenario
def listed(stage: Stage) -> Any:
    schedules = staged(stage)
    for id in ("a-1", "a-2", "b-1"):
        schedules.create_schedule(hourly(id))
    schedules.get_schedule_client("a-2").pause()

    def ids(**query: Any) -> list[str]:
        found = schedules.list_schedules(scheduled.ScheduleQuery(**query))
        return sorted(one.schedule_id for one in found)

    now = datetime.now(UTC)
    return [
        ids(),
        ids(schedule_id_prefix="a-"),
        ids(status=scheduled.ScheduleStatus.PAUSED),
        ids(status=scheduled.ScheduleStatus.ACTIVE),
        ids(page_size=1),
        ids(created_from=now + HOUR),
        ids(created_from=now - HOUR, created_to=now + HOUR),
    ]


@scenario
def options_that_are_refused(stage: Stage) -> Any:
    schedules = staged(stage)
    now = datetime.now(UTC)
    wrong: list[dict[str, Any]] = [
        {"interval": timedelta(milliseconds=500)},
        {"interval": timedelta(0)},
        {"start_at": now, "end_at": now - HOUR},
        {"id": ""},
    ]
    return [
        attempt(lambda options=options: schedules.create_schedule(hourly(**options))).get(
            "raised", "no error"
        )
        for options in wrong
    ]


@scenario
def by_an_async_client(stage: Stage) -> Any:
    staged(stage)

    async def act() -> Any:
        async with stage.async_client() as it:
            schedules = scheduled.AsyncScheduledTaskClient(it, operation_timeout=10)
            schedule = await schedules.create_schedule(hourly())
            await schedule.pause()
            paused = (await schedule.describe()).status.name
            await schedule.resume()
            listed = [one.schedule_id for one in await schedules.list_schedules()]
            await schedule.delete()
            return [paused, listed, await schedules.get_schedule("s1")]

    return asyncio.run(act())
