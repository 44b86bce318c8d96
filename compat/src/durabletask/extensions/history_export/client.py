"""The clients of export jobs: create them, watch them, delete them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from . import activities, entity, orchestrator
from ._constants import ENTITY_NAME, ORCHESTRATOR_NAME, orchestrator_instance_id_for
from ._jobs import (
    DELETE_POLL_SECONDS,
    DELETE_WAIT_SECONDS,
    Created,
    NewJob,
    Wait,
    description_of,
    entity_of,
    entity_query,
    has_stopped,
    is_running,
    matching,
)
from ._logging import logger
from .activities import HistoryExportContext, is_missing
from .entity import ExportJobEntity
from .models import (
    ExportJobCreationOptions,
    ExportJobDescription,
    ExportJobQuery,
    ExportJobStatus,
)
from .writer import HistoryWriter

if TYPE_CHECKING:
    from durabletask import client as client_module, worker as worker_module


class ExportHistoryClient:
    """Creates export jobs and looks after them, and makes a worker able to carry them out.

    Args:
        durable_task_client: Sees the task hub whose histories are exported.
        writer: Puts them where they are to be.
    """

    def __init__(
        self, durable_task_client: client_module.TaskHubGrpcClient, writer: HistoryWriter
    ) -> None:
        self._client = durable_task_client
        self._writer = writer
        self._created = Created()

    @property
    def writer(self) -> HistoryWriter:
        """What puts histories where they are to be."""
        return self._writer

    @property
    def underlying_client(self) -> client_module.TaskHubGrpcClient:
        """The client that sees the task hub."""
        return self._client

    @property
    def entity_name(self) -> str:
        """The name of the entity that keeps jobs."""
        return ENTITY_NAME

    @property
    def orchestrator_name(self) -> str:
        """The name of the orchestrator that carries jobs out."""
        return ORCHESTRATOR_NAME

    def register_worker(self, worker_instance: worker_module.TaskHubGrpcWorker) -> None:
        """Register what carries jobs out with a worker that has not been started.

        The activities use this client and this writer.

        Raises:
            ValueError: One of the names is taken.
        """
        activities.register(
            worker_instance, lambda: HistoryExportContext(self._client, self._writer)
        )
        entity.register(worker_instance)
        orchestrator.register(worker_instance)

    def create_job(
        self, options: ExportJobCreationOptions, *, job_id: str | None = None
    ) -> ExportJobDescription:
        """Create a job, in place of one of the same id that has ended; it begins as soon as a worker sees it.

        Args:
            options: What it is to do.
            job_id: Its id; a new one by default.

        Returns:
            The job. One of the same id that is active is left alone, and returned as it is.

        Raises:
            ValueError: The options do not go together.
        """
        job = NewJob.of(options, job_id)
        active = self.get_job(job.job_id) if job_id else None
        if active is not None and active.status is ExportJobStatus.ACTIVE:
            logger.warning("export job %r is active; it is left as it is", job_id)
            return active
        self._created.add(job)
        self._client.signal_entity(entity_of(job.job_id), ExportJobEntity.OP_CREATE, job.payload)
        return job.description

    def get_job(self, job_id: str) -> ExportJobDescription | None:
        """Return a job as it stands; ``None`` if there is none, or no worker has seen it yet."""
        kept = self._client.get_entity(entity_of(job_id), include_state=True)
        job = description_of(job_id, kept)
        if job is not None:
            self._created.see(job)
        return job

    def list_jobs(self, query: ExportJobQuery | None = None) -> Iterator[ExportJobDescription]:
        """Yield the jobs that a query means; all there are, if there is no query."""
        yield from matching(self._client.get_all_entities(entity_query(query)), query)

    def wait_for_job(
        self, job_id: str, *, timeout: float = 300.0, poll_interval: float = 1.0
    ) -> ExportJobDescription:
        """Wait until a job has completed or failed, and return it.

        Args:
            job_id: Which job.
            timeout: Seconds to wait at most; the job goes on regardless.
            poll_interval: Seconds from one look to the next.

        Raises:
            ExportJobNotFoundError: There is no such job.
            TimeoutError: It has not ended in time. A continuous job does not end.
        """
        wait = Wait(job_id, timeout, self._created)
        while True:
            job = self.get_job(job_id)
            if wait.is_over(job):
                assert job is not None
                return job
            time.sleep(wait.pause(poll_interval))

    def delete_job(self, job_id: str) -> None:
        """Stop a job and delete it. What it has written stays; a job that is not there is deleted already.

        Waits half a minute at most until it has stopped, which needs a worker.
        """
        instance_id = orchestrator_instance_id_for(job_id)
        self._created.forget(job_id)
        self._client.signal_entity(entity_of(job_id), ExportJobEntity.OP_DELETE)
        deadline = time.monotonic() + DELETE_WAIT_SECONDS
        is_terminated = False
        while True:
            state = self._client.get_orchestration_state(instance_id, fetch_payloads=False)
            if has_stopped(self.get_job(job_id), state):
                break
            if time.monotonic() >= deadline:
                logger.warning("export job %r has not stopped in time", job_id)
                break
            if is_running(state) and not is_terminated:
                is_terminated = self._terminate(instance_id)
            time.sleep(DELETE_POLL_SECONDS)
        self._purge(instance_id)

    def _terminate(self, instance_id: str) -> bool:
        try:
            self._client.terminate_orchestration(instance_id)
        except Exception as error:
            if not is_missing(error):
                raise
        return True

    def _purge(self, instance_id: str) -> None:
        try:
            self._client.purge_orchestration(instance_id)
        except Exception as error:
            if not is_missing(error):
                raise

    def cancel_job(self, job_id: str) -> None:
        """Stop a job and delete it; another name of `delete_job`."""
        self.delete_job(job_id)

    def get_job_client(self, job_id: str) -> ExportHistoryJobClient:
        """Return a client of one job, whether or not there is such a job."""
        return ExportHistoryJobClient(self, job_id)


class ExportHistoryJobClient:
    """One job, in the hands of a program."""

    def __init__(self, parent: ExportHistoryClient, job_id: str) -> None:
        self._parent = parent
        self._job_id = job_id

    @property
    def job_id(self) -> str:
        """The job's id."""
        return self._job_id

    @property
    def orchestrator_instance_id(self) -> str:
        """The orchestration that carries it out."""
        return orchestrator_instance_id_for(self._job_id)

    def describe(self) -> ExportJobDescription | None:
        """Return the job as it stands; see `ExportHistoryClient.get_job`."""
        return self._parent.get_job(self._job_id)

    def wait(self, *, timeout: float = 300.0, poll_interval: float = 1.0) -> ExportJobDescription:
        """Wait until the job has ended; see `ExportHistoryClient.wait_for_job`."""
        return self._parent.wait_for_job(self._job_id, timeout=timeout, poll_interval=poll_interval)

    def delete(self) -> None:
        """Stop the job and delete it; see `ExportHistoryClient.delete_job`."""
        self._parent.delete_job(self._job_id)


