"""TaskHubGrpcClient: the client for code that waits in its thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Self

from durabletask import history
from durabletask._runtime.states import (
    CleanEntityStorageResult,
    EntityQuery,
    OrchestrationQuery,
    OrchestrationState,
    OrchestrationStatus,
    Page,
    PurgeInstancesResult,
)
from durabletask.entities import EntityInstanceId, EntityMetadata
from durabletask.grpc_options import GrpcChannelOptions, GrpcClientResiliencyOptions
from durabletask.internal.orchestrator_service_pb2 import OrchestrationIdReusePolicy
from durabletask.payload import PayloadStore
from durabletask.serialization import DataConverter

from ._connecting import connection


class TaskHubGrpcClient:
    """Starts, watches and steers orchestrations, and signals entities; each call blocks its thread until it is done.

        with TaskHubGrpcClient() as client:
            instance_id = client.schedule_new_orchestration(greet, input="Tokyo")
            state = client.wait_for_orchestration_completion(instance_id)

    It can be used from several threads, also by ``def`` activities; ``async def`` code uses `AsyncTaskHubGrpcClient`.

    It needs nothing before its first call, which opens the hub; errors of the store are that call's. An error of a request is a
    ``grpc.RpcError`` for a program that has imported ``grpc``, and looks like one otherwise: ``code()`` tells what kind it is. Ids, names and
    payloads that cannot be are INVALID_ARGUMENT, a store that does not answer is UNAVAILABLE, and any call of a closed client is a
    ``RuntimeError``.

    Args:
        host_address: The URL of a store, or the address of a backend of this process. Any other stands for the store that the
            environment variable ``DURABLE_ASYNC_URL`` names; by default that is the file ``durabletask.db``.
        metadata: An entry ``taskhub`` names the hub in the store; others are ignored.
        log_handler: Deprecated: where a logger of its own writes to.
        log_formatter: Deprecated: how it writes.
        logger: The logger.
        channel: Its address, if it tells one, is taken instead of ``host_address``. Nothing is sent through it.
        secure_channel: Accepted, and ignored: there is no connection to a server.
        interceptors: The same.
        channel_options: The same.
        resiliency_options: The same.
        default_version: The version of orchestrations that are started without one.
        payload_store: Where large payloads are kept; all clients and workers of a hub need the same.
        data_converter: Makes texts of values; by default one that knows more types than `JsonDataConverter`.
        emit_trace_spans: Whether spans are written, to the global tracer provider, if OpenTelemetry is installed.

    Attributes:
        default_version: As it was given.

    Raises:
        ValueError: A logger is given, and a handler or a formatter, too.
    """

    def __init__(
        self,
        *,
        host_address: str | None = None,
        metadata: list[tuple[str, str]] | None = None,
        log_handler: logging.Handler | None = None,
        log_formatter: logging.Formatter | None = None,
        logger: logging.Logger | None = None,
        channel: Any = None,
        secure_channel: bool = False,
        interceptors: Sequence[Any] | None = None,
        channel_options: GrpcChannelOptions | None = None,
        resiliency_options: GrpcClientResiliencyOptions | None = None,
        default_version: str | None = None,
        payload_store: PayloadStore | None = None,
        data_converter: DataConverter | None = None,
        emit_trace_spans: bool = True,
    ) -> None:
        self.default_version = default_version
        self._connection = connection(
            "client",
            host_address=getattr(channel, "host_address", None) or host_address,
            metadata=metadata,
            log_handler=log_handler,
            log_formatter=log_formatter,
            logger=logger,
            payload_store=payload_store,
            data_converter=data_converter,
            emit_trace_spans=emit_trace_spans,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the hub; the last client or worker of a process closes the store. Safe to repeat."""
        self._connection.close()

    @property
    def emit_trace_spans(self) -> bool:
        """What the client was made with."""
        return self._connection.emit_trace_spans

    # -- starting

    def schedule_new_orchestration(
        self,
        orchestrator: Callable[..., Any] | str,
        *,
        input: Any | None = None,
        instance_id: str | None = None,
        start_at: datetime | None = None,
        reuse_id_policy: OrchestrationIdReusePolicy | None = None,
        tags: dict[str, str] | None = None,
        version: str | None = None,
    ) -> str:
        """Start an orchestration, and return its id; it is durable when this returns.

        Args:
            orchestrator: The function, or its name.
            input: Its input.
            instance_id: Its id; 32 random hex digits by default.
            start_at: Not to begin before; a naive time is UTC.
            reuse_id_policy: An ``OrchestrationIdReusePolicy``: the statuses in which an instance with this id is replaced.
            tags: To find it by.
            version: Its version; the client's ``default_version`` if it is empty.

        Raises:
            grpc.RpcError: ALREADY_EXISTS: the id is taken, and its status is not one to be replaced.
            ValueError: The orchestrator is a lambda.
            TypeError: The converter does not write such an input.
        """
        return self._connection.run(
            lambda verbs: verbs.schedule_new_orchestration(
                orchestrator,
                input=input,
                instance_id=instance_id,
                start_at=start_at,
                reuse_id_policy=reuse_id_policy,
                tags=tags,
                version=version or self.default_version,
            )
        )

    def restart_orchestration(
        self, instance_id: str, *, restart_with_new_instance_id: bool = False
    ) -> str:
        """Start an orchestration that has ended once more, with the same name, input, version and tags, and return its id.

        Args:
            instance_id: Its id.
            restart_with_new_instance_id: Under a new id; otherwise it takes the place of the one that has ended.

        Raises:
            grpc.RpcError: NOT_FOUND; FAILED_PRECONDITION: it has not ended.
        """
        return self._connection.run(
            lambda verbs: verbs.restart_orchestration(
                instance_id, restart_with_new_instance_id=restart_with_new_instance_id
            )
        )

    # -- looking and waiting

    def get_orchestration_state(
        self, instance_id: str, *, fetch_payloads: bool = True
    ) -> OrchestrationState | None:
        """Return an orchestration as it is now, or ``None`` if there is none.

        Args:
            instance_id: Its id.
            fetch_payloads: With its input and output.
        """
        return self._connection.run(
            lambda verbs: verbs.get_orchestration_state(instance_id, fetch_payloads=fetch_payloads)
        )

    def wait_for_orchestration_start(
        self, instance_id: str, *, fetch_payloads: bool = False, timeout: float = 60
    ) -> OrchestrationState | None:
        """Wait until an orchestration has begun, and return it; ``None``, at once, if there is none.

        Args:
            instance_id: Its id.
            fetch_payloads: With its input and output.
            timeout: Seconds to wait at most.

        Raises:
            TimeoutError: It has not begun in time; its message says where it stands.
        """
        return self._connection.run(
            lambda verbs: verbs.wait_for_orchestration_start(
                instance_id, fetch_payloads=fetch_payloads, timeout=timeout
            )
        )

    def wait_for_orchestration_completion(
        self, instance_id: str, *, fetch_payloads: bool = True, timeout: float = 60
    ) -> OrchestrationState | None:
        """Wait until an orchestration has ended, in whichever way, and return it; ``None``, at once, if there is none.

        Args:
            instance_id: Its id.
            fetch_payloads: With its input and output.
            timeout: Seconds to wait at most. The orchestration goes on regardless.

        Raises:
            TimeoutError: It has not ended in time; its message says where it stands.
        """
        return self._connection.run(
            lambda verbs: verbs.wait_for_orchestration_completion(
                instance_id, fetch_payloads=fetch_payloads, timeout=timeout
            )
        )

    def get_all_orchestration_states(
        self, orchestration_query: OrchestrationQuery | None = None
    ) -> list[OrchestrationState]:
        """Return all orchestrations that a query means, oldest first; without one, all there are."""
        return self._connection.run(
            lambda verbs: verbs.get_all_orchestration_states(
                orchestration_query=orchestration_query
            )
        )

    def list_instance_ids(
        self,
        runtime_status: list[OrchestrationStatus] | None = None,
        completed_time_from: datetime | None = None,
        completed_time_to: datetime | None = None,
        page_size: int | None = None,
        continuation_token: str | None = None,
    ) -> Page[str]:
        """Return a page of the ids of orchestrations that have ended, in the order in which they ended.

        Args:
            runtime_status: In one of these; any, if there are none.
            completed_time_from: Ended then or later; a naive time is UTC.
            completed_time_to: Ended before that; a naive time is UTC.
            page_size: How many ids at most; 1,000 by default, which is also the most.
            continuation_token: That of the page before.
        """
        return self._connection.run(
            lambda verbs: verbs.list_instance_ids(
                runtime_status=runtime_status,
                completed_time_from=completed_time_from,
                completed_time_to=completed_time_to,
                page_size=page_size,
                continuation_token=continuation_token,
            )
        )

    def get_orchestration_history(
        self,
        instance_id: str,
        *,
        execution_id: str | None = None,
        for_work_item_processing: bool = False,
    ) -> list[history.HistoryEvent]:
        """Return what happened in an orchestration since it began, or last continued as new, in order.

        Args:
            instance_id: Its id.
            execution_id: Only if that is its current execution: older ones are not kept.
            for_work_item_processing: Accepted; it makes no difference.

        Raises:
            grpc.RpcError: NOT_FOUND.
        """
        return self._connection.run(
            lambda verbs: verbs.get_orchestration_history(
                instance_id,
                execution_id=execution_id,
                for_work_item_processing=for_work_item_processing,
            )
        )

    # -- steering

    def raise_orchestration_event(
        self, instance_id: str, event_name: str, *, data: Any | None = None
    ) -> None:
        """Raise an event, which is kept until the orchestration waits for it. One that has ended takes no notice.

        Args:
            instance_id: Whose event.
            event_name: Its name; case does not matter.
            data: What comes with it.

        Raises:
            grpc.RpcError: NOT_FOUND; RESOURCE_EXHAUSTED: too many events wait for it already.
        """
        self._connection.run(
            lambda verbs: verbs.raise_orchestration_event(instance_id, event_name, data=data)
        )

    def terminate_orchestration(
        self, instance_id: str, *, output: Any | None = None, recursive: bool = True
    ) -> None:
        """End an orchestration from outside. Nothing happens if there is none, or it has ended.

        Args:
            instance_id: Its id.
            output: What becomes its output.
            recursive: With its sub-orchestrations.
        """
        self._connection.run(
            lambda verbs: verbs.terminate_orchestration(
                instance_id, output=output, recursive=recursive
            )
        )

    def suspend_orchestration(self, instance_id: str, *, reason: str | None = None) -> None:
        """Stop an orchestration where it stands; what arrives is kept until it is resumed. One that has ended takes no notice.

        Raises:
            grpc.RpcError: NOT_FOUND.
        """
        self._connection.run(lambda verbs: verbs.suspend_orchestration(instance_id, reason=reason))

    def resume_orchestration(self, instance_id: str, *, reason: str | None = None) -> None:
        """Let a suspended orchestration go on. One that is not suspended takes no notice.

        Raises:
            grpc.RpcError: NOT_FOUND.
        """
        self._connection.run(lambda verbs: verbs.resume_orchestration(instance_id, reason=reason))

    def rewind_orchestration(self, instance_id: str, *, reason: str | None = None) -> None:
        """Let a failed orchestration go on: what failed is done again, what succeeded is kept, in its sub-orchestrations, too.

        Raises:
            grpc.RpcError: NOT_FOUND; FAILED_PRECONDITION: it has not failed.
        """
        self._connection.run(lambda verbs: verbs.rewind_orchestration(instance_id, reason=reason))

    # -- purging

    def purge_orchestration(self, instance_id: str, recursive: bool = True) -> PurgeInstancesResult:
        """Delete an orchestration that has ended. The count is 0 if it has not, or there is none.

        Args:
            instance_id: Its id.
            recursive: With its sub-orchestrations.
        """
        return self._connection.run(
            lambda verbs: verbs.purge_orchestration(instance_id, recursive=recursive)
        )

    def purge_orchestrations_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: list[OrchestrationStatus] | None = None,
        recursive: bool = False,
        timeout: timedelta | None = None,
    ) -> PurgeInstancesResult:
        """Delete all orchestrations that have ended and meet the conditions.

        Args:
            created_time_from: Started then or later; a naive time is UTC.
            created_time_to: Started before that; a naive time is UTC.
            runtime_status: In one of these; any, if there are none.
            recursive: With their sub-orchestrations.
            timeout: When to stop; the result is not complete then.

        Raises:
            ValueError: The timeout is not positive.
        """
        return self._connection.run(
            lambda verbs: verbs.purge_orchestrations_by(
                created_time_from=created_time_from,
                created_time_to=created_time_to,
                runtime_status=runtime_status,
                recursive=recursive,
                timeout=timeout,
            )
        )

    # -- entities

    def signal_entity(
        self,
        entity_instance_id: EntityInstanceId,
        operation_name: str,
        input: Any | None = None,
        signal_time: datetime | None = None,
    ) -> None:
        """Let an entity do something, without waiting for it; it is durable when this returns. The first signal makes the entity.

        Args:
            entity_instance_id: The entity.
            operation_name: What it does.
            input: With what.
            signal_time: When; a naive time is UTC. At once by default.

        Raises:
            grpc.RpcError: RESOURCE_EXHAUSTED: too many signals wait for it already.
        """
        self._connection.run(
            lambda verbs: verbs.signal_entity(
                entity_instance_id, operation_name, input=input, signal_time=signal_time
            )
        )

    def get_entity(
        self, entity_instance_id: EntityInstanceId, include_state: bool = True
    ) -> EntityMetadata | None:
        """Return an entity as it is now, or ``None`` if there is none. What still waits for it is not in its state.

        Args:
            entity_instance_id: The entity.
            include_state: With its state.
        """
        return self._connection.run(
            lambda verbs: verbs.get_entity(entity_instance_id, include_state=include_state)
        )

    def get_all_entities(self, entity_query: EntityQuery | None = None) -> list[EntityMetadata]:
        """Return all entities that a query means, in order of their ids; without one, all there are."""
        return self._connection.run(lambda verbs: verbs.get_all_entities(entity_query=entity_query))

    def clean_entity_storage(
        self, remove_empty_entities: bool = True, release_orphaned_locks: bool = True
    ) -> CleanEntityStorageResult:
        """Forget entities that hold nothing, and release locks whose holders have ended, should there be any.

        Args:
            remove_empty_entities: The former are meant.
            release_orphaned_locks: The latter are meant.
        """
        return self._connection.run(
            lambda verbs: verbs.clean_entity_storage(
                remove_empty_entities=remove_empty_entities,
                release_orphaned_locks=release_orphaned_locks,
            )
        )
