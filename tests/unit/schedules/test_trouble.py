"""What is refused before anything is written, and what goes wrong at a tick and must not end the schedule."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from durable_async import (
    EntityId,
    LimitExceededError,
    MissingExtraError,
    OrchestrationContext,
    PayloadTooLargeError,
    RegistrationError,
    Registry,
    Status,
    TaskHub,
    ValidationError,
    WaitTimeoutError,
)
from durable_async.backends.memory import MemoryBackend
from durable_async.backends.memory.store import MemoryStore
from durable_async.backends.sqlite import SqliteBackend
from durable_async.errors import BackendUnavailableError
from durable_async.model.records import CommitItem, CommitResult, Fence
from durable_async.registry import is_system_name
from durable_async.schedules import CatchUp, IfExists, Overlap, _entity, _record
from durable_async.schedules._record import ScheduleRecord
from durable_async.testing import VirtualEnvironment, virtual_time

HOUR = 3600.0
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)

registry = Registry()


@registry.orchestrator
async def report(ctx: OrchestrationContext, number: int = 7) -> int:
    return number


@registry.orchestrator
async def endless(ctx: OrchestrationContext) -> None:
    await ctx.wait_for_external_event("never")


@asynccontextmanager
async def working(env: VirtualEnvironment, **options: Any) -> AsyncIterator[TaskHub]:
    hub = TaskHub.at("memory://", registry=registry, environment=env, **options)
    async with hub, hub.worker():
        yield hub


EVERY = {"every": HOUR}


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({}, "cron"),
        ({"cron": "* * * * *", "every": 5}, "cron"),
        ({"cron": "nonsense"}, "cron"),
        ({"cron": 5}, "cron"),
        ({"cron": "0 0 31 2 *"}, "cron"),
        ({"every": 0.01}, "every"),
        ({"every": -1}, "every"),
        ({"every": "often"}, "every"),
        ({"at": "tomorrow"}, "at"),
        ({"at": BEGIN}, "at"),
        ({"at": datetime.max, "time_zone": "America/New_York"}, "at"),
        ({**EVERY, "start": datetime.min}, "start"),
        ({**EVERY, "end": datetime.min}, "end"),
        ({**EVERY, "end": BEGIN}, "every"),
        ({**EVERY, "start": BEGIN + timedelta(5), "end": BEGIN}, "every"),
        ({**EVERY, "time_zone": "Nowhere/Atlantis"}, "time_zone"),
        ({**EVERY, "time_zone": None}, "time_zone"),
        ({**EVERY, "overlap": "skip"}, "overlap"),
        ({**EVERY, "catch_up": True}, "catch_up"),
        ({**EVERY, "catch_up_window": "long"}, "catch_up_window"),
        ({**EVERY, "jitter": -1}, "jitter"),
        ({**EVERY, "tags": {"schedule": "x"}}, "tags"),
        ({**EVERY, "tags": {str(number): "x" for number in range(32)}}, "tags"),
        ({**EVERY, "instance_id": "always the same"}, "instance_id"),
        ({**EVERY, "instance_id": "{tick}" + "x" * 250}, "instance_id"),
        ({**EVERY, "instance_id": "@{tick}"}, "instance_id"),
        ({**EVERY, "version": "x" * 300}, "version"),
        ({**EVERY, "if_exists": "keep"}, "if_exists"),
        ({**EVERY, "paused": "no"}, "paused"),
        ({**EVERY, "reason": 5}, "reason"),
        ({**EVERY, "note": "misspelt"}, "note"),
    ],
)
@virtual_time
async def test_what_cannot_be_is_refused_and_nothing_was_written(
    env: VirtualEnvironment, options: dict[str, Any], field: str
) -> None:
    async with working(env) as hub:
        with pytest.raises(ValidationError) as caught:
            await hub.schedules.create("s", report, **options)
        assert caught.value.field == field
        assert [one async for one in hub.client.query_entities()] == []


@virtual_time
async def test_what_it_is_to_start_is_looked_at_too(env: VirtualEnvironment) -> None:
    async with working(env) as hub:
        create: Any = hub.schedules.create
        with pytest.raises(PayloadTooLargeError):
            await create("s", "report", "x" * 300_000, every=HOUR)
        with pytest.raises(ValidationError, match="orchestrator"):
            await create("s", report.function, every=HOUR)
        with pytest.raises(ValidationError, match="orchestrator"):
            await create("s", "@entity", every=HOUR)
        for wrong in ("", "@x", "a\nb", "x" * 250, 5, None, "\ud800"):
            with pytest.raises(ValidationError, match="schedule_id"):
                await create(wrong, report, every=HOUR)


HOSTILE = ["<script>alert(1)</script>", "../../etc", "%00", "a b'\"`;--", "{tick}{schedule}", "\u202egnol", "👩‍🚀" * 20, "{0.__class__}"]  # fmt: skip


@virtual_time
async def test_an_id_may_be_any_text(env: VirtualEnvironment) -> None:
    async with working(env) as hub:
        for hostile in HOSTILE:
            await hub.schedules.create(hostile, report, every=HOUR)
        assert {one.schedule_id async for one in hub.schedules.list()} == set(HOSTILE)
        await anyio.sleep(HOUR + 1)
        for hostile in HOSTILE:
            [run] = (await hub.schedules.describe(hostile)).runs
            assert run.instance_id == f"{hostile}:2026-01-01T01:00:00Z"
            assert await hub.client.wait(run.instance_id) == 7
            [found] = [one async for one in hub.client.query(tags={"schedule": hostile})]
            assert found.instance_id == run.instance_id


@virtual_time
async def test_intervals_need_no_package(
    env: VirtualEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cronsim", None)
    async with working(env) as hub:
        await hub.schedules.create("s", report, every=HOUR)
        with pytest.raises(MissingExtraError, match=r"durable-async\[schedules\]"):
            await hub.schedules.create("c", report, cron="* * * * *")
        await anyio.sleep(HOUR + 1)
        assert (await hub.schedules.describe("s")).started == 1


@virtual_time
async def test_a_worker_that_lacks_the_package_says_so_and_leaves_the_schedule_alive(
    env: VirtualEnvironment, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with working(env) as hub:
        await hub.schedules.create("s", report, cron="0 * * * *")
        with monkeypatch.context() as without:
            without.setitem(sys.modules, "cronsim", None)
            await anyio.sleep(HOUR + 100)
            state = await hub.schedules.describe("s")
            assert state.problem is not None
            assert state.problem.startswith("MissingExtraError")
            assert (state.started, state.next_ticks) == (0, (BEGIN + timedelta(hours=1),))
            assert (await hub.schedules.pause("s")).problem is not None
            assert (await hub.schedules.resume("s")).next_tick is None
        await anyio.sleep(HOUR)
        state = await hub.schedules.describe("s")
        assert (state.started, state.problem) == (1, None)
    assert "cannot look at its ticks" in caplog.text


@virtual_time
async def test_a_store_that_is_silent_while_it_looks_at_its_runs_is_asked_again(
    env: VirtualEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with working(env) as hub:
        await hub.schedules.create("s", report, every=HOUR)
        await anyio.sleep(HOUR + 1)

        async def silent(*_: Any, **__: Any) -> Any:
            raise BackendUnavailableError("silence")

        with monkeypatch.context() as without:
            without.setattr(hub.client, "get_many", silent)
            await anyio.sleep(HOUR)
        assert (await hub.schedules.get("s")).problem == "BackendUnavailableError: silence"  # type: ignore[union-attr]
        await anyio.sleep(60)
        state = await hub.schedules.describe("s")
        assert (state.started, state.missed, state.problem) == (2, 0, None)


@virtual_time
async def test_what_a_later_release_wrote_is_left_to_it(
    env: VirtualEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with working(env) as hub:
        await hub.schedules.create("s", report, every=HOUR)
        with monkeypatch.context() as older:
            older.setattr(_entity, "FORMAT", 0)
            await anyio.sleep(HOUR + 1)
            with pytest.raises(Exception, match="later release"):
                await hub.schedules.pause("s")
        await anyio.sleep(60)
        assert (await hub.schedules.describe("s")).started == 1


@virtual_time
async def test_a_schedule_that_nobody_wakes_any_more_is_woken_by_any_verb(
    env: VirtualEnvironment,
) -> None:
    """So that one whose operation was parked goes on."""
    async with working(env) as hub:
        await hub.schedules.create("s", report, every=HOUR, catch_up=CatchUp.ALL)
        entity = _entity.ScheduleEntity
        with pytest.MonkeyPatch.context() as broken:
            broken.setattr(entity, "_wake_at", lambda *_: None)
            await hub.schedules.create("x", report, every=HOUR)
        await anyio.sleep(2.5 * HOUR)
        assert (await hub.schedules.describe("x")).started == 0
        await hub.schedules.update("x", tags={"a": "b"})
        await anyio.sleep(1)
        assert (await hub.schedules.describe("x")).started == 1
        assert (await hub.schedules.describe("s")).started == 2


class Dying(MemoryBackend):
    """The way to the store of a process that dies when a schedule's next tick is due."""

    dies = False

    def _check(self) -> None:
        if self.dies:
            raise BackendUnavailableError("the process is dead")

    async def commit(self, fence: Fence, items: Sequence[CommitItem]) -> CommitResult:
        self._check()
        return await super().commit(fence, items)

    async def retire_worker(self, fence: Fence) -> None:
        self._check()
        await super().retire_worker(fence)


