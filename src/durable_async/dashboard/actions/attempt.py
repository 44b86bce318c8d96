"""Attempt: something that an operator tries to do, from the form that asks for it to its records in the audit log."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import anyio
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException

from durable_async.dashboard import _csrf
from durable_async.dashboard._audit import AuditRecord, keep
from durable_async.dashboard._forms import read_form
from durable_async.dashboard._visit import Visit
from durable_async.errors import DurableError

from .action import REASON_CHARS_MAX, reason_of


def refuse_viewers(visit: Visit) -> None:
    """Let only those go on who may change things.

    Raises:
        HTTPException: 403.
    """
    if not visit.may_operate:
        raise HTTPException(403, "You may look at everything here, and change nothing.")


class Attempt:
    """What is known so far of something that is tried. Whatever ends it with an error leaves a record.

    Attributes:
        action: What is tried.
        target: On what; nothing while that is not known.
        form: What was sent.
        details: What else is kept in the audit log.
    """

    def __init__(self, visit: Visit, action: str) -> None:
        self._visit = visit
        self.action = action
        self.target = ""
        self.form = QueryParams()
        self.details: dict[str, object] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, HTTPException):
            await self.keep(f"refused: {error.detail}")
        elif isinstance(error, DurableError):
            await self.keep(f"refused: {error}")
        elif isinstance(error, Exception):
            await self.keep(f"failed: {type(error).__name__}")
        elif error is not None:
            with anyio.CancelScope(shield=True):
                await self.keep("cancelled: it may have been done")

    async def read(self, target_field: str) -> QueryParams:
        """Return what the form sent.

        Raises:
            HTTPException: 403, nothing that is sent counts; 400 or 413, it cannot be read.
        """
        refuse_viewers(self._visit)
        self.form = await read_form(self._visit.request)
        self.target = self.form.get(target_field, "")[:REASON_CHARS_MAX]
        _csrf.check(self._visit.request, self.form)
        return self.form

    def once(self) -> None:
        """Go on only if this form was not sent before.

        Raises:
            HTTPException: 409, it was.
        """
        self._visit.site.sent.remember(self.form.get("once", ""))

    async def keep(self, outcome: str) -> None:
        """Put what came of it into the audit log."""
        assert self._visit.operator is not None
        done = AuditRecord(
            at=self._visit.now,
            operator=self._visit.operator.name,
            action=self.action,
            target=self.target,
            reason=reason_of(self.form),
            outcome=outcome,
            details=self.details,
        )
        await keep(done, self._visit.site.audit)
