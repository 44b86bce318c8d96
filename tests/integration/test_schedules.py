"""Schedules: every verb and every policy, on all three stores, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from durable_async import (
    OrchestrationContext,
    Registry,
    ScheduleExistsError,
    ScheduleNotFoundError,
    Status,
    TaskHub,
    ValidationError,
)
from durable_async.schedules import CatchUp, IfExists, Overlap, ScheduleState
from durable_async.testing import VirtualEnvironment, virtual_time

from .worlds import DAY, HOUR, MINUTE, World

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
"""What the clock shows when virtual time begins: a Thursday."""

registry = Registry()


@registry.orchestrator
async def report(ctx: OrchestrationContext, name: str = "nobody") -> str:
    return f"report for {name}"


@registry.orchestrator
async def lengthy(ctx: OrchestrationContext, seconds: float) -> None:
    await asyncio.sleep(seconds)


@registry.orchestrator
async def endless(ctx: OrchestrationContext) -> None:
    await ctx.wait_for_external_event("never")


@asynccontextmanager
async def running(env: VirtualEnvironment, world: World) -> AsyncIterator[TaskHub]:
    async with world.running(env, registry) as hub:
        yield hub


async def runs(hub: TaskHub, schedule_id: str = "s") -> list[str]:
    """Return what the runs of a schedule were started for, by what stands in the store."""
    prefix = f"{schedule_id}:"
    found = [one async for one in hub.client.query(tags={"schedule": schedule_id})]
    assert all(one.execution == 1 for one in found)
    return sorted(one.instance_id.removeprefix(prefix) for one in found)


def ticks(first: datetime, every: float, count: int) -> list[str]:
    moments = [first + number * timedelta(seconds=every) for number in range(count)]
    return [f"{moment.replace(tzinfo=None).isoformat()}Z" for moment in moments]


def of(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


async def described(hub: TaskHub) -> ScheduleState:
    return await hub.schedules.describe("s")


# -- the verbs


@virtual_time
async def test_it_starts_a_run_at_each_tick(env: VirtualEnvironment, world: World) -> None:
    async with running(env, world) as hub:
        made = await hub.schedules.create(
            "s", report, "Mia", every=HOUR, tags={"for": "Mia"}, version="2"
        )
        assert (made.schedule_id, made.next_tick, made.runs) == ("s", of(HOUR), ())
        await anyio.sleep(3.5 * HOUR)
        assert await runs(hub) == ticks(of(HOUR), HOUR, 3)
        state = await described(hub)
        assert [run.status for run in state.runs] == [Status.COMPLETED] * 3
        assert [run.tick for run in state.runs] == [of(3 * HOUR), of(2 * HOUR), of(HOUR)]
        assert (state.started, state.skipped, state.missed, state.problem) == (3, 0, 0, None)
        assert state.next_ticks == tuple(of(hour * HOUR) for hour in range(4, 9))
        assert await hub.client.wait(state.runs[0].instance_id) == "report for Mia"
        run = await hub.client.get(state.runs[0].instance_id)
        assert run is not None
        assert (run.version, run.tags) == ("2", {"for": "Mia", "schedule": "s"})


@virtual_time
async def test_a_cron_expression_is_meant_in_its_zone(
    env: VirtualEnvironment, world: World
) -> None:
    async with running(env, world) as hub:
        await hub.schedules.create("s", "report", cron="0 9 * * MON-FRI", time_zone="Europe/Berlin")
        await anyio.sleep(5 * DAY)
        assert await runs(hub) == [f"2026-01-{day}T08:00:00Z" for day in ("01", "02", "05")]
        [state] = [one async for one in hub.schedules.list()]
        assert state.next_tick == datetime(2026, 1, 6, 8, tzinfo=UTC)
        assert await hub.client.wait(state.runs[0].instance_id) == "report for nobody"


@virtual_time
async def test_once_at_a_moment(env: VirtualEnvironment, world: World) -> None:
    async with running(env, world) as hub:
        made = await hub.schedules.create(
            "s", report, at=datetime(2026, 1, 3, 12), time_zone="Asia/Tokyo"
        )
        assert made.next_tick == datetime(2026, 1, 3, 3, tzinfo=UTC)
        await anyio.sleep(4 * DAY)
        assert await runs(hub) == ["2026-01-03T03:00:00Z"]
        state = await described(hub)
        assert (state.next_tick, state.next_ticks, state.started) == (None, (), 1)
        with pytest.raises(ValidationError, match="at: has no tick that is yet to come"):
            await hub.schedules.create("late", report, at=of(DAY))
        assert await hub.schedules.get("late") is None


@virtual_time
async def test_pause_and_resume(env: VirtualEnvironment, world: World) -> None:
    async with running(env, world) as hub:
        schedules = hub.schedules
        await schedules.create("s", report, every=MINUTE)
        await anyio.sleep(1.5 * MINUTE)
        assert (await schedules.pause("s", "holidays")).paused
        paused = await schedules.pause("s", "more holidays")
        assert (paused.reason, paused.next_tick) == ("more holidays", None)
        await anyio.sleep(3 * MINUTE)
        resumed = await schedules.resume("s")
        assert (resumed.paused, resumed.reason, resumed.next_tick) == (False, None, of(5 * MINUTE))
        assert await schedules.resume("s") == resumed
        await anyio.sleep(MINUTE)
        assert await runs(hub) == [*ticks(of(MINUTE), MINUTE, 1), *ticks(of(5 * MINUTE), MINUTE, 1)]
        state = await described(hub)
        assert (state.skipped, state.missed) == (0, 0)


@virtual_time
async def test_changes_count_from_now_on(env: VirtualEnvironment, world: World) -> None:
    async with running(env, world) as hub:
        await hub.schedules.create("s", report, "Mia", every=HOUR)
        await anyio.sleep(HOUR + 1)
        sooner = await hub.schedules.update(
            "s", every=MINUTE
        )  # before the signal that it sleeps on
        assert sooner.next_tick == of(HOUR + 1 + MINUTE)
        await anyio.sleep(MINUTE)
        later = await hub.schedules.update("s", cron="0 3 * * *", input="Ada")
        assert (later.spec.every, later.next_tick) == (None, of(3 * HOUR))
        await anyio.sleep(3 * HOUR)
        state = await described(hub)
        assert [run.tick for run in state.runs] == [of(3 * HOUR), sooner.next_tick, of(HOUR)]
        assert await hub.client.wait(state.runs[0].instance_id) == "report for Ada"
        same = await hub.schedules.update("s", tags={"a": "b"})
        assert same.next_tick == of(DAY + 3 * HOUR)


@virtual_time
async def test_another_orchestrator_has_the_same_input_unless_it_takes_none(
    env: VirtualEnvironment, world: World
) -> None:
    async with running(env, world) as hub:
        await hub.schedules.create("s", report, "Mia", every=HOUR)
        other = await hub.schedules.update("s", orchestrator="lengthy")
        assert (other.spec.orchestrator, other.spec.input) == ("lengthy", "Mia")
        none = await hub.schedules.update("s", orchestrator=endless)
        assert (none.spec.orchestrator, none.spec.input) == ("endless", None)


@virtual_time
async def test_a_change_is_as_it_was_previewed(env: VirtualEnvironment, world: World) -> None:
    async with running(env, world) as hub:
        schedules = hub.schedules
        before = await schedules.create("s", report, every=HOUR)
        await anyio.sleep(HOUR + 1)
        for changes in (
            {"every": MINUTE},
            {"end": of(3 * HOUR)},
            {"end": None, "cron": "0 3 * * *"},
        ):
            seen = await schedules.preview_update("s", ticks=3, **changes)
            assert await schedules.preview_update("s", ticks=0) != seen
            await schedules.update("s", **changes)
            state = await schedules.describe("s", ticks=3)
            assert (seen.spec, seen.next_tick) == (state.spec, state.next_tick)
            assert seen.next_ticks == state.next_ticks != before.next_ticks
        await schedules.pause("s")
        resumed = await schedules.preview_update("s", every=2 * HOUR)
        assert (resumed.paused, resumed.next_tick) == (True, None)
        assert resumed.next_ticks[0] == of(3 * HOUR + 1)
        with pytest.raises(ValidationError, match="at: has no tick that is yet to come"):
            await schedules.preview_update("s", at=of(0))
        with pytest.raises(ScheduleNotFoundError):
            await schedules.preview_update("none", every=HOUR)


@virtual_time
async def test_another_end_neither_loses_nor_brings_back_a_tick(
    env: VirtualEnvironment, world: World
) -> None:
    async with running(env, world) as hub:
        options: Any = {"every": HOUR, "catch_up": CatchUp.ALL, "overlap": Overlap.ALLOW}
        await hub.schedules.create("s", report, **options)
    await anyio.sleep(2.5 * HOUR)
    async with world.hub(env, registry) as hub:  # two ticks are due, and nobody has looked at them
        await hub.schedules.update("s", end=of(3 * HOUR))
    async with running(env, world) as hub:
        await anyio.sleep(2 * HOUR)
        assert await runs(hub) == ticks(of(HOUR), HOUR, 3)
        await hub.schedules.update("s", end=None)
        await anyio.sleep(HOUR)
        assert await runs(hub) == [*ticks(of(HOUR), HOUR, 3), *ticks(of(5 * HOUR), HOUR, 1)]


@pytest.mark.parametrize(
    ("catch_up", "caught"), [(CatchUp.ALL, 150), (CatchUp.LAST, 1), (CatchUp.NONE, 1)]
)
@virtual_time
async def test_what_is_due_is_dealt_with_before_other_times_count(
    env: VirtualEnvironment, world: World, catch_up: CatchUp, caught: int
) -> None:
    async with running(env, world) as hub:
        options: Any = {"every": MINUTE, "catch_up": catch_up, "overlap": Overlap.ALLOW}
        await hub.schedules.create("s", report, **options)
    await anyio.sleep(150.5 * MINUTE)
    async with world.hub(env, registry) as hub:  # nobody has looked at them
        await hub.schedules.update("s", cron="0 9 * * *")
    async with running(env, world) as hub:
        await anyio.sleep(HOUR)
        state = await described(hub)
        assert (state.started, state.missed) == (caught, 150 - caught)
        assert await runs(hub) == ticks(of((151 - caught) * MINUTE), MINUTE, caught)
        assert state.next_tick == of(9 * HOUR)


@virtual_time
async def test_what_waits_is_in_the_way_of_what_is_due_at_a_change(
    env: VirtualEnvironment, world: World
) -> None:
    async with running(env, world) as hub:
        options: Any = {"every": MINUTE, "catch_up": CatchUp.ALL, "overlap": Overlap.SKIP}
        await hub.schedules.create("s", lengthy, 30.0, **options)
    await anyio.sleep(150.5 * MINUTE)
    async with world.hub(env, registry) as hub:
        changed = await hub.schedules.update("s", every=HOUR)
        assert (changed.started, changed.skipped, changed.missed) == (1, 149, 0)
        assert await runs(hub) == ticks(of(MINUTE), 0, 1)


@virtual_time
async def test_two_who_change_the_times_at_once_leave_one_of_them(
    env: VirtualEnvironment, world: World
) -> None:
    async with running(env, world) as hub:
        await hub.schedules.create("s", report, every=HOUR)
        await asyncio.gather(
            hub.schedules.update("s", at=of(DAY)), hub.schedules.update("s", every=MINUTE)
        )
        spec = (await hub.schedules.update("s", jitter=1)).spec
        assert (spec.at is None) != (spec.every is None)


@virtual_time
async def test_creating_what_is_there(env: VirtualEnvironment, world: World) -> None:
    async with running(env, world) as hub:
        schedules = hub.schedules
        first = await schedules.create("s", report, every=HOUR)
        with pytest.raises(ScheduleExistsError) as caught:
            await schedules.create("s", report, every=MINUTE)
        assert caught.value.schedule_id == "s"
        assert await schedules.create("s", report, every=MINUTE, if_exists=IfExists.KEEP) == first
        await anyio.sleep(MINUTE)
        again = await schedules.create("s", report, every=HOUR, if_exists=IfExists.UPDATE)
        assert again == first
        other = await schedules.create("s", report, every=MINUTE, if_exists=IfExists.UPDATE)
        assert other.next_tick == of(2 * MINUTE)
        assert other.created_at == first.created_at


@virtual_time
async def test_trigger_starts_one_whatever_is_going_on(
    env: VirtualEnvironment, world: World
) -> None:
    async with running(env, world) as hub:
        await hub.schedules.create("s", lengthy, 90.0, every=MINUTE, paused=True, reason="not yet")
        first, second = await asyncio.gather(*(hub.schedules.trigger("s") for _ in range(2)))
        assert first.instance_id != second.instance_id
        await asyncio.gather(first.wait(), second.wait())
        state = await described(hub)
        assert [run.is_triggered for run in state.runs] == [True, True]
        assert (state.started, state.next_tick, state.reason) == (2, None, "not yet")


@virtual_time
async def test_who_asks_twice_for_the_same_run_gets_it_twice(
    env: VirtualEnvironment, world: World
) -> None:
    async with running(env, world) as hub:
        trigger = hub.schedules.trigger
        await hub.schedules.create("s", report, every=HOUR)
        at_once = await asyncio.gather(*(trigger("s", request_id="click") for _ in range(2)))
        await anyio.sleep(MINUTE)
        later = await trigger("s", request_id="click")
        other = await trigger("s", request_id="another click")
        assert {one.instance_id for one in at_once} == {later.instance_id} != {other.instance_id}
        assert (await described(hub)).started == 2
        await hub.schedules.create("t", report, every=HOUR)
        of_another = await trigger("t", request_id="click")
        assert of_another.instance_id.startswith("t:triggered:")
        with pytest.raises(ValidationError, match="request_id"):
            await trigger("s", request_id="")


@virtual_time
async def test_backfill_starts_what_has_no_run(env: VirtualEnvironment, world: World) -> None:
    async with running(env, world) as hub:
        schedules = hub.schedules
        await schedules.create("s", report, every=HOUR, start=BEGIN)
        await anyio.sleep(2.5 * HOUR)
        assert await runs(hub) == ticks(of(HOUR), HOUR, 2)
        missing = ["s:2026-01-01T00:00:00Z"]
        day_before = (of(-3 * HOUR), of(2 * DAY))
        assert await schedules.backfill("s", *day_before, dry_run=True) == missing
        assert await runs(hub) == ticks(of(HOUR), HOUR, 2)
        assert await schedules.backfill("s", *day_before) == missing
        assert await schedules.backfill("s", *day_before) == []
        await schedules.pause("s")
        await anyio.sleep(2 * HOUR)
        await schedules.backfill("s", of(0), of(DAY))  # those that passed by, too
        await schedules.resume("s")
        await anyio.sleep(HOUR)
        assert await runs(hub) == ticks(of(0), HOUR, 6)


@virtual_time
async def test_backfill_takes_what_waits_with_it(env: VirtualEnvironment, world: World) -> None:
    async with running(env, world) as hub:
        await hub.schedules.create("s", lengthy, 90.0, every=MINUTE, overlap=Overlap.BUFFER_ONE)
        await anyio.sleep(2.1 * MINUTE)
        assert (await described(hub)).waiting == (of(2 * MINUTE),)
        assert await hub.schedules.backfill("s", of(1), of(HOUR)) == ["s:2026-01-01T00:02:00Z"]
        await hub.schedules.update("s", end=of(2.5 * MINUTE))
        await anyio.sleep(10 * MINUTE)
        state = await described(hub)
        assert (state.started, state.waiting) == (2, ())
        assert await runs(hub) == ticks(of(MINUTE), MINUTE, 2)


@virtual_time
async def test_delete_leaves_the_runs_alone(env: VirtualEnvironment, world: World) -> None:
    async with running(env, world) as hub:
        schedules = hub.schedules
        await schedules.create("s", lengthy, 2 * HOUR, every=HOUR)
        await anyio.sleep(1.5 * HOUR)
        await schedules.delete("s")
        assert await schedules.get("s") is None
        assert [one async for one in schedules.list()] == []
        await anyio.sleep(2 * HOUR)
        [run] = [one async for one in hub.client.query(tags={"schedule": "s"})]
        assert run.status is Status.COMPLETED
        await schedules.create(
            "s", report, every=HOUR
        )  # what the old one slept on is nothing to it
        await anyio.sleep(1.25 * HOUR)
        assert len(await runs(hub)) == 2


@virtual_time
async def test_what_is_not_there(env: VirtualEnvironment, world: World) -> None:
    async with running(env, world) as hub:
        schedules = hub.schedules
        assert await schedules.get("s") is None
        asked: list[Any] = [
            schedules.describe("s"),
            schedules.update("s", every=5),
            schedules.pause("s"),
            schedules.resume("s"),
            schedules.trigger("s"),
            schedules.backfill("s", BEGIN, BEGIN),
            schedules.delete("s"),
        ]
        for one in asked:
            with pytest.raises(ScheduleNotFoundError):
                await one
        assert [one async for one in hub.client.query_entities()] == []  # nothing was opened


@virtual_time
async def test_pages_of_a_list(env: VirtualEnvironment, world: World) -> None:
    async with running(env, world) as hub:
        ids = [f"{letter}-{number}" for letter in "ab" for number in range(3)]
        for one in ids:
            await hub.schedules.create(one, report, every=HOUR)
        assert [one.schedule_id async for one in hub.schedules.list(page_size=2)] == ids
        assert [one.schedule_id async for one in hub.schedules.list(prefix="b")] == ids[3:]
        page, after = await hub.schedules.list_page(limit=4)
        rest, end = await hub.schedules.list_page(limit=4, page=after)
        assert ([one.schedule_id for one in (*page, *rest)], end) == (ids, None)


# -- policies


@pytest.mark.parametrize(
    ("overlap", "begun", "skipped"),
    [
        (Overlap.ALLOW, [1, 2, 3, 4, 5], 0),
        (Overlap.SKIP, [1, 4], 3),
        (Overlap.BUFFER_ONE, [1, 2], 2),
        (Overlap.BUFFER_ALL, [1, 2], 0),
        (Overlap.TERMINATE_PREVIOUS, [1, 2, 3, 4, 5], 0),
    ],
)
@virtual_time
async def test_overlap(
    env: VirtualEnvironment, world: World, overlap: Overlap, begun: list[int], skipped: int
) -> None:
    async with running(env, world) as hub:
        await hub.schedules.create("s", lengthy, 150.0, every=MINUTE, overlap=overlap)
        await anyio.sleep(5.9 * MINUTE)
        state = await described(hub)
        assert await runs(hub) == [ticks(of(n * MINUTE), 0, 1)[0] for n in begun]
        assert (state.started, state.skipped) == (len(begun), skipped)
        assert state.started + state.skipped + len(state.waiting) == 5
        if overlap is Overlap.TERMINATE_PREVIOUS:
            statuses = [run.status for run in reversed(state.runs)]
            assert statuses == [Status.TERMINATED] * 4 + [Status.RUNNING]


@virtual_time
async def test_a_run_that_is_suspended_or_terminated_or_purged(
    env: VirtualEnvironment, world: World
) -> None:
    async with running(env, world) as hub:
        await hub.schedules.create("s", endless, every=MINUTE, overlap=Overlap.BUFFER_ONE)
        await anyio.sleep(1.5 * MINUTE)
        [first] = (await described(hub)).runs
        await hub.client.suspend(first.instance_id)
        await anyio.sleep(2 * MINUTE)
        waiting = await described(hub)
        assert (waiting.waiting, waiting.skipped) == ((of(2 * MINUTE),), 1)
        await hub.client.terminate(first.instance_id)
        await hub.client.wait_for_end(first.instance_id)
        await hub.client.purge(first.instance_id)
        await anyio.sleep(20)
        state = await described(hub)
        assert [(run.tick, run.status) for run in state.runs] == [
            (of(2 * MINUTE), Status.RUNNING),
            (of(MINUTE), None),
        ]


@virtual_time
async def test_a_run_that_was_purged_at_once_is_in_no_tick_s_way(
    env: VirtualEnvironment, world: World
) -> None:
    async with running(env, world) as hub:
        await hub.schedules.create("s", report, every=1)
        for number in range(1, 6):
            await anyio.sleep(1)
            run = f"s:{ticks(of(number), 0, 1)[0]}"
            with anyio.fail_after(0.5):
                while (state := await hub.client.get(run)) is None or not state.is_ended:
                    await anyio.sleep(0.01)
            await hub.client.purge(run)
        state = await described(hub)
        assert (state.started, state.skipped) == (5, 0)


@virtual_time
async def test_runs_of_one_turn_know_of_each_other(env: VirtualEnvironment, world: World) -> None:
    async with world.hub(env, registry) as hub:
        await hub.schedules.create("s", endless, every=MINUTE, paused=True, overlap=Overlap.ALLOW)
        await anyio.sleep(50.5 * MINUTE)
        both = await asyncio.gather(*(hub.schedules.backfill("s", of(1), of(DAY)) for _ in "ab"))
        assert sorted(len(one) for one in both) == [0, 50]
        state = await described(hub)
        assert state.started == len(await runs(hub)) == 50


@pytest.mark.parametrize(
    ("catch_up", "window", "caught"),
    [
        (CatchUp.NONE, DAY, []),
        (CatchUp.LAST, DAY, [4]),
        (CatchUp.LAST, MINUTE, []),
        (CatchUp.ALL, DAY, [1, 2, 3, 4]),
        (CatchUp.ALL, 2 * HOUR, [3, 4]),
    ],
)
@virtual_time
async def test_ticks_at_which_no_worker_was_there(
    env: VirtualEnvironment, world: World, catch_up: CatchUp, window: float, caught: list[int]
) -> None:
    async with running(env, world) as hub:
        await hub.schedules.create(
            "s",
            report,
            every=HOUR,
            catch_up=catch_up,
            catch_up_window=window,
            overlap=Overlap.ALLOW,
        )
    await anyio.sleep(4.5 * HOUR)
    async with running(env, world) as hub:
        await anyio.sleep(MINUTE)
        state = await described(hub)
        assert await runs(hub) == [ticks(of(n * HOUR), 0, 1)[0] for n in caught]
        assert (state.started, state.missed) == (len(caught), 4 - len(caught))
        await anyio.sleep(HOUR)
        assert (await runs(hub))[-1] == ticks(of(5 * HOUR), 0, 1)[0]


@virtual_time
async def test_a_minute_late_is_punctual(env: VirtualEnvironment, world: World) -> None:
    async with running(env, world) as hub:
        await hub.schedules.create("s", report, every=HOUR, catch_up=CatchUp.NONE)
    await anyio.sleep(HOUR + 50)
    async with running(env, world) as hub:
        await anyio.sleep(1)
        assert await runs(hub) == ticks(of(HOUR), HOUR, 1)


@virtual_time
async def test_a_run_begins_later_by_the_jitter(env: VirtualEnvironment, world: World) -> None:
    async with running(env, world) as hub:
        await hub.schedules.create("s", report, every=HOUR, jitter=30 * MINUTE, end=of(HOUR))
        await anyio.sleep(HOUR + 1)
        [run] = (await described(hub)).runs
        assert run.status is Status.PENDING
        await anyio.sleep(30 * MINUTE)
        assert [run.status for run in (await described(hub)).runs] == [Status.COMPLETED]


# -- without workers


@virtual_time
async def test_a_verb_that_nobody_answers_brings_its_own_worker(
    env: VirtualEnvironment, world: World
) -> None:
    async with world.hub(env, registry) as hub:
        names = [f"s{number}" for number in range(5)]
        await asyncio.gather(*(hub.schedules.create(name, report, every=HOUR) for name in names))
        assert (await hub.schedules.pause("s1", "why")).reason == "why"
        run = await hub.schedules.trigger("s2")
        await anyio.sleep(1.5 * HOUR)
        assert (await hub.schedules.describe("s3")).started == 0  # nobody is there for its ticks
        state = await run.get()
        assert state is not None
        assert state.status is Status.PENDING  # nor for the run
    async with running(env, world) as hub:
        assert await run_of(hub, run.instance_id) == "report for nobody"


async def run_of(hub: TaskHub, instance_id: str) -> Any:
    return await hub.client.wait(instance_id, timeout=HOUR)