async def die_of_it(env: VirtualEnvironment, store: MemoryStore) -> None:
    """Be a worker process that a schedule's tick kills."""
    backend = Dying(store, environment=env)
    await backend.open()
    hub = TaskHub(backend, registry=registry, environment=env)
    with anyio.CancelScope() as life, pytest.MonkeyPatch.context() as deadly:

        async def die(*_: Any) -> None:
            backend.dies = True
            life.cancel()
            await anyio.sleep(1)

        deadly.setattr(_entity.ScheduleEntity, "_look", die)
        with anyio.move_on_after(120):
            await hub.worker().run()
    hub.client.close()
    await backend.close()


@virtual_time
async def test_one_whose_workers_die_is_parked_until_it_is_resumed(env: VirtualEnvironment) -> None:
    store = MemoryStore(env)
    backend = MemoryBackend(store, environment=env)
    await backend.open()
    hub = TaskHub(backend, registry=registry, environment=env)
    async with hub.worker():
        await hub.schedules.create("s", report, every=HOUR)
    await anyio.sleep(HOUR)
    for _ in range(6):
        await die_of_it(env, store)
    state = await hub.schedules.get("s")
    assert state is not None
    assert (state.problem or "").startswith("parked: "), state
    async with hub.worker():
        await anyio.sleep(HOUR)
        assert (await hub.schedules.describe("s")).started == 0
        await hub.schedules.resume("s")
        await anyio.sleep(1)
        state = await hub.schedules.describe("s")
        assert (state.started, state.problem) == (1, None)
    hub.client.close()
    await backend.close()


