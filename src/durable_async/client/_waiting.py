"""Waiting: for a result, an end, a start, or whatever comes next."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar, overload

import anyio

from durable_async._engine.ends import End
from durable_async.errors import (
    BackendUnavailableError,
    InstanceNotFoundError,
    InstanceParkedError,
    OrchestrationFailedError,
    OrchestrationTerminatedError,
    WaitTimeoutError,
)
from durable_async.failure import FailureDetails
from durable_async.model.arguments import check_timeout
from durable_async.model.records import InstanceRecord
from durable_async.model.status import Status

from ._connection import IdOrHandle, id_of
from ._handle import OrchestrationHandle, Since
from ._lookout import Waiter
from ._reading import Reading
from ._state import OrchestrationState
from ._timeouts import instance_standing, waited_for
from ._watch import Watch, watching

R = TypeVar("R")
T = TypeVar("T")

_NOT_KEPT = FailureDetails(
    "durable_async.errors.CorruptHistoryError", "it failed, and why is not in the store"
)

PARKED_SECONDS = 1.0
"""So long what is parked is waited for."""

LAST_LOOK_SECONDS = 1.0
"""So long a wait that was in vain tries to find out why."""


class Waiting(Reading):
    """The verbs that wait for an orchestration."""

    @overload
    async def wait(
        self, instance: OrchestrationHandle[R], /, *, timeout: float | None = ...
    ) -> R: ...
    @overload
    async def wait(
        self, instance: IdOrHandle, result_type: type[T], /, *, timeout: float | None = ...
    ) -> T: ...
    @overload
    async def wait(
        self, instance: IdOrHandle, result_type: Any = ..., /, *, timeout: float | None = ...
    ) -> Any: ...
    async def wait(
        self, instance: IdOrHandle, result_type: Any = None, /, *, timeout: float | None = None
    ) -> Any:
        """Wait until an orchestration has ended, and return its result.

        Nobody waits for one that is parked, for it may be so for ever. Once it was put back, wait again.

        Args:
            instance: An id or a handle.
            result_type: What the result is read into; a handle of a start knows it.
            timeout: Seconds to wait at most; ``None`` for ever. The orchestration goes on regardless.

        Raises:
            OrchestrationFailedError: It failed.
            OrchestrationTerminatedError: It was terminated.
            InstanceParkedError: It is parked, or is being parked meanwhile; the error says why.
            WaitTimeoutError: It has not ended in time.
            InstanceNotFoundError: There is no such instance.
        """
        known = instance.result_type if isinstance(instance, OrchestrationHandle) else Any
        into = known if result_type is None else result_type
        state = await self._reach_result(instance, timeout)
        if isinstance(state, End):
            return self._payloads.decode(state.output, into, f"orchestrator {state.name!r} result")
        match state.status:
            case Status.FAILED:
                subject = f"orchestration {state.name!r} ({state.instance_id})"
                raise OrchestrationFailedError(subject, state.failure or _NOT_KEPT)
            case Status.TERMINATED:
                raise OrchestrationTerminatedError(state.instance_id, state.output())
            case _:
                return state.output(into)

    async def wait_for_end(
        self, instance: IdOrHandle, *, timeout: float | None = None
    ) -> OrchestrationState:
        """Wait until an orchestration has ended, in whichever way, and return its state; also while it is parked."""
        return await self._reach(instance, _has_ended, "end", timeout)

    async def wait_for_start(
        self, instance: IdOrHandle, *, timeout: float | None = None
    ) -> OrchestrationState:
        """Wait until an orchestration has begun to run, and return its state."""
        return await self._reach(instance, _has_begun, "start", timeout, in_progress=True)

    def watch(self, instance: IdOrHandle) -> AbstractContextManager[Watch]:
        """Watch an orchestration: each state that it gets into from now on, the present one first.

            with client.watch("order-1") as watch:
                async for state in watch:  # ends when the orchestration has ended
                    print(state.status, state.custom_status())

        Or with ``await watch.next(timeout=15)``, which returns ``None`` where nothing changed in time.
        """
        return watching(id_of(instance), self._instances, self._state_of)

    async def _reach(
        self,
        instance: IdOrHandle,
        reached: Callable[[InstanceRecord], bool],
        what: str,
        timeout: float | None,
        *,
        in_progress: bool = False,
    ) -> OrchestrationState:
        """Return the state once ``reached`` holds; records without payloads are shown to ``reached``, too.

        Raises:
            InstanceNotFoundError: There is no such instance.
            WaitTimeoutError: It was not reached in time.
        """
        timeout = check_timeout(timeout)
        with self._waiter(instance, reached, in_progress=in_progress) as waiter:
            in_time = await self._wait(waiter, instance, timeout)
        return await self._found(waiter, what, timeout, in_time=in_time)

    async def _reach_result(
        self, instance: IdOrHandle, timeout: float | None
    ) -> OrchestrationState | End:
        """Return the state at the end, or the end itself.

        Raises:
            InstanceParkedError: It is parked, and stays so.
        """
        timeout = check_timeout(timeout)
        monotonic = self._environment.monotonic
        deadline = math.inf if timeout is None else monotonic() + timeout
        while True:
            left = None if timeout is None else max(deadline - monotonic(), 0.0)
            state = await self._reach_end(instance, left)
            if isinstance(state, End) or state.is_ended:
                return state
            await self._see_it_put_back(instance, state)

    async def _see_it_put_back(self, instance: IdOrHandle, state: OrchestrationState) -> None:
        """Give one that is parked a moment: somebody may have put it back or terminated it just now, before a worker takes it up."""
        with self._waiter(instance, lambda record: not _is_parked(record)) as waiter:
            if not await self._wait(waiter, instance, PARKED_SECONDS):
                raise InstanceParkedError(state.instance_id, state.parked or "")

    async def _reach_end(
        self, instance: IdOrHandle, timeout: float | None
    ) -> OrchestrationState | End:
        """Return the state at the end, or when it is parked, or the end itself if a worker of this process brings it.

        Only who started the instance is brought it: he knows whether it can be that of an earlier execution, whose commit was answered late.

        Raises:
            InstanceNotFoundError: There is no such instance.
            WaitTimeoutError: It has not ended in time.
        """
        since = self._since(instance)
        if since is None:
            return await self._reach(instance, _is_over_for_now, "end", timeout)
        timeout = check_timeout(timeout)
        brought: list[End] = []

        def bring(end: End) -> None:
            if end.execution >= since.execution:
                brought.append(end)
                waiter.finish()

        waiting = self._waiter(instance, _is_over_for_now)
        with waiting as waiter, self._ends.awaited(waiter.key, bring):
            in_time = await self._wait(waiter, instance, timeout)
        if brought:
            return brought[0]
        return await self._found(waiter, "end", timeout, in_time=in_time)

    def _waiter(
        self,
        instance: IdOrHandle,
        reached: Callable[[InstanceRecord], bool],
        *,
        in_progress: bool = False,
    ) -> AbstractContextManager[Waiter[InstanceRecord]]:
        return self._instances.waiter(
            id_of(instance),
            lambda record: record is None or reached(record),
            in_progress=in_progress,
        )

    async def _wait(
        self, waiter: Waiter[InstanceRecord], instance: IdOrHandle, timeout: float | None
    ) -> bool:
        since = self._since(instance)
        is_quiet = since is not None and self._instances.is_quiet(
            since.news, in_progress=waiter.in_progress
        )
        try:
            return await self._instances.wait(waiter, timeout, look_first=not is_quiet)
        except anyio.get_cancelled_exc_class() as cancelled:  # as by Ctrl-C, where nobody works
            cancelled.add_note(waited_for(waiter.key, waiter.found))
            raise

    def _since(self, instance: IdOrHandle) -> Since | None:
        if not isinstance(instance, OrchestrationHandle):
            return None
        return instance._since_of(self)  # noqa: SLF001 - what only a client has to know of its handles

    async def _found(
        self,
        waiter: Waiter[InstanceRecord],
        what: str,
        timeout: float | None,
        *,
        in_time: bool,
    ) -> OrchestrationState:
        record = waiter.found
        if not in_time and record is None:  # nothing was heard, so nothing was read
            record = await self._look_at_last(waiter.key)
            in_time = record is not None and waiter.is_over(record)
        if not in_time:
            standing = instance_standing(record)
            raise WaitTimeoutError(waiter.key, what, timeout or 0.0, standing)
        if record is None:
            raise InstanceNotFoundError(waiter.key)
        return self._state_of(record)

    async def _look_at_last(self, instance_id: str) -> InstanceRecord | None:
        with anyio.move_on_after(LAST_LOOK_SECONDS):
            try:
                (record,) = await self._store.read([instance_id], payloads=True)
            except BackendUnavailableError:
                return None
            return record
        return None


def _has_ended(record: InstanceRecord) -> bool:
    return record.status.is_terminal


def _is_parked(record: InstanceRecord) -> bool:
    return record.parked is not None and not record.status.is_terminal


def _is_over_for_now(record: InstanceRecord) -> bool:
    return record.status.is_terminal or _is_parked(record)


def _has_begun(record: InstanceRecord) -> bool:
    return record.status is not Status.PENDING
