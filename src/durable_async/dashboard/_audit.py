"""What was done, by whom, and what was refused to whom: records of each action, in the log and wherever the application wants it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime

_log = logging.getLogger("durable_async.audit")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """Something that an operator did, or tried to do.

    Attributes:
        at: When, UTC.
        operator: Who: the name that ``auth`` gave.
        action: What, such as ``terminate``.
        target: On what: an instance's or entity's id, or the filter of a bulk action.
        reason: Why, as far as it was said.
        outcome: ``done``, or the error that came of it, or ``refused:`` and why, or ``cancelled:`` if the request was; of a bulk action ``begun`` first, then how many came to what.
        details: What else was asked for, such as an event's name or the ids of a bulk action; never a value that is stored.
    """

    at: datetime
    operator: str
    action: str
    target: str
    reason: str | None
    outcome: str
    details: Mapping[str, object] = field(default_factory=dict[str, object])


Audit = Callable[[AuditRecord], Awaitable[None]]
"""Keeps a record somewhere of the application's own."""


async def keep(record: AuditRecord, audit: Audit | None) -> None:
    """Log a record, and hand it to the application; if that fails, the action was done all the same."""
    _log.info(
        "%r: %s %r: %s",
        record.operator,
        record.action,
        record.target,
        " ".join(record.outcome.split()),  # one line, whatever an error says
        extra={f"audit_{name}": value for name, value in asdict(record).items()},
    )
    if audit is None:
        return
    try:
        await audit(record)
    except Exception:  # noqa: BLE001 - the application's own code
        _log.exception(
            "what %r did was not kept: %s %r", record.operator, record.action, record.target
        )