@virtual_time
async def test_edits_leave_few_signals_behind(env: VirtualEnvironment) -> None:
    async with working(env) as hub:
        await hub.schedules.create("s", report, every=HOUR)
        for number in range(50):
            await hub.schedules.update("s", every=HOUR + number)
            await hub.schedules.pause("s")
            await hub.schedules.resume("s")
        [entity] = [one async for one in hub.client.query_entities(ScheduleRecord)]
        assert entity.backlog == 1


@virtual_time
async def test_a_backfill_has_a_bound(env: VirtualEnvironment) -> None:
    async with working(env) as hub:
        await hub.schedules.create("s", report, cron="* * * * *")
        with pytest.raises(LimitExceededError):
            await hub.schedules.backfill("s", BEGIN - timedelta(days=30), BEGIN)
        with pytest.raises(ValidationError, match="end"):
            await hub.schedules.backfill("s", BEGIN, None)  # type: ignore[arg-type]
        day = await hub.schedules.backfill(
            "s", BEGIN - timedelta(hours=4), BEGIN - timedelta(minutes=1)
        )
        assert len(day) == len(set(day)) == 240


@virtual_time
async def test_a_backfill_from_the_first_day_of_the_calendar_is_refused(
    env: VirtualEnvironment,
) -> None:
    async with working(env) as hub:
        await hub.schedules.create("s", report, every=HOUR)
        with pytest.raises(ValidationError) as caught:
            await hub.schedules.backfill("s", datetime.min, BEGIN)
        assert caught.value.field == "start"


