"""One cell of one row that is not as it was: what may be written there, how it gets there, and whether it can be read afterwards."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any, NamedTuple

import asyncpg
import msgspec
from hypothesis import strategies as st

from durable_async import CorruptHistoryError, Status, TaskHub
from durable_async._engine.options import decode_options
from durable_async.backends.memory import MemoryBackend
from durable_async.model.records import HistoryRow
from durable_async.serialization.events import decode_events, decode_letter, decode_snapshot
from durable_async.testing.postgres import PostgresLab

from . import strategies as s
from .places import file
from .stored import event_bytes, letter_bytes, snapshot_bytes


class Wound(NamedTuple):
    """A cell, and what is written there."""

    table: str
    column: str
    value: Any


DAMAGED_TURN = 1
"""The turn of a history that is damaged: turn 0 says what it is, and has a test of its own."""

_numbers = st.one_of(
    st.integers(-3, 5), st.sampled_from([2**31, 2**53, 2**62, 2**63 - 1, -(2**63)])
)
_texts = s.texts().filter(lambda text: not any(0xD800 <= ord(char) < 0xE000 for char in text))
_json = s.json_texts().map(lambda data: data[:5_000].decode(errors="replace"))
_bytes = s.json_texts().map(lambda data: data[:5_000])
_maybe = st.one_of(st.none(), _numbers)
_statuses = st.sampled_from([*[one.value for one in Status], "", "lost"])
_outcomes = st.builds(
    lambda created, status, execution: msgspec.json.encode([created, status, execution]).decode(),
    st.booleans(),
    _statuses,
    _numbers,
)

_CELLS: Mapping[tuple[str, str], st.SearchStrategy[Any]] = {
    ("history", "events"): event_bytes() | _bytes,
    ("history", "turn"): st.integers(2, 9),
    ("letters", "letter"): letter_bytes(),
    ("letters", "execution"): _maybe,
    ("instances", "state"): snapshot_bytes(),
    ("instances", "output"): _bytes,
    ("instances", "failure"): _bytes,
    ("instances", "custom_status"): _bytes,
    ("instances", "tags"): _json,
    ("instances", "status"): _statuses,
    ("instances", "created_at_us"): _numbers,
    ("instances", "updated_at_us"): _numbers,
    ("instances", "completed_at_us"): _maybe,
    ("instances", "start_at_us"): _numbers,
    ("instances", "execution"): _numbers,
    ("instances", "version"): _texts,
    ("instances", "parked"): _texts,
    ("instances", "parent_id"): _texts,
    ("instances", "will_letter"): letter_bytes(),
    ("instances", "will_receivers"): _json,
    ("queued_activities", "options"): _bytes,
    ("queued_activities", "input"): _bytes,
    ("queued_activities", "attempt"): _numbers,
    ("queued_activities", "attempts"): st.integers(0, 9),
    ("queued_activities", "execution"): _numbers,
    ("queued_activities", "seq"): _numbers,
    ("requests", "answer"): _json | _texts | _outcomes,
    ("answers", "answer"): letter_bytes(),
}

_IN_MEMORY = (
    *(("history", "events"), ("letters", "letter"), ("answers", "answer")),
    *(("instances", "state"), ("instances", "output"), ("instances", "custom_status")),
    *(("queued_activities", "options"), ("queued_activities", "input")),
)
"""What the store in memory holds as bytes."""


def wounds() -> st.SearchStrategy[Wound]:
    """Any wound."""
    return _wounds_of(tuple(_CELLS))


def wounds_in_memory() -> st.SearchStrategy[Wound]:
    """A wound that the store in memory can have."""
    return _wounds_of(_IN_MEMORY)


def _wounds_of(cells: tuple[tuple[str, str], ...]) -> st.SearchStrategy[Wound]:
    return st.one_of([st.builds(Wound, *map(st.just, cell), _CELLS[cell]) for cell in cells])


def inflict(hub: TaskHub, victim: str, wound: Wound, lab: PostgresLab | None = None) -> bool:
    """Damage a row; return whether there was one, and the store lets it be so."""
    if isinstance(hub.backend, MemoryBackend):
        return _inflict_in_memory(hub.backend, victim, wound)
    try:
        if lab is None:
            return _inflict_on_sqlite(hub.name, victim, wound)
        return _inflict_on_postgres(lab, hub.name, victim, wound)
    except (sqlite3.Error, OverflowError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False


_HUB = "hub = (select hub from {schema}hubs where name = {hub})"


def _statement(wound: Wound, value: str, hub: str, victim: str, schema: str = "") -> str:
    """Return an update of the cell; a request and its answer go by the victim's id."""
    where = _HUB.format(schema=schema, hub=hub)
    if wound.table == "requests":
        where += f" and id in ('start ' || {victim}, 'send ' || {victim})"
    elif wound.table == "answers":
        where += f" and id = {victim}"
    else:
        where = f"key = (select key from {schema}instances where {where} and id = {victim})"
    if wound.table == "history":
        where += f" and turn = {DAMAGED_TURN}"
    return f"{schema}{wound.table} set {wound.column} = {value} where {where}"


def _inflict_on_sqlite(hub: str, victim: str, wound: Wound) -> bool:
    statement = _statement(wound, ":value", ":hub", ":victim")
    values = {"value": wound.value, "hub": hub, "victim": victim}
    with closing(sqlite3.connect(file())) as connection, connection:
        return connection.execute(f"update or ignore {statement}", values).rowcount > 0


def _inflict_on_postgres(lab: PostgresLab, hub: str, victim: str, wound: Wound) -> bool:
    statement = _statement(wound, "$1", "$2", "$3", "durable_async.")
    # It is told in no other way that there was no such row than by a division by zero.
    lab.execute(
        f"with hit as (update {statement} returning 1) select 1 / count(*) from hit",
        *(wound.value, hub, victim),
    )
    return True


def _inflict_in_memory(backend: MemoryBackend, victim: str, wound: Wound) -> bool:
    state = backend._opened()
    instance = state.instances[victim]
    value: Any = wound.value
    match wound.table:
        case "history":
            rows = instance.history._rows
            if len(rows) <= DAMAGED_TURN:
                return False
            rows[DAMAGED_TURN] = HistoryRow(turn=DAMAGED_TURN, events=value)
        case "letters":
            for number, mail in instance.mailbox.items():
                instance.mailbox[number] = msgspec.structs.replace(mail, letter=value)
            return bool(instance.mailbox)
        case "queued_activities":
            for item in [number for numbers in instance.activities.values() for number in numbers]:
                row = state.activities[item]
                row.activity = msgspec.structs.replace(row.activity, **{wound.column: value})
            return bool(instance.activities)
        case "answers":
            known = state.answers.get(victim)
            if known is None:
                return False
            kept_until_us, _ = state.answers._answers[victim]
            state.answers._answers[victim] = (kept_until_us, value)
        case _:
            setattr(instance, wound.column, value)
    return True


_READERS: Mapping[tuple[str, str], Callable[[str, bytes], object]] = {
    ("history", "events"): decode_events,
    ("letters", "letter"): decode_letter,
    ("instances", "state"): decode_snapshot,
    ("queued_activities", "options"): decode_options,
}


def is_unreadable(wound: Wound) -> bool:
    """Tell whether the cell holds bytes for the engine that stand for nothing now."""
    read = _READERS.get((wound.table, wound.column))
    if read is None:
        return False
    try:
        read("victim", wound.value)
    except CorruptHistoryError:
        return True
    return False
