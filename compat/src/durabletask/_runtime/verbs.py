"""Verbs: what both clients do, over durable_async's own client; only how they wait for it differs."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import anyio

from durable_async import (
    InstanceExistsError,
    InstanceNotFoundError,
    InvalidTransitionError,
    ReusePolicy,
    Status,
    TaskHub,
)
from durabletask._vocabulary.contexts import get_name
from durabletask.internal.orchestrator_service_pb2 import OrchestrationIdReusePolicy
from durabletask.serialization import DataConverter

from .looking_verbs import TERMINAL, LookingVerbs
from .purging import Purge
from .rpc import translated
from .states import OrchestrationStatus, PurgeInstancesResult, native_statuses

_GOING = frozenset(Status) - TERMINAL


class Verbs(LookingVerbs):
    """What a client does with orchestrations and entities.

    Errors of durable_async leave as `durabletask._runtime.rpc.RpcError`, except where a method says otherwise. What a converter raises
    leaves as it is.

    Args:
        hub: The hub, with `durabletask._runtime.texts.TextPayloads`.
        converter: Makes texts of values, and values of texts.
        logger: Hears what is done.
        default_version: The version of orchestrations that are started without one.
    """

    def __init__(
        self,
        hub: TaskHub,
        *,
        converter: DataConverter,
        logger: logging.Logger,
        default_version: str | None = None,
    ) -> None:
        super().__init__(hub, converter, logger)
        self._default_version = default_version

    # -- starting

    async def schedule_new_orchestration(
        self,
        orchestrator: Callable[..., Any] | str,
        *,
        input: Any = None,
        instance_id: str | None = None,
        start_at: datetime | None = None,
        reuse_id_policy: OrchestrationIdReusePolicy | None = None,
        tags: dict[str, str] | None = None,
        version: str | None = None,
    ) -> str:
        """Start an orchestration, durably, and return its id.

        Where a policy lists some statuses of a kind and not others, the status is looked at first. If it changes between the look and the
        start, an instance that has ended meanwhile may be replaced although its new status is not listed.

        Args:
            orchestrator: The function, or its name.
            input: Its input.
            instance_id: Its id; 32 random hex digits by default.
            start_at: Not to begin before; naive is UTC.
            reuse_id_policy: Has ``replaceableStatus``: the statuses in which an instance with this id is replaced.
            tags: To be found by.
            version: Its version; the client's default if it is empty.

        Raises:
            RpcError: ALREADY_EXISTS if the id is taken; INVALID_ARGUMENT.
            ValueError: The orchestrator is a lambda.
        """
        name = orchestrator if isinstance(orchestrator, str) else get_name(orchestrator)
        text = self._converter.serialize(input)
        instance_id = instance_id or uuid.uuid4().hex
        self._logger.info("starting orchestration %r as instance %r", name, instance_id)
        with translated():
            await self._client.start(
                name,
                text,
                instance_id=instance_id,
                version=version or self._default_version or None,
                tags=tags,
                start_at=start_at,
                reuse=await self._reuse(instance_id, reuse_id_policy),
            )
        return instance_id

    async def _reuse(
        self, instance_id: str, policy: OrchestrationIdReusePolicy | None
    ) -> ReusePolicy:
        """Return what a list of statuses comes to; of an instance that is there, only the status that it has matters.

        Raises:
            InstanceExistsError: It is there, in a status that is not listed.
        """
        listed = native_statuses(getattr(policy, "replaceableStatus", None) or ())
        if listed == TERMINAL:
            return ReusePolicy.REPLACE_TERMINAL
        if listed in (TERMINAL | _GOING, set()):
            return ReusePolicy.REPLACE if listed else ReusePolicy.REJECT
        state = await self._client.get(instance_id, payloads=False)
        if state is None:
            return ReusePolicy.REJECT
        if state.status not in listed:
            raise InstanceExistsError(instance_id, state.status.value)
        return ReusePolicy.REPLACE_TERMINAL if state.is_ended else ReusePolicy.REPLACE

    async def restart_orchestration(
        self, instance_id: str, *, restart_with_new_instance_id: bool = False
    ) -> str:
        """Start an orchestration that has ended once more, with the same name, input, version and tags; return the id.

        Raises:
            RpcError: NOT_FOUND; FAILED_PRECONDITION if it has not ended.
        """
        self._logger.info("restarting instance %r", instance_id)
        other = uuid.uuid4().hex if restart_with_new_instance_id else None
        with translated():
            return (await self._client.restart(instance_id, instance_id=other)).instance_id

    # -- steering

    async def raise_orchestration_event(
        self, instance_id: str, event_name: str, *, data: Any = None
    ) -> None:
        """Raise an event; it is kept until the orchestration waits for it. One that has ended takes no notice.

        Raises:
            RpcError: NOT_FOUND; RESOURCE_EXHAUSTED if too many events wait for it already.
        """
        text = self._converter.serialize(data)
        self._logger.info("raising event %r for instance %r", event_name, instance_id)
        with translated():
            await self._client.raise_event(instance_id, event_name.casefold(), text)

    async def terminate_orchestration(
        self, instance_id: str, *, output: Any = None, recursive: bool = True
    ) -> None:
        """End an orchestration from outside; nothing happens if there is none, or it has ended.

        Args:
            instance_id: Its id.
            output: Its output, then.
            recursive: Whether its sub-orchestrations are ended, too.
        """
        text = self._converter.serialize(output)
        self._logger.info("terminating instance %r", instance_id)
        with translated():
            try:
                await self._client.terminate(instance_id, text, recursive=recursive)
            except InstanceNotFoundError:
                self._logger.info("there is no instance %r to terminate", instance_id)

    async def suspend_orchestration(self, instance_id: str, *, reason: str | None = None) -> None:
        """Stop an orchestration where it stands, until it is resumed. One that has ended takes no notice.

        Raises:
            RpcError: NOT_FOUND.
        """
        self._logger.info("suspending instance %r", instance_id)
        await self._unless_ended(self._client.suspend(instance_id, reason))

    async def resume_orchestration(self, instance_id: str, *, reason: str | None = None) -> None:
        """Let a suspended orchestration go on. One that has ended takes no notice.

        Raises:
            RpcError: NOT_FOUND.
        """
        self._logger.info("resuming instance %r", instance_id)
        await self._unless_ended(self._client.resume(instance_id, reason))

    async def _unless_ended(self, change: Awaitable[None]) -> None:
        with translated():
            try:
                await change
            except InvalidTransitionError:
                return

    async def rewind_orchestration(self, instance_id: str, *, reason: str | None = None) -> None:
        """Let a failed orchestration go on from its last success; failed sub-orchestrations with it.

        Raises:
            RpcError: NOT_FOUND; FAILED_PRECONDITION if it has not failed.
        """
        self._logger.info("rewinding instance %r", instance_id)
        with translated():
            await self._client.rewind(instance_id, reason)

    # -- purging

    async def purge_orchestration(
        self, instance_id: str, recursive: bool = True
    ) -> PurgeInstancesResult:
        """Delete an orchestration that has ended; the count is 0 if it has not, or there is none.

        Args:
            instance_id: Its id.
            recursive: Whether its sub-orchestrations go, too.
        """
        self._logger.info("purging instance %r", instance_id)
        with translated():
            count = await self._client.purge(instance_id, recursive=recursive)
        return PurgeInstancesResult(count, is_complete=True)

    async def purge_orchestrations_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: list[OrchestrationStatus] | None = None,
        recursive: bool = False,
        timeout: timedelta | None = None,
    ) -> PurgeInstancesResult:
        """Delete all orchestrations that have ended and meet the conditions.

        Args:
            created_time_from: Started then or later; naive is UTC.
            created_time_to: Started before that; naive is UTC.
            runtime_status: In one of these; any, if there are none.
            recursive: Whether their sub-orchestrations go, too.
            timeout: Stop after this; the result is then not complete.

        Raises:
            ValueError: The timeout is not positive.
        """
        if timeout is not None and timeout <= timedelta():
            raise ValueError(f"a timeout must be more than zero, not {timeout}")
        self._logger.info("purging orchestrations that have ended")
        statuses = TERMINAL & native_statuses(runtime_status or OrchestrationStatus)
        if not statuses:
            return PurgeInstancesResult(0, is_complete=True)
        purge = Purge(self._client, recursive=recursive)
        with (
            translated(),
            anyio.move_on_after(None if timeout is None else timeout.total_seconds()) as scope,
        ):
            await purge.run(
                statuses=tuple(statuses),
                created_from=created_time_from,
                created_to=created_time_to,
            )
        return PurgeInstancesResult(purge.count, is_complete=not scope.cancelled_caught)
