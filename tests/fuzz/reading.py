"""What a hub holds has to be readable, by everybody who reads it, and to be the same for all."""

from __future__ import annotations

import io
import json
from typing import Any

import msgspec
from rich.console import Console

from durable_async import EntityState, OrchestrationState, TaskHub
from durable_async.cli import _documents, _render
from durable_async.cli._terminal import plain
from durable_async.model.history import ExecutionStarted, HistoryEvent
from durable_async.serialization.events import decode_letter

WIDE = 600


async def read_all(hub: TaskHub, *, shown: bool) -> dict[str, Any]:
    """Read everything, and return it; if asked also as it is shown at the command line. Raises if anything cannot be read."""
    found: dict[str, Any] = {}
    states = [state async for state in hub.client.query(payloads=True, page_size=2)]
    for state in states:
        events = await hub.client.history(state.instance_id)
        started = events[0]
        assert isinstance(started, ExecutionStarted)
        assert started.name == state.name
        found[state.instance_id] = (
            *(state.name, state.version, state.status, state.tags, state.execution),
            *(started.input, state.input(), await _mail(hub, state.instance_id)),
        )
        if shown:
            _is_shown(state, events)
    entities = [entity async for entity in hub.client.query_entities(page_size=2)]
    for entity in entities:
        entity_id = str(entity.entity_id)
        found[entity_id] = (entity.state, entity.backlog, await _mail(hub, entity_id))
        locks = await hub.client.entity_locks(entity.entity_id)
        if shown:
            _print(_render.entity(entity, locks))
            _as_json(_documents.entity(entity, locks))
    if shown:
        _are_listed(states, entities)
    return found


async def _mail(hub: TaskHub, instance_id: str) -> list[Any]:
    letters = await hub.backend.read_letters(instance_id, limit=1_000)
    return [decode_letter(instance_id, one.letter) for one in letters]


def _is_shown(state: OrchestrationState, events: list[HistoryEvent]) -> None:
    _print(_render.state(state))
    _print(_render.history(events))
    document = _as_json(_documents.state(state, events))
    assert document["id"] == state.instance_id
    assert document["tags"] == state.tags


def _are_listed(states: list[OrchestrationState], entities: list[EntityState[Any]]) -> None:
    if states:
        listed = _print(_render.instances(states))
        for state in states:
            assert plain(state.instance_id) in listed
    if entities:
        listed = _print(_render.entities(entities))
        for entity in entities:
            assert plain(str(entity.entity_id)) in listed


def _print(table: Any) -> str:
    console = Console(file=io.StringIO(), width=WIDE, legacy_windows=False)
    console.print(table)
    shown = console.file
    assert isinstance(shown, io.StringIO)
    shown.getvalue().encode()
    return shown.getvalue()


def _as_json(document: Any) -> Any:
    return json.loads(msgspec.json.encode(document))
