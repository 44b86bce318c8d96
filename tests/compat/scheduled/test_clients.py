"""Both clients, as programs have them, on a hub in a thread of its own. No run comes due here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from durabletask.client import AsyncTaskHubGrpcClient, TaskHubGrpcClient
from durabletask.scheduled import (
    AsyncScheduledTaskClient,
    ScheduleCreationOptions,
    ScheduledTaskClient,
    ScheduleNotFoundError,
    ScheduleStatus,
    ScheduleUpdateOptions,
)
from durabletask.worker import TaskHubGrpcWorker

LATER = datetime(2900, 1, 1, tzinfo=UTC)
OPTIONS = ScheduleCreationOptions("s", "work", timedelta(hours=1), {"a": 1}, start_at=LATER)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The address of a hub with a worker that knows schedules."""
    address = f"sqlite:///{tmp_path / 'schedules.db'}"
    with TaskHubGrpcWorker(host_address=address) as worker:
        worker.configure_scheduled_tasks()
        worker.start()
        yield address


def test_the_blocking_client(address: str) -> None:
    with TaskHubGrpcClient(host_address=address) as client:
        schedules = ScheduledTaskClient(client, operation_timeout=30)
        assert schedules.get_schedule("s") is None
        schedule = schedules.create_schedule(OPTIONS)
        assert schedule.schedule_id == "s"
        schedule.pause()
        assert schedule.describe().status is ScheduleStatus.PAUSED
        schedule.update(ScheduleUpdateOptions(interval=timedelta(hours=2)))
        schedule.resume()
        with pytest.raises(RuntimeError, match="Failed to 'resume_schedule' schedule 's'"):
            schedule.resume()
        [found] = schedules.list_schedules()
        assert found.interval == timedelta(hours=2)
        assert (found.status, found.start_at) == (ScheduleStatus.ACTIVE, LATER)
        schedule.delete()
        with pytest.raises(ScheduleNotFoundError):
            schedule.describe()
        assert schedules.list_schedules() == []


async def test_the_client_for_event_loops(address: str) -> None:
    async with AsyncTaskHubGrpcClient(host_address=address) as client:
        schedules = AsyncScheduledTaskClient(client, operation_timeout=30)
        schedule = await schedules.create_schedule(OPTIONS)
        assert schedule.schedule_id == "s"
        found = await schedules.get_schedule("s")
        assert found is not None
        assert (found.orchestration_input, found.start_at) == ({"a": 1}, LATER)
        await schedule.delete()
        assert await schedules.list_schedules() == []


def test_ids_that_cannot_be(address: str) -> None:
    with TaskHubGrpcClient(host_address=address) as client:
        schedules = ScheduledTaskClient(client)
        for bad in ("", "a@b", "\0"):
            with pytest.raises(ValueError, match=r"schedule_id|key"):
                schedules.get_schedule_client(bad)


def test_the_names_are_taken_once() -> None:
    worker = TaskHubGrpcWorker()
    worker.configure_scheduled_tasks()
    with pytest.raises(ValueError, match="schedule"):
        worker.configure_scheduled_tasks()
