"""Routes: the table of all of them, and what happens to one request."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from durable_async.errors import ConfigurationError, DurableError, shown
from durable_async.telemetry import continue_trace

from . import entities, health, news, orchestrations
from .hosts import refuse_other_hosts
from .messages import Answer, Api, Call, Stream
from .origins import refuse_strangers
from .parameters import (
    AT,
    CONDITIONS,
    ENTITY_CONDITIONS,
    IDEMPOTENCY,
    INSTANCE_ID,
    LAST_EVENT_ID,
    PAGE,
    REASON,
    RECURSIVE,
    START,
    VIEW,
    WAIT,
    Parameter,
)
from .problems import answer_to

Operation = Literal[
    "start",
    "list",
    "status",
    "events",
    "raise_event",
    "suspend",
    "resume",
    "terminate",
    "rewind",
    "restart",
    "purge",
    "list_entities",
    "entity",
    "signal",
    "call",
    "live",
    "ready",
]
"""What can be asked for over HTTP; each is a route."""


OPERATIONS: frozenset[Operation] = frozenset(get_args(Operation))

Operate = Callable[[Api, Call], Awaitable[Answer | Stream]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One row of the table.

    Attributes:
        operation: Its name.
        method: The verb of HTTP.
        path: Below where the routes are; each ``{name}`` is one segment.
        operate: What it does.
        answers: What each status code means.
        parameters: What may stand in query and headers.
        body: What the body is, if it has one.
    """

    operation: Operation
    method: str
    path: str
    operate: Operate
    answers: dict[int, str]
    parameters: Sequence[Parameter] = ()
    body: str | None = None

    @property
    def name(self) -> str:
        """Its name, by which frameworks know it."""
        return f"durable_{self.operation}"

    @property
    def description(self) -> str:
        """What it does."""
        return inspect.cleandoc(self.operate.__doc__ or "").replace("``", "`")

    @property
    def summary(self) -> str:
        """What it does, in a few words."""
        return re.split(r"[;\n]|, if ", self.description, maxsplit=1)[0].rstrip(".")

    @property
    def depth(self) -> int:
        """How many segments its path has."""
        return self.path.count("/")


_INSTANCE = "/instances/{instance}"
_ENTITY = "/entities/{entity}/{key}"
_TAKEN = "taken down; the worker carries it out"

ROUTES: tuple[Route, ...] = (
    Route(
        operation="start",
        method="POST",
        path="/orchestrators/{name}",
        operate=orchestrations.start,
        answers={202: "started; where everything about it is", 200: "it has ended within `wait`"},
        parameters=(*START, WAIT, *VIEW, IDEMPOTENCY),
        body="The input",
    ),
    Route(
        operation="list",
        method="GET",
        path="/instances",
        operate=orchestrations.instances,
        answers={200: "one page, and where the next one is"},
        parameters=(*CONDITIONS, *PAGE),
    ),
    Route(
        operation="status",
        method="GET",
        path=_INSTANCE,
        operate=orchestrations.status,
        answers={202: "it has not ended", 200: "it has ended, in whichever way"},
        parameters=(WAIT, *VIEW),
    ),
    Route(
        operation="events",
        method="GET",
        path=f"{_INSTANCE}/events",
        operate=news.news,
        answers={200: "news, until it has ended", 204: "it has ended, as the caller knows"},
        parameters=(LAST_EVENT_ID,),
    ),
    Route(
        operation="raise_event",
        method="POST",
        path=f"{_INSTANCE}/events/{{event}}",
        operate=orchestrations.raise_event,
        answers={202: "kept until the orchestration waits for it"},
        parameters=(IDEMPOTENCY,),
        body="What comes with the event",
    ),
    Route(
        operation="suspend",
        method="POST",
        path=f"{_INSTANCE}/suspend",
        operate=orchestrations.suspend,
        answers={202: _TAKEN},
        parameters=(REASON,),
    ),
    Route(
        operation="resume",
        method="POST",
        path=f"{_INSTANCE}/resume",
        operate=orchestrations.resume,
        answers={202: _TAKEN},
        parameters=(REASON,),
    ),
    Route(
        operation="terminate",
        method="POST",
        path=f"{_INSTANCE}/terminate",
        operate=orchestrations.terminate,
        answers={202: f"{_TAKEN}; nothing happens if it has ended"},
        parameters=(REASON, RECURSIVE),
    ),
    Route(
        operation="rewind",
        method="POST",
        path=f"{_INSTANCE}/rewind",
        operate=orchestrations.rewind,
        answers={202: "what failed is done again"},
        parameters=(REASON,),
    ),
    Route(
        operation="restart",
        method="POST",
        path=f"{_INSTANCE}/restart",
        operate=orchestrations.restart,
        answers={202: "started; where everything about it is"},
        parameters=(INSTANCE_ID,),
    ),
    Route(
        operation="purge",
        method="DELETE",
        path=_INSTANCE,
        operate=orchestrations.purge,
        answers={200: "how many instances went, children included"},
        parameters=(RECURSIVE,),
    ),
    Route(
        operation="list_entities",
        method="GET",
        path="/entities",
        operate=entities.entities,
        answers={200: "one page, and where the next one is"},
        parameters=(*ENTITY_CONDITIONS, *PAGE),
    ),
    Route(
        operation="entity",
        method="GET",
        path=_ENTITY,
        operate=entities.entity,
        answers={200: "its state, and what is known beside it"},
    ),
    Route(
        operation="signal",
        method="POST",
        path=f"{_ENTITY}/signals/{{operation}}",
        operate=entities.signal,
        answers={202: "taken down; it is carried out once"},
        parameters=(AT, IDEMPOTENCY),
        body="The operation's input",
    ),
    Route(
        operation="call",
        method="POST",
        path=f"{_ENTITY}/calls/{{operation}}",
        operate=entities.call_entity,
        answers={200: "what came out", 202: "no answer yet; it is carried out all the same"},
        parameters=(WAIT, IDEMPOTENCY),
        body="The operation's input",
    ),
    Route(
        operation="live",
        method="GET",
        path="/healthz",
        operate=health.live,
        answers={200: "the process can go on", 503: "start it anew"},
    ),
    Route(
        operation="ready",
        method="GET",
        path="/readyz",
        operate=health.ready,
        answers={200: "it is fit for requests", 503: "it is not, for the problems that are told"},
    ),
)


def routes_for(only: Collection[str] | None) -> list[Route]:
    """Return the routes of some operations, or all of them.

    Raises:
        ConfigurationError: There is no such operation.
    """
    if only is None:
        return list(ROUTES)
    unknown = sorted(set(only) - OPERATIONS) if not isinstance(only, str) else [only]
    if unknown:
        known = ", ".join(sorted(OPERATIONS))
        raise ConfigurationError(
            f"only: there is no operation {shown(unknown[0])}; a list of these: {known}"
        )
    return [route for route in ROUTES if route.operation in only]


async def respond(route: Route, api: Api, call: Call) -> Answer | Stream:
    """Return what a request comes to. Nothing it began is undone if whoever asked is gone meanwhile: each operation is one call of the client."""
    try:
        refuse_other_hosts(call, api.allowed_hosts)
        refuse_strangers(route.method, call)
        with continue_trace(call.headers.get("traceparent")):
            return await route.operate(api, call)
    except DurableError as error:
        return answer_to(error, route.name)


def prefix_of(path: str, route: Route) -> str:
    """Return what is in front of a route in the path of a request for it."""
    return path.rsplit("/", route.depth)[0]
