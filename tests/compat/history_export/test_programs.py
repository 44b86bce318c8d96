"""A program that exports its histories: real clients, real workers and files, on each store, in real time."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from tests.integration.worlds import MEMORY, POSTGRES, SQLITE

from durabletask import task
from durabletask.client import AsyncTaskHubGrpcClient, TaskHubGrpcClient
from durabletask.extensions.history_export import (
    AsyncExportHistoryClient,
    ExportDestination,
    ExportFormat,
    ExportFormatKind,
    ExportHistoryClient,
    ExportJobCreationOptions,
    ExportJobNotFoundError,
    ExportJobStatus,
    ExportMode,
    HistoryExportContext,
    HistoryWriter,
    LocalFolderHistoryWriter,
    ObjectStoreHistoryWriter,
    build_activities,
    run_export_instance_history,
    run_list_terminal_instances,
)
from durabletask.worker import TaskHubGrpcWorker

LOG = logging.getLogger("durabletask-test")
SECONDS = 30.0


@pytest.fixture(params=[MEMORY, SQLITE, POSTGRES])
def url(request: pytest.FixtureRequest, tmp_path: Path, fresh_name: str) -> str:
    if request.param == POSTGRES:
        return str(request.getfixturevalue("postgres_lab").dsn)
    return (
        f"sqlite:///{tmp_path / 'hub.db'}" if request.param == SQLITE else f"memory://{fresh_name}"
    )


@pytest.fixture
def hub(url: str, fresh_name: str) -> dict[str, Any]:
    return {"host_address": url, "metadata": [("taskhub", fresh_name)], "logger": LOG}


@pytest.fixture
def client(hub: dict[str, Any]) -> Iterator[TaskHubGrpcClient]:
    with TaskHubGrpcClient(**hub) as client:
        yield client


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "histories"


class Telling(LocalFolderHistoryWriter):
    """Tells the names of the files that it has written."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.names: SimpleQueue[str] = SimpleQueue()

    def write(self, **file: Any) -> None:
        super().write(**file)
        self.names.put(file["blob_name"].rpartition("/")[2])


@pytest.fixture
def writer(folder: Path) -> Telling:
    return Telling(folder)


@pytest.fixture
def jobs(client: TaskHubGrpcClient, writer: Telling) -> ExportHistoryClient:
    return ExportHistoryClient(client, writer)


def double(ctx: task.ActivityContext, number: int) -> int:
    return 2 * number


def doubles(ctx: task.OrchestrationContext, number: int) -> Any:
    if number < 0:
        raise ValueError("no negative ones")
    return (yield ctx.call_activity(double, input=number))


def waits(ctx: task.OrchestrationContext, _: Any) -> Any:
    yield ctx.wait_for_external_event("never")


@pytest.fixture
def worker(hub: dict[str, Any], jobs: ExportHistoryClient) -> Iterator[TaskHubGrpcWorker]:
    with TaskHubGrpcWorker(**hub) as worker:
        worker.add_orchestrator(doubles)
        worker.add_orchestrator(waits)
        worker.add_activity(double)
        jobs.register_worker(worker)
        worker.start()
        yield worker


def run(client: TaskHubGrpcClient, numbers: dict[str, int]) -> None:
    for instance_id, number in numbers.items():
        client.schedule_new_orchestration(doubles, input=number, instance_id=instance_id)
    for instance_id in numbers:
        client.wait_for_orchestration_completion(instance_id, timeout=SECONDS)


def options(**changes: Any) -> ExportJobCreationOptions:
    now = datetime.now(UTC)
    given: dict[str, Any] = {
        "mode": ExportMode.BATCH,
        "completed_time_from": now - timedelta(hours=1),
        "completed_time_to": now + timedelta(hours=1),
        "destination": ExportDestination("box", "2026/"),
    }
    return ExportJobCreationOptions(**{**given, **changes})