class AsyncExportHistoryClient:
    """Creates export jobs and looks after them, from async code.

    Workers are made able to carry them out by `ExportHistoryClient.register_worker`.

    Args:
        durable_task_client: Sees the task hub.
        writer: Kept for the program; the worker's own is what writes.
    """

    def __init__(
        self, durable_task_client: client_module.AsyncTaskHubGrpcClient, writer: HistoryWriter
    ) -> None:
        self._client = durable_task_client
        self._writer = writer
        self._created = Created()

    @property
    def writer(self) -> HistoryWriter:
        """What was given as the writer."""
        return self._writer

    async def create_job(
        self, options: ExportJobCreationOptions, *, job_id: str | None = None
    ) -> ExportJobDescription:
        """Create a job; see `ExportHistoryClient.create_job`."""
        job = NewJob.of(options, job_id)
        active = await self.get_job(job.job_id) if job_id else None
        if active is not None and active.status is ExportJobStatus.ACTIVE:
            logger.warning("export job %r is active; it is left as it is", job_id)
            return active
        self._created.add(job)
        await self._client.signal_entity(
            entity_of(job.job_id), ExportJobEntity.OP_CREATE, job.payload
        )
        return job.description

    async def get_job(self, job_id: str) -> ExportJobDescription | None:
        """Return a job as it stands; see `ExportHistoryClient.get_job`."""
        kept = await self._client.get_entity(entity_of(job_id), include_state=True)
        job = description_of(job_id, kept)
        if job is not None:
            self._created.see(job)
        return job

    async def list_jobs(
        self, query: ExportJobQuery | None = None
    ) -> AsyncIterator[ExportJobDescription]:
        """Yield the jobs that a query means; see `ExportHistoryClient.list_jobs`."""
        for job in matching(await self._client.get_all_entities(entity_query(query)), query):
            yield job

    async def wait_for_job(
        self, job_id: str, *, timeout: float = 300.0, poll_interval: float = 1.0
    ) -> ExportJobDescription:
        """Wait until a job has completed or failed; see `ExportHistoryClient.wait_for_job`."""
        wait = Wait(job_id, timeout, self._created, asyncio.get_running_loop().time)
        while True:
            job = await self.get_job(job_id)
            if wait.is_over(job):
                assert job is not None
                return job
            await asyncio.sleep(wait.pause(poll_interval))

    async def delete_job(self, job_id: str) -> None:
        """Stop a job and delete it; see `ExportHistoryClient.delete_job`."""
        instance_id = orchestrator_instance_id_for(job_id)
        self._created.forget(job_id)
        await self._client.signal_entity(entity_of(job_id), ExportJobEntity.OP_DELETE)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + DELETE_WAIT_SECONDS
        is_terminated = False
        while True:
            state = await self._client.get_orchestration_state(instance_id, fetch_payloads=False)
            if has_stopped(await self.get_job(job_id), state):
                break
            if loop.time() >= deadline:
                logger.warning("export job %r has not stopped in time", job_id)
                break
            if is_running(state) and not is_terminated:
                is_terminated = await self._terminate(instance_id)
            await asyncio.sleep(DELETE_POLL_SECONDS)
        await self._purge(instance_id)

    async def _terminate(self, instance_id: str) -> bool:
        try:
            await self._client.terminate_orchestration(instance_id)
        except Exception as error:
            if not is_missing(error):
                raise
        return True

    async def _purge(self, instance_id: str) -> None:
        try:
            await self._client.purge_orchestration(instance_id)
        except Exception as error:
            if not is_missing(error):
                raise

    async def cancel_job(self, job_id: str) -> None:
        """Stop a job and delete it; another name of `delete_job`."""
        await self.delete_job(job_id)

    def get_job_client(self, job_id: str) -> AsyncExportHistoryJobClient:
        """Return a client of one job, whether or not there is such a job."""
        return AsyncExportHistoryJobClient(self, job_id)