@virtual_time
async def test_hundreds_sleep_side_by_side(env: VirtualEnvironment) -> None:
    async with working(env) as hub:
        names = [f"{number:04}" for number in range(200)]
        await asyncio.gather(*(hub.schedules.create(one, report, every=60) for one in names))
        await anyio.sleep(61)
        assert len([one async for one in hub.schedules.list() if one.started == 1]) == 200


@virtual_time
async def test_a_store_whose_workers_hang_gives_no_answer(env: VirtualEnvironment) -> None:
    async with working(env) as hub:
        await hub.schedules.create("s", report, every=HOUR)

        with pytest.raises(WaitTimeoutError):
            await _while_busy(hub)


async def _while_busy(hub: TaskHub) -> None:
    """Ask a schedule that somebody has to himself."""

    @registry.orchestrator(name="keeper")
    async def keeper(ctx: OrchestrationContext) -> None:
        async with ctx.lock_entities([EntityId(_entity.NAME, "s")]):
            await asyncio.sleep(500)

    await hub.client.start(keeper)
    await anyio.sleep(1)
    await hub.schedules.pause("s")


@pytest.mark.parametrize("name", ["durable_async.schedule", "Durable_Async.mine"])
def test_its_name_cannot_be_registered(name: str) -> None:
    mine = Registry()
    for decorate in (mine.orchestrator, mine.activity, mine.entity):
        with pytest.raises(RegistrationError, match="durable_async's own"):
            decorate(name=name)(report.function)
    assert is_system_name(name)
    assert is_system_name(f"@{name}")
    assert not is_system_name("durable_asynchrony")


@virtual_time
async def test_two_who_create_it_at_once_make_one(env: VirtualEnvironment) -> None:
    async with working(env) as hub:
        made = await asyncio.gather(
            *(
                hub.schedules.create("s", report, every=HOUR, if_exists=IfExists.UPDATE)
                for _ in range(5)
            )
        )
        assert all(one == made[0] for one in made)
        await anyio.sleep(HOUR + 1)
        assert (await hub.schedules.describe("s")).started == 1


async def going_on(hub: TaskHub) -> list[str]:
    found = [one async for one in hub.client.query(tags={"schedule": "s"})]
    return [one.instance_id.partition(":")[2] for one in found if not one.is_ended]


@virtual_time
async def test_one_that_was_rewound_goes_on_again(env: VirtualEnvironment) -> None:
    own, is_down = Registry(), True

    @own.activity
    async def fetch() -> None:
        if is_down:
            raise ConnectionError("it is down")

    @own.orchestrator
    async def lengthy(ctx: OrchestrationContext) -> None:
        await ctx.call_activity(fetch)
        await ctx.wait_for_external_event("never")

    hub = TaskHub.at("memory://", registry=own, environment=env)
    async with hub, hub.worker():
        await hub.schedules.create("s", lengthy, every=HOUR)
        await anyio.sleep(2 * HOUR + 1)
        first = (await hub.schedules.describe("s")).runs[-1]
        assert first.status is Status.FAILED  # and the tick after it has seen that
        is_down = False
        await hub.client.rewind(first.instance_id)
        await anyio.sleep(HOUR)
        state = await hub.schedules.describe("s")
        assert (state.started, state.skipped) == (2, 1)


@pytest.mark.parametrize(
    "overlap", [Overlap.SKIP, Overlap.BUFFER_ONE, Overlap.BUFFER_ALL, Overlap.TERMINATE_PREVIOUS]
)
@virtual_time
async def test_a_run_that_goes_on_is_remembered_whatever_else_is_started(
    env: VirtualEnvironment, overlap: Overlap
) -> None:
    async with working(env) as hub:
        await hub.schedules.create("s", endless, every=HOUR, overlap=overlap)
        await anyio.sleep(HOUR + 1)
        first = await going_on(hub)
        assert first == ["2026-01-01T01:00:00Z"]
        for _ in range(15):
            run = await hub.schedules.trigger("s")
            await hub.client.raise_event(run.instance_id, "never")
            await run.wait()
        await anyio.sleep(2 * HOUR)
        state = await hub.schedules.describe("s")
        if overlap is Overlap.TERMINATE_PREVIOUS:
            assert await going_on(hub) == ["2026-01-01T03:00:00Z"]
        else:
            assert await going_on(hub) == first
            assert state.skipped + len(state.waiting) == 2
            assert state.runs[-1].tick == BEGIN + timedelta(hours=1)
        assert len(state.runs) == 10


