"""Export jobs as programs use them, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from datetime import timedelta
from typing import Any

import pytest
from tests.integration.worlds import World

from durable_async.testing import VirtualEnvironment, virtual_time
from durabletask import task
from durabletask.client import OrchestrationStatus
from durabletask.extensions.history_export import (
    ENTITY_NAME,
    ExportJobNotFoundError,
    ExportJobQuery,
    ExportJobStatus,
    ExportMode,
)

from .stage import BEGIN, Stage, options, staged

HOUR = 3_600.0
SECOND = timedelta(seconds=1)


def filled(stage: Stage, count: int = 5) -> list[str]:
    ids = [f"o{n}" for n in range(count)]
    for n, one in enumerate(ids):
        stage.shelf.add(one, at=BEGIN + n * SECOND)
    return ids


@virtual_time
async def test_a_batch_is_exported_page_by_page(env: VirtualEnvironment, world: World) -> None:
    async with staged(env, world) as stage:
        ids = filled(stage)
        created = await stage.jobs.create_job(options(max_instances_per_batch=2), job_id="j")
        assert (created.job_id, created.status) == ("j", ExportJobStatus.ACTIVE)
        assert (created.orchestrator_instance_id, created.checkpoint) == ("export-job-j", None)
        job = await stage.jobs.wait_for_job("j")
        assert stage.files.ids() == ids
        assert stage.shelf.listed == 3
        assert job.status is ExportJobStatus.COMPLETED
        assert (job.scanned_instances, job.exported_instances) == (5, 5)
        assert (job.failed_instances, job.failures, job.last_error) == (0, [], None)
        assert job.created_at == created.created_at
        assert job.checkpoint is not None
        assert job.checkpoint.last_instance_key == f"{(BEGIN + 3 * SECOND).isoformat()}|o3"
        state = await stage.verbs.wait_for_orchestration_completion("export-job-j")
        assert state is not None
        assert state.get_output() == {
            "job_id": "j",
            "status": "Completed",
            "totals": {"scanned": 5, "exported": 5, "failed": 0},
        }


@virtual_time
async def test_long_jobs_begin_their_history_anew(env: VirtualEnvironment, memory: World) -> None:
    async with staged(env, memory) as stage:
        ids = filled(stage, 17)
        changes = {"max_instances_per_batch": 1, "max_parallel_exports": 1}
        await stage.jobs.create_job(options(**changes), job_id="j")
        job = await stage.jobs.wait_for_job("j")
        assert (stage.files.ids(), job.exported_instances) == (sorted(ids), 17)
        state = await stage.hub.client.get("export-job-j")
        assert state is not None
        assert state.execution == 4


@virtual_time
async def test_only_some_statuses(env: VirtualEnvironment, memory: World) -> None:
    async with staged(env, memory) as stage:
        filled(stage)
        stage.shelf.add("bad", at=BEGIN, status=OrchestrationStatus.FAILED)
        await stage.jobs.create_job(
            options(runtime_status=[OrchestrationStatus.FAILED]), job_id="j"
        )
        await stage.jobs.wait_for_job("j")
        assert stage.files.ids() == ["bad"]


@virtual_time
async def test_what_cannot_be_written_fails_the_job_in_the_end(
    env: VirtualEnvironment, memory: World
) -> None:
    async with staged(env, memory) as stage:
        filled(stage, 3)
        stage.files.failing["o1"] = 99
        await stage.jobs.create_job(options(), job_id="j")
        job = await stage.jobs.wait_for_job("j")
        assert [at for at, _ in stage.files.tried] == [0, 60, 180]
        assert stage.files.ids() == ["o0", "o2"], "the others are not written again"
        assert job.status is ExportJobStatus.FAILED
        counts = (job.scanned_instances, job.exported_instances, job.failed_instances)
        assert counts == (3, 2, 1)
        (failure,) = job.failures
        assert (failure.instance_id, failure.attempt_count) == ("o1", 3)
        assert failure.reason == "OSError: no room for o1"
        assert failure.last_attempt >= BEGIN + timedelta(minutes=3)
        assert job.last_error == (
            "Batch export failed after retries. Failures: o1: OSError: no room for o1"
        )
        assert job.checkpoint is not None
        assert job.checkpoint.last_instance_key is None
        state = await stage.verbs.wait_for_orchestration_completion("export-job-j")
        assert state is not None
        assert state.get_output()["status"] == "Failed"


@virtual_time
async def test_what_is_written_at_last_counts(env: VirtualEnvironment, memory: World) -> None:
    async with staged(env, memory) as stage:
        ids = filled(stage, 3)
        stage.files.failing["o1"] = 2
        await stage.jobs.create_job(options(), job_id="j")
        job = await stage.jobs.wait_for_job("j", timeout=HOUR)
        assert (job.status, job.exported_instances) == (ExportJobStatus.COMPLETED, 3)
        assert stage.files.ids() == ids


@virtual_time
async def test_a_failed_job_may_be_created_anew(env: VirtualEnvironment, memory: World) -> None:
    async with staged(env, memory) as stage:
        filled(stage, 3)
        stage.files.failing["o1"] = 3
        await stage.jobs.create_job(options(), job_id="j")
        assert (await stage.jobs.wait_for_job("j")).status is ExportJobStatus.FAILED
        await stage.jobs.create_job(options(), job_id="j")
        job = await stage.jobs.wait_for_job("j")
        assert (job.status, job.exported_instances) == (ExportJobStatus.COMPLETED, 3)
        assert (job.failures, job.last_error) == ([], None)


@virtual_time
async def test_what_is_gone_does_not_stop_the_job(env: VirtualEnvironment, memory: World) -> None:
    async with staged(env, memory) as stage:
        filled(stage, 3)
        stage.shelf.purged.add("o1")
        await stage.jobs.create_job(options(), job_id="j")
        job = await stage.jobs.wait_for_job("j")
        assert stage.files.ids() == ["o0", "o2"]
        assert (job.status, job.failed_instances) == (ExportJobStatus.COMPLETED, 1)
        (failure,) = job.failures
        assert (failure.instance_id, failure.attempt_count) == ("o1", 1)
        assert failure.reason == "instance 'o1' no longer exists or has been purged"


@virtual_time
async def test_a_store_that_is_away_is_waited_for(env: VirtualEnvironment, memory: World) -> None:
    async with staged(env, memory) as stage:
        filled(stage, 1)
        stage.shelf.breaks = 2
        await stage.jobs.create_job(options(), job_id="j")
        job = await stage.jobs.wait_for_job("j")
        assert job.status is ExportJobStatus.COMPLETED
        assert stage.files.written == [(45, "o0")]


@virtual_time
async def test_a_store_that_stays_away_fails_the_job(
    env: VirtualEnvironment, memory: World
) -> None:
    async with staged(env, memory) as stage:
        stage.shelf.breaks = 99
        await stage.jobs.create_job(options(), job_id="j")
        job = await stage.jobs.wait_for_job("j")
        assert job.status is ExportJobStatus.FAILED
        assert "the store is away" in (job.last_error or "")
        state = await stage.verbs.wait_for_orchestration_completion("export-job-j")
        assert state is not None
        assert state.runtime_status is OrchestrationStatus.FAILED


CONTINUOUS = {"mode": ExportMode.CONTINUOUS, "completed_time_to": None}


@virtual_time
async def test_a_continuous_job_exports_each_once(env: VirtualEnvironment, world: World) -> None:
    async with staged(env, world) as stage:
        ids = filled(stage, 3)
        await asyncio.sleep(10)
        await stage.jobs.create_job(options(max_instances_per_batch=2, **CONTINUOUS), job_id="j")
        await asyncio.sleep(10)
        assert stage.files.ids() == ids
        for n in range(8):
            stage.shelf.add(f"late{n}", at=stage.now())
            await asyncio.sleep(100)
        assert stage.files.ids() == sorted([*ids, *(f"late{n}" for n in range(8))])
        job = await stage.jobs.get_job("j")
        assert job is not None
        assert (job.status, job.exported_instances) == (ExportJobStatus.ACTIVE, 11)
        state = await stage.hub.client.get("export-job-j")
        assert state is not None
        assert state.execution >= 3
        with pytest.raises(TimeoutError, match=r"within 10s \(last status: Active\)"):
            await stage.jobs.wait_for_job("j", timeout=10)


@virtual_time
async def test_a_continuous_job_waits_for_ends_to_settle(
    env: VirtualEnvironment, memory: World
) -> None:
    async with staged(env, memory) as stage:
        await asyncio.sleep(10)
        stage.shelf.add("fresh", at=stage.now())
        await stage.jobs.create_job(options(**CONTINUOUS), job_id="j")
        await asyncio.sleep(30)
        assert stage.files.ids() == []
        await asyncio.sleep(60)
        assert stage.files.ids() == ["fresh"]


@virtual_time
async def test_a_continuous_job_may_begin_later(env: VirtualEnvironment, memory: World) -> None:
    async with staged(env, memory) as stage:
        begin = BEGIN + timedelta(hours=1)
        await stage.jobs.create_job(options(completed_time_from=begin, **CONTINUOUS), job_id="j")
        await asyncio.sleep(HOUR / 2)
        stage.shelf.add("early", at=stage.now())
        await asyncio.sleep(HOUR)
        stage.shelf.add("late", at=stage.now())
        await asyncio.sleep(120)
        assert stage.files.ids() == ["late"]


@virtual_time
async def test_a_job_is_deleted(env: VirtualEnvironment, world: World) -> None:
    async with staged(env, world) as stage:
        job = stage.jobs.get_job_client("j")
        assert (job.job_id, job.orchestrator_instance_id) == ("j", "export-job-j")
        await stage.jobs.create_job(options(**CONTINUOUS), job_id="j")
        await asyncio.sleep(100)
        assert await job.describe() is not None
        await job.delete()
        assert await job.describe() is None
        assert await stage.verbs.get_orchestration_state("export-job-j") is None
        listed = stage.shelf.listed
        await asyncio.sleep(HOUR)
        assert stage.shelf.listed == listed
        await job.delete()
        with pytest.raises(ExportJobNotFoundError):
            await job.wait()
        await stage.jobs.create_job(options(), job_id="j")
        assert (await job.wait()).status is ExportJobStatus.COMPLETED
        await stage.jobs.cancel_job("j")
        assert await job.describe() is None


@virtual_time
async def test_an_active_job_is_left_alone(env: VirtualEnvironment, memory: World) -> None:
    async with staged(env, memory) as stage:
        await stage.jobs.create_job(options(**CONTINUOUS), job_id="j")
        await asyncio.sleep(10)
        again = await stage.jobs.create_job(options(), job_id="j")
        assert again == await stage.jobs.get_job("j")
        assert again.config is not None
        assert again.config.mode is ExportMode.CONTINUOUS


@virtual_time
async def test_jobs_may_be_created_before_a_worker_comes(
    env: VirtualEnvironment, memory: World
) -> None:
    async with staged(env, memory, working=False) as stage:
        first = await stage.jobs.create_job(options(), job_id="j")
        await stage.jobs.create_job(options(), job_id="j")
        with pytest.raises(TimeoutError, match=r"last status: none"):
            await stage.jobs.wait_for_job("j", timeout=10)
        with pytest.raises(ExportJobNotFoundError):
            await stage.jobs.wait_for_job("other", timeout=10)
        async with stage.hub.worker():
            job = await stage.jobs.wait_for_job("j")
        assert (job.status, job.created_at) == (ExportJobStatus.COMPLETED, first.created_at)


@virtual_time
async def test_another_worker_goes_on(env: VirtualEnvironment, world: World) -> None:
    async with staged(env, world, working=False) as stage:
        ids = filled(stage, 4)
        stage.files.failing["o3"] = 1
        await stage.jobs.create_job(options(max_instances_per_batch=2), job_id="j")
        async with stage.hub.worker():
            await asyncio.sleep(30)
        assert stage.files.ids() == ids[:3]
        await asyncio.sleep(HOUR)
        async with stage.hub.worker():
            job = await stage.jobs.wait_for_job("j")
        assert stage.files.ids() == ids
        assert (job.status, job.exported_instances) == (ExportJobStatus.COMPLETED, 4)


@virtual_time
async def test_a_history_that_changes_while_it_is_read_is_read_again(
    env: VirtualEnvironment, memory: World
) -> None:
    async with staged(env, memory) as stage:
        filled(stage, 1)
        stage.shelf.changing = 1
        await stage.jobs.create_job(options(), job_id="j")
        job = await stage.jobs.wait_for_job("j")
        assert (job.status, stage.files.written) == (ExportJobStatus.COMPLETED, [(60, "o0")])


@virtual_time
async def test_a_deletion_without_a_worker_gives_up_waiting(
    env: VirtualEnvironment, memory: World
) -> None:
    async with staged(env, memory, working=False) as stage:
        await stage.jobs.create_job(options(), job_id="j")
        await stage.jobs.delete_job("j")
        async with stage.hub.worker():
            await asyncio.sleep(10)
        assert await stage.jobs.get_job("j") is None


@virtual_time
async def test_jobs_are_listed(env: VirtualEnvironment, memory: World) -> None:
    async with staged(env, memory) as stage:
        filled(stage, 1)
        await stage.jobs.create_job(options(), job_id="done")
        await stage.jobs.wait_for_job("done")
        stage.files.failing["o0"] = 3
        await stage.jobs.create_job(options(), job_id="bad")
        await stage.jobs.wait_for_job("bad")
        await asyncio.sleep(HOUR)
        between = stage.now()
        await asyncio.sleep(1)
        await stage.jobs.create_job(options(**CONTINUOUS), job_id="tail")
        await asyncio.sleep(1)

        async def listed(**query: Any) -> list[str]:
            return [job.job_id async for job in stage.jobs.list_jobs(ExportJobQuery(**query))]

        assert [job.job_id async for job in stage.jobs.list_jobs()] == ["bad", "done", "tail"]
        assert await listed(page_size=1) == ["bad", "done", "tail"]
        assert await listed(status=[ExportJobStatus.FAILED]) == ["bad"]
        assert await listed(status=[]) == []
        assert await listed(last_modified_from=between) == ["tail"]
        assert await listed(last_modified_to=between.replace(tzinfo=None)) == ["bad", "done"]


@virtual_time
async def test_jobs_get_ids(env: VirtualEnvironment, memory: World) -> None:
    async with staged(env, memory) as stage:
        created = await stage.jobs.create_job(options(), job_id="")
        assert len(created.job_id) == 32
        job = await stage.jobs.wait_for_job(created.job_id)
        assert job.status is ExportJobStatus.COMPLETED
        with pytest.raises(ValueError, match="job_id must be a non-empty string"):
            await stage.jobs.get_job("")
        with pytest.raises(ValueError, match="required for batch"):
            await stage.jobs.create_job(options(completed_time_to=None))


# -- the entity's operations, as an orchestration calls them


def ask(ctx: task.OrchestrationContext, given: list[Any]) -> Generator[Any, Any, Any]:
    operation, payload = given
    try:
        return (yield ctx.call_entity(task.EntityInstanceId(ENTITY_NAME, "j"), operation, payload))
    except task.TaskFailedError as error:
        return f"{error.details.error_type.rpartition('.')[2]}: {error.details.message}"


@virtual_time
async def test_the_entity_guards_the_job(env: VirtualEnvironment, memory: World) -> None:
    async with staged(env, memory, ask) as stage:

        async def asked(operation: str, payload: Any = None) -> Any:
            started = await stage.verbs.schedule_new_orchestration(ask, input=[operation, payload])
            state = await stage.verbs.wait_for_orchestration_completion(started)
            assert state is not None
            return state.get_output()

        for operation in ("get", "mark_completed", "mark_failed", "commit_checkpoint", "delete"):
            assert await asked(operation, {}) is None
        assert "requires 'config'" in await asked("create", {})
        assert "non-empty mapping" in await asked("create", {"config": {}})
        config = options(**CONTINUOUS).to_configuration().to_dict()
        state = await asked("create", {"config": config})
        assert (state["status"], state["orchestrator_instance_id"]) == ("Active", "export-job-j")
        assert "from 'Active' to 'Active'" in await asked("create", {"config": config})
        assert "must be non-negative" in await asked("commit_checkpoint", {"scanned_delta": -1})
        state = await asked("commit_checkpoint", {"scanned_delta": 2, "last_instance_key": "k"})
        assert (state["scanned_instances"], state["checkpoint"]) == (2, {"last_instance_key": "k"})
        state = await asked("mark_failed", {"error": "no room"})
        assert (state["status"], state["last_error"]) == ("Failed", "no room")
        state = await asked("mark_failed", {"error": "another"})
        assert (state["status"], state["last_error"]) == ("Failed", "no room")
        assert "from 'Failed' to 'Completed'" in await asked("mark_completed")
        assert "from 'Failed' to 'Active'" in await asked("commit_checkpoint", {})
        state = await asked("create", {"config": config, "created_at": "2025-01-01T00:00:00Z"})
        assert (state["created_at"], state["scanned_instances"]) == (
            "2025-01-01T00:00:00+00:00",
            0,
        )
        state = await asked("mark_completed")
        assert state["status"] == "Completed"
        assert "from 'Completed' to 'Failed'" in await asked("mark_failed")
        assert await asked("get") == state
        assert await asked("delete") is None
        assert await asked("get") is None