def name_of(client: TaskHubGrpcClient, instance_id: str) -> str:
    state = client.get_orchestration_state(instance_id)
    assert state is not None
    ended = f"{state.last_updated_at:%Y-%m-%dT%H:%M:%S.%f}0+00:00"
    return hashlib.sha256(f"{ended}|{instance_id}".encode()).hexdigest()


@pytest.mark.usefixtures("worker")
def test_a_program_exports_what_has_ended(
    client: TaskHubGrpcClient, jobs: ExportHistoryClient, folder: Path
) -> None:
    run(client, {"one": 1, "two": 2, "bad/é": -1})
    client.schedule_new_orchestration(waits, instance_id="unended")
    jobs.create_job(options(max_instances_per_batch=2), job_id="nightly")
    job = jobs.wait_for_job("nightly", timeout=SECONDS, poll_interval=0.05)
    assert (job.status, job.exported_instances) == (ExportJobStatus.COMPLETED, 3)

    files = {path.name: path for path in (folder / "box" / "2026").iterdir()}
    assert set(files) == {f"{name_of(client, one)}.jsonl.gz" for one in ("one", "two", "bad/é")}
    text = gzip.decompress(files[f"{name_of(client, 'one')}.jsonl.gz"].read_bytes()).decode()
    head, *events = [json.loads(line) for line in text.splitlines()]
    assert (head["kind"], head["instance_id"], head["schema_version"]) == ("metadata", "one", "1.0")
    assert head["metadata"]["runtime_status"] == "COMPLETED"
    assert head["metadata"]["serialized_output"] == "2"
    assert [event["event_type"] for event in events] == [
        "OrchestratorStartedEvent",
        "ExecutionStartedEvent",
        "TaskScheduledEvent",
        "OrchestratorCompletedEvent",
        "OrchestratorStartedEvent",
        "TaskCompletedEvent",
        "OrchestratorCompletedEvent",
        "ExecutionCompletedEvent",
    ]
    told = [
        {"event_type": type(event).__name__, **event.to_dict()}
        for event in client.get_orchestration_history("one")
    ]
    assert events == told

    jobs.create_job(options(format=ExportFormat(ExportFormatKind.JSON)), job_id="nightly")
    jobs.wait_for_job("nightly", timeout=SECONDS, poll_interval=0.05)
    bad = json.loads((folder / f"box/2026/{name_of(client, 'bad/é')}.json").read_bytes())
    assert bad["metadata"]["failure_details"]["message"] == "no negative ones"
    assert bad["events"][-1]["failure_details"]["error_type"] == "builtins.ValueError"
    assert [found.job_id for found in jobs.list_jobs()] == ["nightly"]


