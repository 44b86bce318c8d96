"""Clients of schedules, for programs with an event loop and for those without."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from durabletask.client import (
    AsyncTaskHubGrpcClient,
    EntityQuery,
    OrchestrationState,
    OrchestrationStatus,
    TaskHubGrpcClient,
)
from durabletask.entities import EntityInstanceId, EntityMetadata

from .exceptions import ScheduleNotFoundError
from .models import (
    ScheduleCreationOptions,
    ScheduleDescription,
    ScheduleQuery,
    ScheduleState,
    ScheduleUpdateOptions,
)
from .orchestrator import ScheduleOperationRequest, execute_schedule_operation_orchestrator
from .schedule_entity import DELETE_OPERATION, ENTITY_NAME
from .timespans import aware
from .transitions import CREATE_SCHEDULE, PAUSE_SCHEDULE, RESUME_SCHEDULE, UPDATE_SCHEDULE


class ScheduleClient:
    """One schedule, from outside.

    Each method that changes it waits until that is done, and raises ``RuntimeError`` if it failed, with what the schedule said, and
    ``TimeoutError`` if it took too long.

    Args:
        client: A client of the hub.
        schedule_id: The schedule.
        operation_timeout: How many seconds to wait for what is asked.

    Raises:
        ValueError: There can be no schedule of this id.
    """

    def __init__(
        self, client: TaskHubGrpcClient, schedule_id: str, *, operation_timeout: float = 60
    ) -> None:
        self._client = client
        self._entity = _entity_of(schedule_id)
        self._operation_timeout = operation_timeout

    @property
    def schedule_id(self) -> str:
        """The schedule's id."""
        return self._entity.key

    def create(self, options: ScheduleCreationOptions) -> None:
        """Create it; one that is there already becomes what is said, and stays paused if it is."""
        self._ask(CREATE_SCHEDULE, options)

    def update(self, options: ScheduleUpdateOptions) -> None:
        """Change what it does."""
        self._ask(UPDATE_SCHEDULE, options)

    def pause(self) -> None:
        """Let it start nothing until it is resumed."""
        self._ask(PAUSE_SCHEDULE)

    def resume(self) -> None:
        """Let it go on."""
        self._ask(RESUME_SCHEDULE)

    def delete(self) -> None:
        """Delete it, if it is there; what it has started goes on."""
        self._ask(DELETE_OPERATION)

    def describe(self) -> ScheduleDescription:
        """Return how it stands, and what it does.

        Raises:
            ScheduleNotFoundError: There is no such schedule.
        """
        return _description(self._client.get_entity(self._entity), self.schedule_id)

    def _ask(self, operation: str, input: Any = None) -> None:
        request = ScheduleOperationRequest(str(self._entity), operation, input)
        instance_id = self._client.schedule_new_orchestration(
            execute_schedule_operation_orchestrator, input=request
        )
        state = self._client.wait_for_orchestration_completion(
            instance_id, timeout=self._operation_timeout
        )
        _raise_if_not_done(state, operation, self.schedule_id)


class ScheduledTaskClient:
    """The schedules of a hub, from outside.

    Args:
        client: A client of the hub.
        operation_timeout: How many seconds to wait for what is asked of a schedule.
    """

    def __init__(self, client: TaskHubGrpcClient, *, operation_timeout: float = 60) -> None:
        self._client = client
        self._operation_timeout = operation_timeout

    def create_schedule(self, options: ScheduleCreationOptions) -> ScheduleClient:
        """Create a schedule and return its client; as `ScheduleClient.create` does.

        Raises:
            RuntimeError: It could not be created.
            TimeoutError: That took too long.
        """
        schedule = self.get_schedule_client(options.schedule_id)
        schedule.create(options)
        return schedule

    def get_schedule(self, schedule_id: str) -> ScheduleDescription | None:
        """Return how a schedule stands, and what it does; ``None`` if there is none of this id."""
        try:
            return self.get_schedule_client(schedule_id).describe()
        except ScheduleNotFoundError:
            return None

    def get_schedule_client(self, schedule_id: str) -> ScheduleClient:
        """Return a client of one schedule, whether it is there or not."""
        return ScheduleClient(self._client, schedule_id, operation_timeout=self._operation_timeout)

    def list_schedules(
        self, schedule_query: ScheduleQuery | None = None
    ) -> list[ScheduleDescription]:
        """Return all schedules that meet the conditions, in the order of their ids."""
        found = self._client.get_all_entities(_entity_query(schedule_query))
        return _descriptions(found, schedule_query)

    @staticmethod
    def matches_filter(state: ScheduleState, schedule_query: ScheduleQuery | None) -> bool:
        """Tell whether a schedule meets the conditions on how it stands and on when it was created."""
        return schedule_query is None or _matches(state, schedule_query)


