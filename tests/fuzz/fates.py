"""What has become of a damaged instance, and of all beside it: each has done its work, or is parked with a reason, or it is known why not."""

from __future__ import annotations

from typing import Any

from durable_async import EntityId, OrchestrationState, Status, TaskHub

from .wounds import Wound, is_unreadable

COUNTER = EntityId("counter", "victim")

OUTPUTS: dict[str, Any] = {"waiting": [2, 2, 4], "ended": [2, 1, 2], "queued": 2}
"""What orchestrations return that nothing has happened to."""

TOTAL = 6
"""What the entity has counted if nothing has happened to it: a call and a signal, each once."""

_MEET_UNREADABLE = {
    ("history", "events"): ("waiting", "queued"),
    ("letters", "letter"): ("waiting", str(COUNTER)),
    ("instances", "state"): (str(COUNTER),),
}
"""Whom cells that cannot be read take out of circulation. Others do not read them: they have ended, or have no use for that column."""

_MAY_WAIT = {
    ("history", "events"),  # it can be read, and tells of something else to wait for
    ("letters", "letter"),  # the event is another one
    ("letters", "execution"),  # the event is for another execution, which nobody waits in
    ("queued_activities", "execution"),  # and so is the result
}
"""What an instance may go on waiting after: all of it can be read, and by that, what it waits for has not come."""

_SAID_TO_GO_ON = ("ended", ("instances", "status"))
"""Whose status says that it goes on is not woken for it: nobody looks for it, and its end is in its history."""


async def check_fates(hub: TaskHub, victim: str, wound: Wound) -> None:
    """Check what has become of everybody, long after the damage."""
    for instance_id in OUTPUTS:
        state = await hub.client.get(instance_id)
        assert state is not None
        if instance_id != victim:
            _is_unharmed(state)
        else:
            _is_explained(state, wound)
    await _check_entity(hub, victim, wound)


def _is_unharmed(state: OrchestrationState) -> None:
    assert state.parked is None, f"{state.instance_id} is parked for another's damage"
    assert state.status is Status.COMPLETED, f"{state.instance_id} is harmed"
    assert state.output() == OUTPUTS[state.instance_id], f"{state.instance_id} is harmed"


def _is_explained(state: OrchestrationState, wound: Wound) -> None:
    cell = (wound.table, wound.column)
    if is_unreadable(wound):
        if state.instance_id in _MEET_UNREADABLE.get(cell, ()):
            _says_why(state.parked)
            return
        if cell == ("queued_activities", "options"):
            assert state.status is Status.FAILED, "an activity that cannot be begun has not failed"
            assert state.failure is not None
            assert "cannot be read" in state.failure.message
            return
    if state.parked is not None:
        assert state.parked or cell == ("instances", "parked"), "it is parked, and nobody knows why"
        return
    is_known = cell in _MAY_WAIT or (state.instance_id, cell) == _SAID_TO_GO_ON
    assert state.status.is_terminal or is_known, f"{state.instance_id} is stuck"


def _says_why(parked: str | None) -> None:
    assert parked is not None, "what cannot be read is not parked"
    assert parked.startswith("CorruptHistoryError: "), parked
    assert "cannot be read" in parked


async def _check_entity(hub: TaskHub, victim: str, wound: Wound) -> None:
    entity = await hub.client.get_entity(COUNTER)
    assert entity is not None
    cell = (wound.table, wound.column)
    if victim != str(COUNTER):
        assert entity.parked is None, "the entity is parked for another's damage"
        assert entity.state == TOTAL, "the entity is harmed"
    elif is_unreadable(wound) and victim in _MEET_UNREADABLE.get(cell, ()):
        _says_why(entity.parked)
    elif entity.parked is None:
        assert entity.backlog == 0 or cell in _MAY_WAIT, "the entity is stuck"
        if wound.table in ("requests", "answers"):
            assert entity.state == TOTAL, "a request was acted on twice, or not at all"
