"""Options of a queued activity as bytes: what another worker needs to run an attempt."""

from __future__ import annotations

from typing import Any

import msgspec

from durable_async._kernel.futures import ActivityFuture
from durable_async.errors import CorruptHistoryError, ValidationError
from durable_async.model.history import Microseconds, Origin
from durable_async.model.policy import ActivityOptions, seconds_of


class QueuedOptions(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Time limits of one attempt, in seconds; ``expires_us`` is absolute, on the store's clock. ``origin`` is that of its orchestration."""

    start_to_close: float | None = None
    heartbeat: float | None = None
    expires_us: Microseconds | None = None
    last_heartbeat: bytes | None = None
    origin: Origin | None = None


_decoder = msgspec.msgpack.Decoder(QueuedOptions)


def encode_options(future: ActivityFuture[Any], origin: Origin | None) -> bytes:
    """Return the options of an activity that goes to the hub's queue."""
    total = future.options.schedule_to_close
    expires_us = (
        None
        if total is None
        else future.scheduled_at_us + round(seconds_of(total, "schedule_to_close") * 1e6)
    )
    return encode_limits(future.options, expires_us, future.heartbeat, origin)


def encode_limits(
    options: ActivityOptions,
    expires_us: int | None,
    last_heartbeat: bytes | None,
    origin: Origin | None,
) -> bytes:
    """Return the options of an attempt for whoever begins it next."""
    return msgspec.msgpack.encode(
        QueuedOptions(
            _seconds(options.start_to_close, "start_to_close"),
            _seconds(options.heartbeat, "heartbeat"),
            expires_us,
            last_heartbeat,
            origin,
        )
    )


def decode_options(instance_id: str, data: bytes) -> tuple[ActivityOptions, QueuedOptions]:
    """Return the options to run an attempt with, and the rest of what was stored; ``CorruptHistoryError`` if that is damaged."""
    try:
        stored = _decoder.decode(data) if data else QueuedOptions()
        options = ActivityOptions(start_to_close=stored.start_to_close, heartbeat=stored.heartbeat)
    except (msgspec.DecodeError, UnicodeDecodeError, ValidationError) as error:
        reason = f"the options of a queued activity: {error}"
        raise CorruptHistoryError(instance_id, reason) from error
    return options, stored


def _seconds(value: Any, field: str) -> float | None:
    return None if value is None else seconds_of(value, field)
