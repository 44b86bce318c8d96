"""The pages: a question of an operator's each, and the module that answers it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.responses import Response

from durable_async.dashboard._visit import Visit

from . import (
    entities,
    entity,
    instance,
    instances,
    overview,
    payload,
    schedule,
    schedules,
    workers,
)

Page = Callable[[Visit], Awaitable[Response]]

PAGES: dict[str, Page] = {
    "/": overview.page,  # how is it going?
    "/instances": instances.page,  # which runs are there?
    "/instance": instance.page,  # what happened to this one, and what does it wait for?
    "/entities": entities.page,  # what is stored?
    "/entity": entity.page,  # what is in it, and who has it?
    "/schedules": schedules.page,  # what starts by itself, and when?
    "/schedule": schedule.page,  # when is it next, and what became of its runs?
    "/workers": workers.page,  # who works?
    "/payload": payload.page,  # all of a value
}
