"""Export jobs on a hub in virtual time, of a task hub that is made up."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from tests.integration.worlds import World

from durable_async import TaskHub
from durable_async.testing import VirtualEnvironment
from durabletask import history
from durabletask._runtime.rpc import StatusCode, error
from durabletask._runtime.texts import TextPayloads
from durabletask._runtime.verbs import Verbs
from durabletask.client import (
    AsyncTaskHubGrpcClient,
    OrchestrationState,
    OrchestrationStatus,
    Page,
)
from durabletask.extensions.history_export import (
    AsyncExportHistoryClient,
    ExportDestination,
    ExportJobCreationOptions,
    ExportMode,
    HistoryExportContext,
    activities,
    entity,
    orchestrator,
)
from durabletask.serialization import DEFAULT_DATA_CONVERTER
from durabletask.worker import TaskHubGrpcWorker

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
"""What the clock shows when virtual time begins."""

ENDED = OrchestrationStatus.COMPLETED


@dataclass
class Shelf:
    """A task hub of orchestrations that have ended, as far as the activities ask: a client that is made up.

    Attributes:
        states: The orchestrations, by id.
        purged: Those that are listed, and are gone by the time they are asked for.
        breaks: How often listing fails from now on.
        changing: How often an orchestration ends anew while its history is read, from now on.
    """

    states: dict[str, OrchestrationState] = field(default_factory=dict)
    purged: set[str] = field(default_factory=set)
    breaks: int = 0
    changing: int = 0
    listed: int = 0

    def add(self, *ids: str, at: datetime, status: OrchestrationStatus = ENDED) -> None:
        naive = at.astimezone(UTC).replace(tzinfo=None)
        for one in ids:
            self.states[one] = OrchestrationState(
                one, "work", status, naive, naive, None, None, None, None
            )

    def list_instance_ids(
        self,
        runtime_status: Any = None,
        completed_time_from: datetime | None = None,
        completed_time_to: datetime | None = None,
        page_size: int | None = None,
        continuation_token: str | None = None,
    ) -> Page[str]:
        self.listed += 1
        if self.breaks:
            self.breaks -= 1
            raise OSError("the store is away")
        begin = completed_time_from or BEGIN
        found = sorted(
            f"{at.isoformat()}|{state.instance_id}"
            for state in self.states.values()
            if begin <= (at := state.last_updated_at.replace(tzinfo=UTC))
            and (completed_time_to is None or at < completed_time_to)
            and state.runtime_status in runtime_status
        )
        left = [key for key in found if continuation_token is None or key > continuation_token]
        page = left[:page_size]
        more = page[-1] if len(left) > len(page) else None
        return Page([key.partition("|")[2] for key in page], more)

    def get_orchestration_state(
        self, instance_id: str, *, fetch_payloads: bool = True
    ) -> OrchestrationState | None:
        return None if instance_id in self.purged else self.states.get(instance_id)

    def get_orchestration_history(self, instance_id: str) -> list[history.HistoryEvent]:
        if instance_id not in self.states:
            raise error(StatusCode.NOT_FOUND, "it is gone")
        if self.changing:
            self.changing -= 1
            self.add(instance_id, at=BEGIN + timedelta(hours=1))
        return [history.ExecutionStartedEvent(-1, BEGIN, "work")]


@dataclass
class Files:
    """A writer that keeps what it gets, and fails as it is told.

    Attributes:
        written: Whose histories were written, and how many seconds after the beginning.
        failing: How often each fails from now on.
        tried: Whose writing failed, and when.
    """

    clock: Callable[[], float]
    written: list[tuple[int, str]] = field(default_factory=list)
    tried: list[tuple[int, str]] = field(default_factory=list)
    failing: dict[str, int] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)

    def write(
        self, *, instance_id: str, container: str, blob_name: str, payload: bytes, **_: Any
    ) -> None:
        now = round(self.clock())
        if self.failing.get(instance_id):
            self.failing[instance_id] -= 1
            self.tried.append((now, instance_id))
            raise OSError(f"no room for {instance_id}")
        self.written.append((now, instance_id))
        self.blobs[f"{container}/{blob_name}"] = payload

    def ids(self) -> list[str]:
        """Return whose histories were written, in order of ids."""
        return sorted(one for _, one in self.written)


@dataclass
class Stage:
    """A hub with a worker that carries out export jobs.

    Attributes:
        hub: The hub that the jobs run on.
        verbs: Asks it, in the words of the SDK.
        jobs: The client of its jobs.
        shelf: What is exported.
        files: Where to.
    """

    hub: TaskHub
    verbs: Verbs
    jobs: AsyncExportHistoryClient
    shelf: Shelf
    files: Files

    def now(self) -> datetime:
        """Return the store's time, aware, UTC."""
        return datetime.fromtimestamp(self.hub.backend.now_us() / 1e6, UTC)


def options(**changes: Any) -> ExportJobCreationOptions:
    """Return the options of a batch over a day."""
    given: dict[str, Any] = {
        "mode": ExportMode.BATCH,
        "completed_time_from": BEGIN,
        "completed_time_to": BEGIN + timedelta(days=1),
        "destination": ExportDestination("box"),
    }
    return ExportJobCreationOptions(**{**given, **changes})


@asynccontextmanager
async def staged(
    env: VirtualEnvironment, world: World, *more: Callable[..., Any], working: bool = True
) -> AsyncIterator[Stage]:
    """Open the world's hub, with a worker unless nothing is to run."""
    shelf, files = Shelf(), Files(env.monotonic)
    worker = TaskHubGrpcWorker()
    activities.register(worker, lambda: HistoryExportContext(cast("Any", shelf), files))
    entity.register(worker)
    orchestrator.register(worker)
    for function in more:
        worker.add_orchestrator(function)
    async with world.hub(env, worker._native_registry(), payloads=TextPayloads()) as hub:
        verbs = Verbs(hub, converter=DEFAULT_DATA_CONVERTER, logger=logging.getLogger("test"))
        jobs = AsyncExportHistoryClient(cast("AsyncTaskHubGrpcClient", verbs), files)
        stage = Stage(hub, verbs, jobs, shelf, files)
        if working:
            async with hub.worker():
                yield stage
        else:
            yield stage
