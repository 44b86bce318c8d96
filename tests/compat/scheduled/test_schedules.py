"""Schedules as programs use them, in virtual time."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.integration.worlds import World

from durable_async.testing import VirtualEnvironment, virtual_time
from durabletask.scheduled import (
    ScheduleNotFoundError,
    ScheduleQuery,
    ScheduleStatus,
    ScheduleUpdateOptions,
    schedule_entity,
)
from durabletask.serialization import JsonDataConverter

from .stage import HOUR, Job, Stage, options, staged


async def hours(count: float) -> None:
    await asyncio.sleep(count * 3_600)


@virtual_time
async def test_a_schedule_runs_at_its_interval(env: VirtualEnvironment, world: World) -> None:
    async with staged(env, world) as stage:
        created = stage.now()
        schedule = await stage.schedules.create_schedule(options(orchestration_input={"a": [1]}))
        await hours(3.5)
        assert stage.ran == [(1.0, {"a": [1]}), (2.0, {"a": [1]}), (3.0, {"a": [1]})]
        found = await schedule.describe()
        assert (found.schedule_id, found.orchestration_name) == ("s", "work")
        assert (found.status, found.interval) == (ScheduleStatus.ACTIVE, HOUR)
        assert found.orchestration_input == {"a": [1]}
        assert found.last_run_at is not None
        assert found.next_run_at == found.last_run_at + HOUR
        assert timedelta(0) <= found.last_run_at - created - 3 * HOUR < timedelta(seconds=5)
        assert f"s-{found.last_run_at.isoformat()}" in await stage.ids()


@virtual_time
async def test_what_is_missed_runs_once(env: VirtualEnvironment, world: World) -> None:
    async with staged(env, world) as stage:
        await stage.schedules.create_schedule(options())
        await hours(1.5)
        assert stage.hours() == [1.0]
    await hours(5)
    async with staged(env, world) as stage:
        await hours(2)
        assert stage.hours() == [6.5, 7.0, 8.0]
        assert len(await stage.ids()) == 4


@virtual_time
async def test_pause_and_resume(env: VirtualEnvironment, world: World) -> None:
    async with staged(env, world) as stage:
        schedule = await stage.schedules.create_schedule(options())
        await hours(1.5)
        await schedule.pause()
        paused = await schedule.describe()
        assert (paused.status, paused.next_run_at) == (ScheduleStatus.PAUSED, None)
        await hours(3)
        await schedule.resume()
        await hours(2)
        assert stage.hours() == [1.0, 5.0, 6.0]
        await schedule.pause()
        await schedule.resume()
        await hours(1)
        assert stage.hours() == [1.0, 5.0, 6.0, 7.0]


@virtual_time
async def test_a_change_takes_the_place_of_what_was_due(
    env: VirtualEnvironment, world: World
) -> None:
    async with staged(env, world) as stage:
        schedule = await stage.schedules.create_schedule(options())
        await hours(1.5)
        await schedule.update(ScheduleUpdateOptions(interval=2 * HOUR, orchestration_input="new"))
        await hours(3)
        assert stage.ran == [(1.0, None), (2.0, "new"), (4.0, "new")]
        await schedule.pause()
        await schedule.update(ScheduleUpdateOptions(interval=HOUR))
        await hours(3)
        assert len(stage.ran) == 3
        await schedule.resume()
        await hours(1)
        assert stage.hours()[3:] == [8.0]


@virtual_time
async def test_a_change_of_what_it_starts_leaves_the_time(
    env: VirtualEnvironment, memory: World
) -> None:
    async with staged(env, memory) as stage:
        schedule = await stage.schedules.create_schedule(options())
        await hours(0.5)
        before = await schedule.describe()
        await schedule.update(ScheduleUpdateOptions(orchestration_name="work"))
        assert await schedule.describe() == before
        await schedule.update(ScheduleUpdateOptions(orchestration_name="long_work"))
        after = await schedule.describe()
        assert after.next_run_at == before.next_run_at
        assert after.execution_token != before.execution_token
        await hours(1)
        assert stage.hours() == [1.0]


@pytest.mark.parametrize(
    ("begins", "at_once", "expected"),
    [
        (2.25, False, [2.25, 3.25, 4.25]),
        (2.25, True, [2.25, 3.25, 4.25]),
        (-0.75, False, [0.25, 1.25, 2.25, 3.25, 4.25]),
        (-0.75, True, [0.0, 0.25, 1.25, 2.25, 3.25, 4.25]),
        (None, True, [0.0, 1.0, 2.0, 3.0, 4.0]),
    ],
)
@virtual_time
async def test_when_it_begins(
    env: VirtualEnvironment,
    memory: World,
    begins: float | None,
    at_once: bool,
    expected: list[float],
) -> None:
    async with staged(env, memory) as stage:
        start = None if begins is None else stage.now() + begins * HOUR
        if start is not None and at_once:
            start = start.replace(tzinfo=None)  # which stands for UTC
        await stage.schedules.create_schedule(
            options(start_at=start, start_immediately_if_late=at_once)
        )
        await hours(4.5)
        assert stage.hours() == expected


@virtual_time
async def test_it_ends(env: VirtualEnvironment, world: World) -> None:
    async with staged(env, world) as stage:
        end = stage.now() + 2.5 * HOUR
        schedule = await stage.schedules.create_schedule(options(end_at=end))
        await hours(6)
        assert stage.hours() == [1.0, 2.0]
        with pytest.raises(ScheduleNotFoundError, match="'s'") as caught:
            await schedule.describe()
        assert caught.value.schedule_id == "s"
        assert await stage.schedules.get_schedule("s") is None
        assert await stage.schedules.list_schedules() == []


@virtual_time
async def test_a_deleted_schedule_is_gone_and_can_be_made_again(
    env: VirtualEnvironment, world: World
) -> None:
    async with staged(env, world) as stage:
        schedule = await stage.schedules.create_schedule(options())
        await hours(0.5)
        await schedule.delete()
        assert await stage.schedules.get_schedule("s") is None
        await schedule.delete()
        await schedule.create(options())
        await hours(2.25)
        assert stage.hours() == [1.5, 2.5]


@virtual_time
async def test_one_that_is_created_again_becomes_what_is_said(
    env: VirtualEnvironment, memory: World
) -> None:
    async with staged(env, memory) as stage:
        schedule = await stage.schedules.create_schedule(options(start_immediately_if_late=True))
        await hours(0.25)
        await schedule.pause()
        await schedule.create(options(interval=2 * HOUR, start_immediately_if_late=True))
        assert (await schedule.describe()).status is ScheduleStatus.PAUSED
        await hours(2)
        await schedule.resume()
        await schedule.create(options(interval=2 * HOUR, orchestration_input="last"))
        await hours(2)
        assert stage.ran == [(0.0, None), (4.0, "last")]


@virtual_time
async def test_runs_of_one_id_do_not_overlap(env: VirtualEnvironment, world: World) -> None:
    async with staged(env, world) as stage:
        await stage.schedules.create_schedule(
            options(orchestration_name="long_work", orchestration_instance_id="one")
        )
        await hours(5.25)
        assert stage.hours() == [1.0, 3.0, 5.0]
        assert await stage.ids() == {"one"}


@virtual_time
async def test_what_cannot_be_done_says_why(env: VirtualEnvironment, memory: World) -> None:
    async with staged(env, memory) as stage:
        schedule = stage.schedules.get_schedule_client("s")
        assert schedule.schedule_id == "s"
        late = stage.now()
        for attempt, message in [
            (schedule.pause(), "Failed to 'pause_schedule' schedule 's'.*is Uninitialized"),
            (schedule.resume(), "Failed to 'resume_schedule' schedule 's'"),
            (schedule.update(ScheduleUpdateOptions(interval=HOUR)), "is Uninitialized"),
            (schedule.create(options(start_at=late, end_at=late - HOUR)), "later than its end_at"),
        ]:
            with pytest.raises(RuntimeError, match=message):
                await attempt
        assert await stage.schedules.get_schedule("s") is None
        await schedule.create(options(start_at=late.replace(tzinfo=None), end_at=late + HOUR))
        with pytest.raises(RuntimeError, match="is Active: resume_schedule cannot make it Active"):
            await schedule.resume()
        with pytest.raises(RuntimeError, match="later than its end_at"):
            await schedule.update(ScheduleUpdateOptions(start_at=late + 2 * HOUR))
        found = await schedule.describe()
        assert found.start_at == late.replace(tzinfo=None)


@virtual_time
async def test_a_run_that_cannot_begin_is_not_the_last(
    env: VirtualEnvironment, memory: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with staged(env, memory) as stage:
        schedule = await stage.schedules.create_schedule(options(orchestration_instance_id="@no"))
        await hours(1.5)
        assert "cannot start '@no'" in caplog.text
        await schedule.update(ScheduleUpdateOptions(orchestration_instance_id="yes"))
        await hours(1)
        assert stage.hours() == [2.0]


@virtual_time
async def test_very_long_waits(
    env: VirtualEnvironment, memory: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule_entity, "LONGEST_SLEEP", timedelta(days=1))
    async with staged(env, memory) as stage:
        far = datetime(9999, 1, 1)
        await stage.schedules.create_schedule(options("far", start_at=far))
        await stage.schedules.create_schedule(options("rare", interval=timedelta(days=10_000_000)))
        ahead = stage.now() + timedelta(days=4)
        await stage.schedules.create_schedule(options("next", start_at=ahead))
        await hours(24 * 4 - 1)
        assert stage.ran == []
        await hours(1.5)
        assert len(stage.ran) == 1
        found = await stage.schedules.list_schedules()
        assert [one.schedule_id for one in found] == ["far", "next", "rare"]
        assert found[0].next_run_at is not None
        assert found[0].next_run_at.year == 9999


# -- questions


async def found(stage: Stage, **asked: Any) -> list[str]:
    query = ScheduleQuery(**asked) if asked else None
    return [one.schedule_id for one in await stage.schedules.list_schedules(query)]


@virtual_time
async def test_which_schedules_there_are(env: VirtualEnvironment, world: World) -> None:
    async with staged(env, world) as stage:
        assert await found(stage) == []
        for name in ("a1", "a2", "b1"):
            await stage.schedules.create_schedule(options(name))
            await hours(1)
        await stage.schedules.get_schedule_client("a2").pause()
        await stage.schedules.create_schedule(options("a3"))
        await stage.schedules.get_schedule_client("a3").delete()
        assert await found(stage) == ["a1", "a2", "b1"]
        assert await found(stage, schedule_id_prefix="a") == ["a1", "a2"]
        assert await found(stage, status=ScheduleStatus.PAUSED) == ["a2"]
        assert await found(stage, status=ScheduleStatus.ACTIVE, schedule_id_prefix="a") == ["a1"]
        assert await found(stage, page_size=1) == ["a1", "a2", "b1"]
        now = stage.now()
        assert await found(stage, created_from=now - 2.5 * HOUR) == ["a2", "b1"]
        assert await found(stage, created_to=(now - 1.5 * HOUR).replace(tzinfo=None)) == [
            "a1",
            "a2",
        ]
        assert await found(stage, created_from=now - 2.5 * HOUR, created_to=now - 1.5 * HOUR) == [
            "a2"
        ]


# -- converters


@virtual_time
async def test_inputs_of_a_type(env: VirtualEnvironment, memory: World) -> None:
    async with staged(env, memory) as stage:
        schedule = await stage.schedules.create_schedule(
            options(orchestration_input=Job("x"), start_immediately_if_late=True)
        )
        await hours(0.5)
        assert [dict(given) for _, given in stage.ran] == [{"text": "x"}]
        moment = datetime(2026, 1, 1)
        await schedule.update(ScheduleUpdateOptions(orchestration_input=[moment, {1, 2}]))
        await hours(1)
        assert stage.ran[1][1] == [moment, {1, 2}]


@virtual_time
async def test_with_the_strict_converter(env: VirtualEnvironment, memory: World) -> None:
    async with staged(env, memory, converter=JsonDataConverter()) as stage:
        schedule = await stage.schedules.create_schedule(options(orchestration_input={"a": 1}))
        await hours(1.5)
        assert stage.ran == [(1.0, {"a": 1})]
        await schedule.update(ScheduleUpdateOptions(orchestration_input=[1]))
        assert (await schedule.describe()).orchestration_input == [1]