@virtual_time
async def test_how_many_runs_that_go_on_are_remembered_has_a_bound(
    env: VirtualEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (_entity, _record):
        monkeypatch.setattr(module, "GOING_KEPT", 20)
    async with working(env) as hub:
        await hub.schedules.create("s", report, every=HOUR)
        for _ in range(50):
            await (await hub.schedules.trigger("s")).wait()
        state = await hub.schedules.get("s")
        assert state is not None
        assert state.problem is None  # they have ended
        await hub.schedules.update("s", orchestrator=endless)
        for _ in range(25):
            await hub.schedules.trigger("s")
        state = await hub.schedules.get("s")
        assert state is not None
        assert (state.problem or "").startswith("more than 1,000 runs go on"), state
        [entity] = [one async for one in hub.client.query_entities(ScheduleRecord)]
        assert entity.state is not None
        assert len(entity.state.runs) == 20
        for one in await going_on(hub):
            await hub.client.terminate(f"s:{one}", "it is enough")
        await anyio.sleep(HOUR + 1)
        state = await hub.schedules.get("s")
        assert state is not None
        assert (state.problem, await going_on(hub)) == (None, ["2026-01-01T01:00:00Z"])


@asynccontextmanager
async def restarted(env: VirtualEnvironment, path: Path) -> AsyncIterator[TaskHub]:
    """Be another process: in each, the store's clock never goes back."""
    backend = SqliteBackend(path, environment=env, inline=True)
    await backend.open()
    hub = TaskHub(backend, registry=registry, environment=env)
    async with hub.worker():
        yield hub
    hub.client.close()
    await backend.close()


@pytest.mark.parametrize("verb", ["resume", "update", "pause"])
@virtual_time
async def test_one_that_a_clock_has_left_ahead_begins_anew(
    env: VirtualEnvironment, tmp_path: Path, verb: str
) -> None:
    path, every = tmp_path / "hub.db", 5 if verb == "update" else 10
    async with restarted(env, path) as hub:
        await hub.schedules.create("s", report, cron="*/10 * * * *")
        await anyio.sleep(1000)  # 00:16:40
    env.skew_us = 3_600_000_000
    async with restarted(env, path) as hub:
        await anyio.sleep(600)
        jumped = await hub.schedules.get("s")
        assert jumped is not None
        assert (jumped.started, jumped.problem) == (3, None)  # 00:10, 01:10, 01:20
    env.skew_us = 0
    async with restarted(env, path) as hub:
        schedules = hub.schedules
        await anyio.sleep(1000)  # 00:43:20
        silent = await schedules.get("s")
        assert silent is not None
        assert silent.started == jumped.started
        assert (silent.problem or "").startswith("the clock was set back"), silent
        match verb:
            case "resume":
                await schedules.resume("s")
            case "update":
                await schedules.update("s", cron=f"*/{every} * * * *")
            case _:
                await schedules.pause("s")
                await schedules.resume("s")
        state = await schedules.get("s")
        assert state is not None
        assert state.problem is None
        await anyio.sleep(HOUR)  # 01:43:20
        found = [one async for one in hub.client.query(tags={"schedule": "s"})]
        ran = {one.instance_id.partition(":")[2] for one in found}
        minutes = [10, *range(50 if every == 10 else 45, 104, every)]
        assert ran == {f"2026-01-01T{one // 60:02}:{one % 60:02}:00Z" for one in minutes}
        state = await schedules.get("s")
        assert state is not None
        assert (state.started, state.missed, state.problem) == (len(ran), jumped.missed, None)
