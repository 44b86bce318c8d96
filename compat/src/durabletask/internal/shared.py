"""What workers and clients of the Durable Task SDK share, as far as programs use it."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, TypeAlias

from durabletask._serialization.coercion import Coercion
from durabletask._serialization.json_converter import (
    LEGACY_OBJECT_MARKER as AUTO_SERIALIZED,
    parse_for_type,
    read_json,
    write_json,
)
from durabletask.grpc_options import GrpcChannelOptions

ClientInterceptor: TypeAlias = Any
AsyncClientInterceptor: TypeAlias = Any

SECURE_PROTOCOLS = ["https://", "grpcs://"]
INSECURE_PROTOCOLS = ["http://", "grpc://"]

__all__ = (
    "AUTO_SERIALIZED",
    "INSECURE_PROTOCOLS",
    "SECURE_PROTOCOLS",
    "AsyncClientInterceptor",
    "Channel",
    "ClientInterceptor",
    "GrpcChannelOptions",
    "from_json",
    "get_async_grpc_channel",
    "get_default_host_address",
    "get_grpc_channel",
    "get_logger",
    "to_json",
)

_DEFAULT_HOST_ADDRESS = "localhost:4001"


def to_json(obj: Any) -> str:
    """Return the JSON of a value. Deprecated: use a `durabletask.serialization.DataConverter`.

    Raises:
        TypeError: It holds something that is not written.
    """
    _warn_deprecated("to_json")
    return write_json(obj)


def from_json(json_str: str | bytes | bytearray, expected_type: type | None = None) -> Any:
    """Return the value of a JSON text. Deprecated: use a `durabletask.serialization.DataConverter`.

    A ``from_json`` method that asks for a converter gets none here.

    Raises:
        TypeError: ``expected_type`` cannot be made of it.
        ValueError: The text is not JSON.
    """
    _warn_deprecated("from_json")
    if expected_type is None:
        return read_json(json_str)
    return Coercion(None).coerce(parse_for_type(json_str), expected_type)


def get_default_host_address() -> str:
    """Return the address that is used where a program gives none."""
    return _DEFAULT_HOST_ADDRESS


class Channel:
    """Stands for a gRPC channel where a program makes one itself. It is only an address: nothing is opened.

    Attributes:
        host_address: The address without its protocol.
    """

    def __init__(self, host_address: str) -> None:
        self.host_address = host_address

    def close(self, grace: float | None = None) -> None:
        """Do nothing, as nothing is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncChannel(Channel):
    """The same for an async client."""

    async def close(self, grace: float | None = None) -> None:  # type: ignore[override]
        """Do nothing, as nothing is open."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def get_grpc_channel(
    host_address: str | None,
    secure_channel: bool = False,
    interceptors: Sequence[ClientInterceptor] | None = None,
    channel_options: GrpcChannelOptions | None = None,
) -> Channel:
    """Return what may be given to a client or a worker as ``channel=``; all but the address is without effect."""
    return Channel(_without_protocol(host_address))


def get_async_grpc_channel(
    host_address: str | None,
    secure_channel: bool = False,
    interceptors: Sequence[AsyncClientInterceptor] | None = None,
    channel_options: GrpcChannelOptions | None = None,
) -> AsyncChannel:
    """Return what may be given to an async client as ``channel=``; all but the address is without effect."""
    return AsyncChannel(_without_protocol(host_address))


def get_logger(
    name_suffix: str,
    log_handler: logging.Handler | None = None,
    log_formatter: logging.Formatter | None = None,
    logger: logging.Logger | None = None,
) -> logging.Logger:
    """Return the logger of a worker or a client.

    Args:
        name_suffix: Ends the name of a logger made here, after ``durabletask-``.
        log_handler: Deprecated. Takes the lines, instead of one that writes those from ``INFO`` on to standard error.
        log_formatter: Deprecated. How that handler writes them.
        logger: The program's own, returned as it is.

    Raises:
        ValueError: Both a logger and a handler or formatter are given.
    """
    is_legacy = log_handler is not None or log_formatter is not None
    if logger is not None:
        if is_legacy:
            raise ValueError("'logger' cannot be combined with 'log_handler' or 'log_formatter'.")
        return logger
    if is_legacy:
        text = (
            "'log_handler' and 'log_formatter' are deprecated: give a configured 'logger' instead"
        )
        warnings.warn(text, DeprecationWarning, stacklevel=_frames_within())
    made = logging.Logger(f"durabletask-{name_suffix}")  # noqa: LOG001 - one for each, outside the tree of loggers
    if log_handler is None:
        log_handler = logging.StreamHandler()
        log_handler.setLevel(logging.INFO)
    log_handler.setFormatter(
        log_formatter
        or logging.Formatter(
            fmt="%(asctime)s.%(msecs)03d %(name)s %(levelname)s: %(message)s",
            datefmt="%Y-%m-%d %H:%M:%S",
        )
    )
    made.addHandler(log_handler)
    return made


def _warn_deprecated(name: str) -> None:
    text = f"durabletask.internal.shared.{name} is deprecated: use a durabletask.serialization.DataConverter"
    warnings.warn(text, DeprecationWarning, stacklevel=3)


def _without_protocol(host_address: str | None) -> str:
    address = host_address or _DEFAULT_HOST_ADDRESS
    for protocol in (*SECURE_PROTOCOLS, *INSECURE_PROTOCOLS):
        if address.lower().startswith(protocol):
            return address[len(protocol) :]
    return address


def _frames_within() -> int:
    """Return how many frames up the program is that called into this package, seen from the caller."""
    frame = sys._getframe(1)  # noqa: SLF001 - the documented way to it
    frames = 1
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__", "")):
        frame = frame.f_back
        frames += 1
    return frames


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == "durabletask"