class AsyncExportHistoryJobClient:
    """One job, in the hands of async code."""

    def __init__(self, parent: AsyncExportHistoryClient, job_id: str) -> None:
        self._parent = parent
        self._job_id = job_id

    @property
    def job_id(self) -> str:
        """The job's id."""
        return self._job_id

    @property
    def orchestrator_instance_id(self) -> str:
        """The orchestration that carries it out."""
        return orchestrator_instance_id_for(self._job_id)

    async def describe(self) -> ExportJobDescription | None:
        """Return the job as it stands; see `ExportHistoryClient.get_job`."""
        return await self._parent.get_job(self._job_id)

    async def wait(
        self, *, timeout: float = 300.0, poll_interval: float = 1.0
    ) -> ExportJobDescription:
        """Wait until the job has ended; see `ExportHistoryClient.wait_for_job`."""
        return await self._parent.wait_for_job(
            self._job_id, timeout=timeout, poll_interval=poll_interval
        )

    async def delete(self) -> None:
        """Stop the job and delete it; see `ExportHistoryClient.delete_job`."""
        await self._parent.delete_job(self._job_id)


__all__ = [
    "AsyncExportHistoryClient",
    "AsyncExportHistoryJobClient",
    "ExportHistoryClient",
    "ExportHistoryJobClient",
]