class AsyncScheduleClient:
    """One schedule, from outside; as `ScheduleClient`, for programs with an event loop.

    Args:
        client: A client of the hub.
        schedule_id: The schedule.
        operation_timeout: How many seconds to wait for what is asked.

    Raises:
        ValueError: There can be no schedule of this id.
    """

    def __init__(
        self, client: AsyncTaskHubGrpcClient, schedule_id: str, *, operation_timeout: float = 60
    ) -> None:
        self._client = client
        self._entity = _entity_of(schedule_id)
        self._operation_timeout = operation_timeout

    @property
    def schedule_id(self) -> str:
        """The schedule's id."""
        return self._entity.key

    async def create(self, options: ScheduleCreationOptions) -> None:
        """Create it; one that is there already becomes what is said, and stays paused if it is."""
        await self._ask(CREATE_SCHEDULE, options)

    async def update(self, options: ScheduleUpdateOptions) -> None:
        """Change what it does."""
        await self._ask(UPDATE_SCHEDULE, options)

    async def pause(self) -> None:
        """Let it start nothing until it is resumed."""
        await self._ask(PAUSE_SCHEDULE)

    async def resume(self) -> None:
        """Let it go on."""
        await self._ask(RESUME_SCHEDULE)

    async def delete(self) -> None:
        """Delete it, if it is there; what it has started goes on."""
        await self._ask(DELETE_OPERATION)

    async def describe(self) -> ScheduleDescription:
        """Return how it stands, and what it does.

        Raises:
            ScheduleNotFoundError: There is no such schedule.
        """
        return _description(await self._client.get_entity(self._entity), self.schedule_id)

    async def _ask(self, operation: str, input: Any = None) -> None:
        request = ScheduleOperationRequest(str(self._entity), operation, input)
        instance_id = await self._client.schedule_new_orchestration(
            execute_schedule_operation_orchestrator, input=request
        )
        state = await self._client.wait_for_orchestration_completion(
            instance_id, timeout=self._operation_timeout
        )
        _raise_if_not_done(state, operation, self.schedule_id)


class AsyncScheduledTaskClient:
    """The schedules of a hub, from outside; as `ScheduledTaskClient`, for programs with an event loop.

    Args:
        client: A client of the hub.
        operation_timeout: How many seconds to wait for what is asked of a schedule.
    """

    def __init__(self, client: AsyncTaskHubGrpcClient, *, operation_timeout: float = 60) -> None:
        self._client = client
        self._operation_timeout = operation_timeout

    async def create_schedule(self, options: ScheduleCreationOptions) -> AsyncScheduleClient:
        """Create a schedule and return its client; as `ScheduleClient.create` does.

        Raises:
            RuntimeError: It could not be created.
            TimeoutError: That took too long.
        """
        schedule = self.get_schedule_client(options.schedule_id)
        await schedule.create(options)
        return schedule

    async def get_schedule(self, schedule_id: str) -> ScheduleDescription | None:
        """Return how a schedule stands, and what it does; ``None`` if there is none of this id."""
        try:
            return await self.get_schedule_client(schedule_id).describe()
        except ScheduleNotFoundError:
            return None

    def get_schedule_client(self, schedule_id: str) -> AsyncScheduleClient:
        """Return a client of one schedule, whether it is there or not."""
        return AsyncScheduleClient(
            self._client, schedule_id, operation_timeout=self._operation_timeout
        )

    async def list_schedules(
        self, schedule_query: ScheduleQuery | None = None
    ) -> list[ScheduleDescription]:
        """Return all schedules that meet the conditions, in the order of their ids."""
        found = await self._client.get_all_entities(_entity_query(schedule_query))
        return _descriptions(found, schedule_query)


def _entity_of(schedule_id: str) -> EntityInstanceId:
    if not schedule_id:
        raise ValueError("schedule_id is empty")
    return EntityInstanceId(ENTITY_NAME, schedule_id)


def _raise_if_not_done(state: OrchestrationState | None, operation: str, schedule_id: str) -> None:
    if state is not None and state.runtime_status == OrchestrationStatus.COMPLETED:
        return
    failure = None if state is None else state.failure_details
    reason = "nothing is known of it" if failure is None else failure.message
    raise RuntimeError(f"Failed to '{operation}' schedule '{schedule_id}': {reason}")


def _state_of(found: EntityMetadata) -> ScheduleState | None:
    stored = found.get_typed_state()
    return None if stored is None else ScheduleState.from_json(stored)


def _description(found: EntityMetadata | None, schedule_id: str) -> ScheduleDescription:
    state = None if found is None else _state_of(found)
    if state is None:
        raise ScheduleNotFoundError(schedule_id)
    return state.to_description()


def _entity_query(query: ScheduleQuery | None) -> EntityQuery:
    asked = query or ScheduleQuery()
    return EntityQuery(
        instance_id_starts_with=f"@{ENTITY_NAME}@{asked.schedule_id_prefix or ''}",
        include_state=True,
        page_size=asked.page_size or ScheduleQuery.DEFAULT_PAGE_SIZE,
    )


def _descriptions(
    found: Iterable[EntityMetadata], query: ScheduleQuery | None
) -> list[ScheduleDescription]:
    states = [state for state in map(_state_of, found) if state is not None]
    return [
        state.to_description()
        for state in states
        if state.schedule_configuration is not None
        and ScheduledTaskClient.matches_filter(state, query)
    ]


def _matches(state: ScheduleState, query: ScheduleQuery) -> bool:
    if query.status is not None and state.status != query.status:
        return False
    if query.created_from is None and query.created_to is None:
        return True
    if state.schedule_created_at is None:
        return False
    created = aware(state.schedule_created_at)
    is_after = query.created_from is None or created > query.created_from
    return is_after and (query.created_to is None or created < query.created_to)
