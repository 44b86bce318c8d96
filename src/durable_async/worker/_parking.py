"""Parking: the reason is text that people read, made of whatever an error said."""

from __future__ import annotations

import logging

from durable_async.model.identity import ENTITY_MARK
from durable_async.model.records import Park
from durable_async.telemetry.logs import about

REASON_CHARS_MAX = 8_000

_log = logging.getLogger("durable_async")


def park(instance_id: str, execution: int | None, reason: str) -> Park:
    """Take an instance out of circulation, which the log tells; what no store could keep of the reason is replaced."""
    words = readable(reason)
    _log.error("%s is parked: %s", named(instance_id), words, extra=about(instance_id, execution))
    return Park(instance_id=instance_id, reason=words, execution=execution)


def readable(text: str) -> str:
    """Return a text as every store and every log can hold it."""
    text = text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
    if len(text) > REASON_CHARS_MAX:
        text = text[: REASON_CHARS_MAX - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return text


def named(instance_id: str) -> str:
    """Return what an instance is called in the log."""
    kind = "entity" if instance_id.startswith(ENTITY_MARK) else "orchestration"
    return f"{kind} {instance_id}"
