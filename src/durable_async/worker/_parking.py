"""Parking: the reason is text that people read, made of whatever an error said."""

from __future__ import annotations

from durable_async.model.records import Park

REASON_CHARS_MAX = 8_000


def park(instance_id: str, execution: int | None, reason: str) -> Park:
    """Take an instance out of circulation; what no store could keep of the reason is replaced."""
    readable = reason.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
    if len(readable) > REASON_CHARS_MAX:
        readable = readable[: REASON_CHARS_MAX - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return Park(instance_id=instance_id, reason=readable, execution=execution)
