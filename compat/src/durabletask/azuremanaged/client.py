"""The clients of the managed scheduler's package, on the store that this process uses."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from durabletask.client import AsyncTaskHubGrpcClient, TaskHubGrpcClient
from durabletask.grpc_options import GrpcChannelOptions, GrpcClientResiliencyOptions
from durabletask.payload import PayloadStore
from durabletask.serialization import DataConverter

from ._arguments import check_resource_id, check_taskhub


class DurableTaskSchedulerClient(TaskHubGrpcClient):
    """A `TaskHubGrpcClient` with the arguments that the managed scheduler asks for.

    Args:
        host_address: As of `TaskHubGrpcClient`: the address of the service stands for the store that the environment variable
            ``DURABLE_ASYNC_URL`` names.
        taskhub: Name of the hub in the store.
        token_credential: Accepted, and ignored: nobody has to be told who this is.
        resource_id: Accepted, and checked.
        channel: Its address, if it tells one, is taken instead of ``host_address``. Nothing is sent through it.
        secure_channel: Accepted, and ignored: there is no connection to a server.
        interceptors: The same.
        channel_options: The same.
        resiliency_options: The same.
        default_version: The version of orchestrations that are started without one.
        payload_store: Where large payloads are kept; all clients and workers of a hub need the same.
        data_converter: Makes texts of values; by default one that knows more types than `JsonDataConverter`.
        log_handler: Deprecated: where a logger of its own writes to.
        log_formatter: Deprecated: how it writes.
        logger: The logger.

    Raises:
        ValueError: ``taskhub`` is empty; ``resource_id`` names nothing; a logger is given, and a handler or a formatter, too.
    """

    def __init__(
        self,
        *,
        host_address: str,
        taskhub: str,
        token_credential: Any,
        resource_id: str | None = None,
        channel: Any = None,
        secure_channel: bool = True,
        interceptors: Sequence[Any] | None = None,
        channel_options: GrpcChannelOptions | None = None,
        resiliency_options: GrpcClientResiliencyOptions | None = None,
        default_version: str | None = None,
        payload_store: PayloadStore | None = None,
        data_converter: DataConverter | None = None,
        log_handler: logging.Handler | None = None,
        log_formatter: logging.Formatter | None = None,
        logger: logging.Logger | None = None,
    ) -> None:
        metadata = check_taskhub(taskhub)
        check_resource_id(resource_id)
        super().__init__(
            host_address=host_address,
            metadata=metadata,
            channel=channel,
            secure_channel=secure_channel,
            interceptors=interceptors,
            channel_options=channel_options,
            resiliency_options=resiliency_options,
            payload_store=payload_store,
            data_converter=data_converter,
            log_handler=log_handler,
            log_formatter=log_formatter,
            logger=logger,
            default_version=default_version,
        )


class AsyncDurableTaskSchedulerClient(AsyncTaskHubGrpcClient):
    """An `AsyncTaskHubGrpcClient` with the arguments that the managed scheduler asks for.

    Args:
        host_address: As of `AsyncTaskHubGrpcClient`: the address of the service stands for the store that the environment variable
            ``DURABLE_ASYNC_URL`` names.
        taskhub: Name of the hub in the store.
        token_credential: Accepted, and ignored: nobody has to be told who this is.
        resource_id: Accepted, and checked.
        channel: Its address, if it tells one, is taken instead of ``host_address``. Nothing is sent through it.
        secure_channel: Accepted, and ignored: there is no connection to a server.
        interceptors: The same.
        channel_options: The same.
        resiliency_options: The same.
        default_version: The version of orchestrations that are started without one.
        payload_store: Where large payloads are kept; all clients and workers of a hub need the same.
        data_converter: Makes texts of values; by default one that knows more types than `JsonDataConverter`.
        log_handler: Deprecated: where a logger of its own writes to.
        log_formatter: Deprecated: how it writes.
        logger: The logger.

    Raises:
        ValueError: ``taskhub`` is empty; ``resource_id`` names nothing; a logger is given, and a handler or a formatter, too.
    """

    def __init__(
        self,
        *,
        host_address: str,
        taskhub: str,
        token_credential: Any,
        resource_id: str | None = None,
        channel: Any = None,
        secure_channel: bool = True,
        interceptors: Sequence[Any] | None = None,
        channel_options: GrpcChannelOptions | None = None,
        resiliency_options: GrpcClientResiliencyOptions | None = None,
        default_version: str | None = None,
        payload_store: PayloadStore | None = None,
        data_converter: DataConverter | None = None,
        log_handler: logging.Handler | None = None,
        log_formatter: logging.Formatter | None = None,
        logger: logging.Logger | None = None,
    ) -> None:
        metadata = check_taskhub(taskhub)
        check_resource_id(resource_id)
        super().__init__(
            host_address=host_address,
            metadata=metadata,
            channel=channel,
            secure_channel=secure_channel,
            interceptors=interceptors,
            channel_options=channel_options,
            resiliency_options=resiliency_options,
            payload_store=payload_store,
            data_converter=data_converter,
            log_handler=log_handler,
            log_formatter=log_formatter,
            logger=logger,
            default_version=default_version,
        )
