"""Following an orchestration: its events as they come, until it has ended or is parked."""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio

from durable_async import InstanceNotFoundError, OrchestrationState, Status, TaskHub
from durable_async.serialization.events import decode_events

from . import _documents, _render
from ._events import Moment, Timeline
from ._existing import opened
from ._exits import NOT_DONE
from ._options import Where
from ._terminal import console, note, say

LOOK_SECONDS = 0.5
PAGE_BYTES = 1024 * 1024


@dataclass(slots=True)
class _Place:
    """How far its history was shown."""

    execution: int = 0
    turn: int = -1
    timeline: Timeline = field(default_factory=Timeline)


async def follow(where: Where, instance_id: str, as_json: bool) -> int:
    """Show what comes; return the exit status: 0 if it completed."""
    async with opened(where) as hub:
        place = _Place()
        while True:
            state = await hub.client.get(instance_id, payloads=False)
            if state is None:
                raise InstanceNotFoundError(instance_id)
            for moment in await _news(hub, instance_id, place):
                _show(moment, as_json=as_json)
            if state.is_ended or state.parked is not None:
                _say_end(state, as_json=as_json)
                return 0 if state.status is Status.COMPLETED else NOT_DONE
            await anyio.sleep(LOOK_SECONDS)


async def _news(hub: TaskHub, instance_id: str, place: _Place) -> list[Moment]:
    """Return the events since the last look; after a continue-as-new, those of the next execution."""
    found: list[Moment] = []
    more = True
    while more:
        page = await hub.backend.read_history(
            instance_id, after_turn=place.turn, bytes_max=PAGE_BYTES
        )
        if page.execution != place.execution:
            again = place.execution != 0 or place.turn >= 0
            place.execution, place.turn, place.timeline = page.execution, -1, Timeline()
            if again:
                continue
        for row in page.rows:
            place.turn = row.turn
            found.extend(map(place.timeline.take, decode_events(instance_id, row.events)))
        more = page.more
    return found


def _show(moment: Moment, *, as_json: bool) -> None:
    if as_json:
        _documents.write(_documents.moment(moment))
    else:
        console().print(_render.line(moment))


def _say_end(state: OrchestrationState, *, as_json: bool) -> None:
    what = state.status.value if state.parked is None else f"parked: {state.parked}"
    tell = note if as_json else say
    tell(f"It is {what}.")
