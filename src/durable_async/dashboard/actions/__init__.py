"""What an operator can do: each thing is an `Action`, each is asked for on a page of its own, confirmed by a form, and kept in the audit log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.responses import Response

from durable_async.dashboard._visit import Visit

from . import bulk, confirm, start
from .action import Action, Kind
from .bulk import BULK_ACTIONS
from .confirm import done_text
from .entity import ENTITIES
from .instance import INSTANCES
from .schedule import SCHEDULES
from .schedule_forms import backfill, form

FORMS: dict[str, Callable[[Visit], Awaitable[Response]]] = {
    "/do/{action}": confirm.page,
    "/bulk": bulk.page,
    "/start": start.page,
    "/create-schedule": form.create,
    "/edit-schedule": form.edit,
    "/backfill": backfill.page,
}
"""Pages with forms, which answer to GET and POST; only POST changes anything."""

__all__ = (
    "BULK_ACTIONS",
    "ENTITIES",
    "FORMS",
    "INSTANCES",
    "SCHEDULES",
    "Action",
    "Kind",
    "done_text",
)