@pytest.mark.usefixtures("worker")
def test_a_program_follows_what_ends(
    client: TaskHubGrpcClient,
    jobs: ExportHistoryClient,
    writer: Telling,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    orchestrator = "durabletask.extensions.history_export.orchestrator"
    monkeypatch.setattr(f"{orchestrator}.CONTINUOUS_IDLE_DELAY", timedelta(milliseconds=20))
    monkeypatch.setattr(f"{orchestrator}.CONTINUOUS_SETTLING_TIME", timedelta(milliseconds=20))
    run(client, {"one": 1})
    job = jobs.get_job_client("tail")
    jobs.create_job(options(mode=ExportMode.CONTINUOUS, completed_time_to=None), job_id="tail")
    run(client, {"two": 2, "three": 3})
    awaited = {f"{name_of(client, one)}.jsonl.gz" for one in ("one", "two", "three")}
    assert {writer.names.get(timeout=SECONDS) for _ in range(3)} == awaited
    assert {path.name for path in folder.glob("box/2026/*.gz")} == awaited
    found = job.describe()
    assert found is not None
    assert found.status is ExportJobStatus.ACTIVE
    job.delete()
    assert job.describe() is None
    assert client.get_orchestration_state("export-job-tail") is None
    with pytest.raises(ExportJobNotFoundError):
        job.wait(timeout=1)
    jobs.cancel_job("never")


@pytest.mark.usefixtures("worker")
async def test_async_code_has_the_same_words(
    hub: dict[str, Any], jobs: ExportHistoryClient, folder: Path
) -> None:
    async with AsyncTaskHubGrpcClient(**hub) as client:
        await client.schedule_new_orchestration(doubles, input=1, instance_id="one")
        await client.wait_for_orchestration_completion("one", timeout=SECONDS)
        mine = AsyncExportHistoryClient(client, jobs.writer)
        assert mine.writer is jobs.writer
        created = await mine.create_job(options())
        job = mine.get_job_client(created.job_id)
        ended = await job.wait(timeout=SECONDS, poll_interval=0.05)
        assert (ended.status, ended.exported_instances) == (ExportJobStatus.COMPLETED, 1)
        assert [found.job_id async for found in mine.list_jobs()] == [created.job_id]
        assert len(list(folder.glob("box/2026/*.jsonl.gz"))) == 1
        await job.delete()
        assert await job.describe() is None


class Bucket:
    """A client in boto3's shape."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}

    def put_object(self, *, Bucket: str, Key: str, **given: Any) -> None:  # noqa: N803
        self.objects[Bucket, Key] = given


def export(client: TaskHubGrpcClient, writer: HistoryWriter, instance_id: str) -> dict[str, Any]:
    given = {"instance_id": instance_id, "destination": {"container": "box"}}
    return run_export_instance_history(HistoryExportContext(client, writer), given)


@pytest.mark.usefixtures("worker")
def test_the_activities_alone(client: TaskHubGrpcClient, jobs: ExportHistoryClient) -> None:
    run(client, {"one": 1, "bad": -1})
    client.schedule_new_orchestration(waits, instance_id="unended")
    client.wait_for_orchestration_start("unended", timeout=SECONDS)
    bucket = Bucket()
    context = HistoryExportContext(client, ObjectStoreHistoryWriter(bucket))
    assert jobs.underlying_client is client
    names = [activity.__name__ for activity in build_activities(lambda: context)]
    assert names == ["list_terminal_instances", "export_instance_history"]

    begin = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    first = run_list_terminal_instances(context, {"completed_time_from": begin, "page_size": 1})
    second = run_list_terminal_instances(context, {"completed_time_from": begin, **after(first)})
    assert {*first["instance_ids"], *second["instance_ids"]} == {"one", "bad"}
    assert second["continuation_token"] is None
    for statuses, found in (["FAILED"], ["bad"]), (["RUNNING"], []):
        given = {"completed_time_from": begin, "runtime_status": statuses}
        assert run_list_terminal_instances(context, given)["instance_ids"] == found
    with pytest.raises(ValueError, match="requires 'completed_time_from'"):
        run_list_terminal_instances(context, {})
    with pytest.raises(ValueError, match="no status"):
        run_list_terminal_instances(
            context, {"completed_time_from": begin, "runtime_status": ["X"]}
        )

    assert export(client, context.writer, "one") == {
        "instance_id": "one",
        "success": True,
        "error": None,
    }
    ((where, given),) = bucket.objects.items()
    assert where == ("box", f"{name_of(client, 'one')}.jsonl.gz")
    assert given["Metadata"] == {"instance_id": "one"}
    assert export(client, context.writer, "none") == {
        "instance_id": "none",
        "success": False,
        "error": "instance 'none' no longer exists or has been purged",
        "skipped": True,
    }
    assert export(client, context.writer, "unended")["error"] == (
        "instance 'unended' is no longer terminal (runtime_status=RUNNING)"
    )
    broken: Any = object()
    failed = export(client, broken, "one")
    assert (failed["success"], "skipped" in failed) == (False, False)
    assert failed["error"].startswith("AttributeError: ")
    with pytest.raises(ValueError, match=r"destination\.container is required"):
        run_export_instance_history(context, {"instance_id": "one"})
    with pytest.raises(KeyError):
        run_export_instance_history(context, {})


def after(page: dict[str, Any]) -> dict[str, Any]:
    assert page["continuation_token"] is not None
    return {"page_size": 5, "continuation_token": page["continuation_token"]}
