"""What both clients do to see orchestrations: states, waits, queries, histories."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from durable_async import (
    InstanceNotFoundError,
    OrchestrationState as NativeState,
    QueryOrder,
    Status,
    ValidationError,
    WaitTimeoutError,
)
from durabletask import history

from .entity_verbs import EntityVerbs
from .histories import history_of
from .rpc import StatusCode, error, translated
from .states import (
    OrchestrationQuery,
    OrchestrationState,
    OrchestrationStatus,
    Page,
    native_statuses,
    state_of,
)

PAGE_MAX = 1_000
"""So many instances are read at a time at most, whatever is asked for."""

TERMINAL = frozenset(status for status in Status if status.is_terminal)


class LookingVerbs(EntityVerbs):
    """Looks at orchestrations, and waits for them."""

    async def get_orchestration_state(
        self, instance_id: str, *, fetch_payloads: bool = True
    ) -> OrchestrationState | None:
        """Return an orchestration as it is now; ``None`` if there is none."""
        with translated():
            native = await self._look(instance_id, payloads=fetch_payloads)
        return None if native is None else self._told(native, payloads=fetch_payloads)

    async def wait_for_orchestration_start(
        self, instance_id: str, *, fetch_payloads: bool = False, timeout: float | None = 60
    ) -> OrchestrationState | None:
        """Wait until an orchestration has begun, and return it; ``None``, at once, if there is none.

        Raises:
            TimeoutError: It has not begun in time; ``timeout`` is in seconds.
        """
        self._logger.info("waiting up to %s s for instance %r to start", timeout, instance_id)
        reached = await self._reached(
            self._client.wait_for_start,
            lambda state: state.status is not Status.PENDING,
            instance_id,
            timeout,
        )
        return None if reached is None else self._told(reached, payloads=fetch_payloads)

    async def wait_for_orchestration_completion(
        self, instance_id: str, *, fetch_payloads: bool = True, timeout: float | None = 60
    ) -> OrchestrationState | None:
        """Wait until an orchestration has ended, in whichever way, and return it; ``None``, at once, if there is none.

        Raises:
            TimeoutError: It has not ended in time; ``timeout`` is in seconds.
        """
        self._logger.info("waiting up to %s s for instance %r to end", timeout, instance_id)
        reached = await self._reached(
            self._client.wait_for_end, lambda state: state.is_ended, instance_id, timeout
        )
        if reached is None:
            return None
        state = self._told(reached, payloads=fetch_payloads)
        self._log_end(state)
        return state

    async def _reached(
        self,
        wait: Callable[..., Awaitable[NativeState]],
        is_reached: Callable[[NativeState], bool],
        instance_id: str,
        timeout: float | None,
    ) -> NativeState | None:
        try:
            with translated():
                if timeout is None or timeout > 0:
                    return await wait(instance_id, timeout=timeout)
                state = await self._look(instance_id, payloads=True)
        except WaitTimeoutError as late:
            raise TimeoutError(str(late)) from late
        except Exception as missing:
            if isinstance(missing.__cause__, (InstanceNotFoundError, ValidationError)):
                return None
            raise
        if state is not None and not is_reached(state):
            raise TimeoutError(f"instance {instance_id!r} is {state.status.value}")
        return state

    async def _look(self, instance_id: str, *, payloads: bool) -> NativeState | None:
        try:
            return await self._client.get(instance_id, payloads=payloads)
        except ValidationError:  # no instance can have such an id
            return None

    def _told(self, native: NativeState, *, payloads: bool) -> OrchestrationState:
        return state_of(native, self._converter, payloads=payloads)

    def _log_end(self, state: OrchestrationState) -> None:
        failure = state.failure_details
        if failure is None:
            self._logger.info(
                "instance %r ended: %s", state.instance_id, state.runtime_status.name.lower()
            )
        else:
            self._logger.info(
                "instance %r failed: [%s] %s",
                state.instance_id,
                failure.error_type,
                failure.message,
            )

    async def get_all_orchestration_states(
        self, orchestration_query: OrchestrationQuery | None = None
    ) -> list[OrchestrationState]:
        """Return all orchestrations that a query means, oldest first; all there are, if there is no query."""
        query = orchestration_query or OrchestrationQuery()
        self._logger.info("asking for orchestrations: %s", query)
        statuses = native_statuses(query.runtime_status or ())
        if query.runtime_status and not statuses:
            return []
        payloads = query.fetch_inputs_and_outputs
        found: list[OrchestrationState] = []
        page: str | None = None
        while True:
            with translated():
                states, page = await self._client.query_page(
                    limit=_page_size(query.max_instance_count),
                    page=page,
                    payloads=payloads,
                    statuses=tuple(statuses),
                    id_prefix=query.instance_id_prefix or "",
                    created_from=query.created_time_from,
                    created_to=query.created_time_to,
                )
            found += [self._told(state, payloads=payloads) for state in states]
            if page is None:
                return found
            self._logger.info("Received continuation token %s, asking for the next page", page)

    async def list_instance_ids(
        self,
        runtime_status: list[OrchestrationStatus] | None = None,
        completed_time_from: datetime | None = None,
        completed_time_to: datetime | None = None,
        page_size: int | None = None,
        continuation_token: str | None = None,
    ) -> Page[str]:
        """Return a page of the ids of orchestrations that have ended, those that ended first first.

        Args:
            runtime_status: In one of these; any, if there are none.
            completed_time_from: Ended then or later; naive is UTC.
            completed_time_to: Ended before that; naive is UTC.
            page_size: How many at most; 1,000 by default, which is also the most.
            continuation_token: That of the page before.

        Raises:
            RpcError: INVALID_ARGUMENT if the token is none.
        """
        self._logger.info("asking for the ids of orchestrations that have ended")
        statuses = TERMINAL & native_statuses(runtime_status or OrchestrationStatus)
        if not statuses:
            return Page([], None)
        with translated():
            states, page = await self._client.query_page(
                limit=_page_size(page_size),
                page=_page_of(continuation_token),
                order=QueryOrder.COMPLETED,
                statuses=tuple(statuses),
                completed_from=completed_time_from,
                completed_to=completed_time_to,
            )
        ids = [state.instance_id for state in states]
        return Page(ids, None if page is None else _token(page, ids[-1]))

    async def get_orchestration_history(
        self,
        instance_id: str,
        *,
        execution_id: str | None = None,
        for_work_item_processing: bool = False,
    ) -> list[history.HistoryEvent]:
        """Return what happened in an orchestration since it began, or last continued as new, in order.

        Args:
            instance_id: Its id.
            execution_id: That execution's; older ones are not kept. The current one by default.
            for_work_item_processing: Accepted; it makes no difference.

        Raises:
            RpcError: NOT_FOUND.
        """
        self._logger.info("reading the history of instance %r", instance_id)
        with translated():
            while True:
                state = await self._client.get(instance_id)
                if state is None:
                    raise InstanceNotFoundError(instance_id)
                events = await self._client.history(instance_id)
                again = await self._client.get(instance_id)
                if again is not None and again.execution == state.execution:
                    break  # otherwise it continued as new meanwhile, and the events are of another execution
        if execution_id and execution_id != str(state.execution):
            raise error(
                StatusCode.NOT_FOUND,
                f"instance {instance_id!r} has no execution {execution_id!r}, or no more: it is at {state.execution}",
            )
        return history_of(events, instance_id=instance_id, execution=state.execution, state=again)


def _page_size(asked: int | None) -> int:
    return min(asked, PAGE_MAX) if asked and asked > 0 else PAGE_MAX


def _token(page: str, last_id: str) -> str:
    """Return a token that tells the last id, which programs look for, beside the store's own token."""
    return f"{len(page)}:{page}:{last_id}"


def _page_of(token: str | None) -> str | None:
    """Return the store's own token."""
    if not token:
        return None
    length, _, rest = token.partition(":")
    if not length.isdecimal() or not 0 < int(length) < len(rest):
        raise ValidationError("continuation_token", f"{token!r} is not one of a page of ids")
    return rest[: int(length)]
