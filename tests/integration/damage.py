"""Damage to single rows of a store, as a bad disk or a careless hand does it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

from durable_async.model.history import ExecutionStarted
from durable_async.model.records import HistoryRow
from durable_async.serialization.events import encode_events

from .worlds import MEMORY, SQLITE, World

NONSENSE = b"\xc1 nonsense"

ANOTHERS = encode_events([ExecutionStarted("somebody-else", None, None)])
"""A first row that can be read, and is of another orchestrator."""

_OF_INSTANCE = {
    "first row of another": "history set events = {} where turn = 0 and {}",
    "history": "history set events = {} where turn > 0 and {}",
    "first row": "history set events = {} where turn = 0 and {}",
    "letter": "letters set letter = {} where {}",
    "options": "queued_activities set options = {} where {}",
    "state": "instances set state = {} where {}",
    "output": "instances set output = {} where {}",
    "custom status": "instances set custom_status = {} where {}",
    "failure": "instances set failure = {} where {}",
    "status": "instances set status = {} where {}",
}


def damage(world: World, what: str, instance_id: str) -> None:
    """Put nonsense in place of something of an instance; nobody has the hub open."""
    if world.kind == MEMORY:
        _damage_memory(world, what, instance_id)
    elif world.kind == SQLITE:
        owner = "key = (select key from instances where id = ?)"
        statement = f"update {_OF_INSTANCE[what].format('?', owner)}"
        with closing(sqlite3.connect(world.folder / "hub.db")) as connection, connection:
            changed = connection.execute(statement, (_nonsense(what), instance_id)).rowcount
            assert changed, f"there is no {what}"
    else:
        assert world.lab is not None
        owner = (
            "(hub, key) = (select i.hub, i.key from durable_async.instances i join durable_async.hubs h on h.hub = i.hub"
            " where h.name = $2 and i.id = $3)"
        )
        statement = f"update durable_async.{_OF_INSTANCE[what].format('$1', owner)}"
        world.lab.execute(statement, _nonsense(what), world.name, instance_id)


def _nonsense(what: str) -> bytes | str:
    return "runnjng" if what == "status" else _bytes_for(what)


def _bytes_for(what: str) -> bytes:
    return ANOTHERS if what == "first row of another" else NONSENSE


def _damage_memory(world: World, what: str, instance_id: str) -> None:
    assert world._store is not None
    hub = world._store.hub("default")
    instance: Any = hub.instances[instance_id]
    match what:
        case "history" | "first row" | "first row of another":
            rows = instance.history._rows
            place = -1 if what == "history" else 0
            rows[place] = HistoryRow(turn=rows[place].turn, events=_bytes_for(what))
        case "letter":
            for mail_id, mail in instance.mailbox.items():
                instance.mailbox[mail_id] = _changed(mail, letter=NONSENSE)
        case "options":
            for row in hub.activities.values():
                if row.activity.instance_id == instance_id:
                    row.activity = _changed(row.activity, options=NONSENSE)
        case _:
            setattr(instance, what.replace(" ", "_"), NONSENSE)


def _changed(record: Any, **fields: Any) -> Any:
    return type(record)(**{**{f: getattr(record, f) for f in record.__struct_fields__}, **fields})
