"""One instance: what happened to it, and what does it wait for?"""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from durable_async.client import OrchestrationState
from durable_async.dashboard._history import page_of
from durable_async.dashboard._payloads import Shown, formatted, shown
from durable_async.dashboard._slices import LAST
from durable_async.dashboard._visit import Visit
from durable_async.dashboard.actions import INSTANCES
from durable_async.dashboard.timeline import Chart, chart_of, lanes_of
from durable_async.errors import CorruptHistoryError, DurableError, InstanceNotFoundError
from durable_async.model.explanation import Explanation, WaitKind
from durable_async.model.history import HistoryEvent
from durable_async.model.moments import microseconds
from durable_async.model.records import QueryOrder
from durable_async.serialization.stored import stored_type

CHILDREN_SHOWN = 25
EVENTS_OFFERED = 5
SECONDS_MIN = 2.0


async def page(visit: Visit) -> Response:
    """Answer with all that is known of one instance."""
    began = visit.now
    instance_id = visit.asked_exactly("id")
    state = await visit.client.get(instance_id)
    if state is None:
        raise InstanceNotFoundError(instance_id)
    events, damage = await _events(visit, instance_id)
    children, more_children = await visit.client.query_page(
        parent=instance_id, order=QueryOrder.NEWEST, limit=CHILDREN_SHOWN
    )
    explanation = None if state.is_ended else await _explanation(visit, instance_id)
    return visit.page(
        "instance.html",
        state=state,
        actions=INSTANCES.offered(state) if visit.may_operate else [],
        chart=await _chart(visit, state, events),
        damage=damage,
        trace=None if damage else state.trace_id,
        explanation=explanation,
        awaited=[] if explanation is None else _awaited(explanation),
        failures=() if state.failure is None else state.failure.chain,
        payloads=await formatted(_payloads, state, stored_type(visit.hub.payloads)),
        children=children,
        more_children=more_children is not None,
        history=await formatted(page_of, events, visit.number("event", LAST)),
        seconds=visit.seconds_until_next(began, SECONDS_MIN),
    )


async def _events(visit: Visit, instance_id: str) -> tuple[list[HistoryEvent], str | None]:
    """Return the history, or why it cannot be read: what else is known of it is worth to be shown."""
    try:
        return await visit.client.history(instance_id), None
    except CorruptHistoryError as error:
        return [], str(error)


def _payloads(state: OrchestrationState, into: Any) -> list[tuple[str, str, Shown]]:
    return [
        ("Input", "input", shown(lambda: state.input(into))),
        ("Custom status", "status", shown(lambda: state.custom_status(into))),
        ("Output", "output", shown(lambda: state.output(into))),
    ]


async def _chart(visit: Visit, state: OrchestrationState, events: list[HistoryEvent]) -> Chart:
    """Draw the timeline, off the event loop: a long history takes a while."""
    first = visit.number("lane", LAST)
    now_us = microseconds(visit.now)
    return await formatted(_drawn, state, events, now_us, first)


def _drawn(state: OrchestrationState, events: list[HistoryEvent], now_us: int, first: int) -> Chart:
    ended_us = None if state.completed_at is None else microseconds(state.completed_at)
    found = lanes_of(state.name, microseconds(state.created_at), events, now_us, ended_us)
    return chart_of(found, now_us=now_us if ended_us is None else None, first=first)


async def _explanation(visit: Visit, instance_id: str) -> Explanation | None:
    """Tell what it waits for; of one that cannot be explained, nothing."""
    try:
        return await visit.hub.explain(instance_id)
    except DurableError:
        return None


def _awaited(explanation: Explanation) -> list[str]:
    """Return the names of a few events that it waits for."""
    names = (wait.name for wait in explanation.waits if wait.kind is WaitKind.EVENT)
    return list(dict.fromkeys(names))[:EVENTS_OFFERED]
