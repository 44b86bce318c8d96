"""Damage: bytes in the store that are not what the engine wrote, and how they are put back."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from durable_async.backends.memory import MemoryStore
from durable_async.model.records import HistoryRow

Kind = Literal["history", "letter", "state"]

EMPTY = b"\x90"

JUNK = (b"null", b"\xc0", EMPTY, b"\x93\x01\x02\x03", b"{}", b"\xff\xff")
"""What is nothing that the engine writes, or not in this place. No bytes at all are not among it: an entity without a state has none."""


class Spot(NamedTuple):
    """A place in the store that holds bytes: a turn of a history, a letter, the snapshot of an entity."""

    instance_id: str
    kind: Kind
    number: int


def spots(store: Any, instance_id: str, kind: Kind) -> list[Spot]:
    """Return all places of a kind that an instance has."""
    numbers: list[int]
    if isinstance(store, MemoryStore):
        instance = store.hub("default").instances.get(instance_id)
        if instance is None:
            return []
        match kind:
            case "history":
                numbers = [row.turn for row in instance.history._rows]
            case "letter":
                numbers = list(instance.mailbox)
            case "state":
                numbers = [0] if instance.state else []
    else:
        with _rows(store) as connection:
            found = connection.execute(_LISTS[kind], [instance_id])
            numbers = [number for (number,) in found.fetchall()]
    return [Spot(instance_id, kind, number) for number in numbers]


def read(store: Any, spot: Spot) -> bytes | None:
    """Return what is there; ``None`` if nothing is any more."""
    if not isinstance(store, MemoryStore):
        with _rows(store) as connection:
            found = connection.execute(_READS[spot.kind], [spot.instance_id, spot.number])
            row = found.fetchone()
        return None if row is None else row[0]
    instance = store.hub("default").instances.get(spot.instance_id)
    if instance is None:
        return None
    match spot.kind:
        case "history":
            page, _ = instance.history.page(spot.number - 1, 1)
            return page[0].events if page and page[0].turn == spot.number else None
        case "letter":
            mail = instance.mailbox.get(spot.number)
            return None if mail is None else mail.letter
        case "state":
            return instance.state


def write(store: Any, spot: Spot, data: bytes) -> None:
    """Put other bytes there."""
    if not isinstance(store, MemoryStore):
        with _rows(store) as connection:
            connection.execute(_WRITES[spot.kind], [data, spot.instance_id, spot.number])
        return
    instance = store.hub("default").instances[spot.instance_id]
    match spot.kind:
        case "history":
            rows = instance.history._rows
            at = next(at for at, row in enumerate(rows) if row.turn == spot.number)
            rows[at] = HistoryRow(turn=spot.number, events=data)
        case "letter":
            mail = msgspec.structs.replace(instance.mailbox[spot.number], letter=data)
            instance.mailbox[spot.number] = mail
            if spot.number in instance.fresh:
                instance.fresh[spot.number] = mail
        case "state":
            instance.state = data


def restore(store: Any, spot: Spot, damaged: bytes, sound: bytes) -> None:
    """Put back what was there, unless it was written anew."""
    if read(store, spot) == damaged:
        write(store, spot, sound)


def spoil(data: bytes, way: str, chance: random.Random) -> bytes:
    """Return bytes that are damaged in one of three ways."""
    match way:
        case "flip":
            at = chance.randrange(len(data))
            return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
        case "truncate":
            return data[: len(data) // 2]
        case _:
            return chance.choice(JUNK)


@contextmanager
def _rows(path: Path) -> Generator[sqlite3.Connection, None, None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


_LISTS: dict[Kind, str] = {
    "history": "select turn from history join instances using (key, execution) where id = ? order by turn",
    "letter": "select letters.id from letters join instances using (key) where instances.id = ? order by letters.id",
    "state": "select 0 from instances where id = ? and state is not null",
}

_READS: dict[Kind, str] = {
    "history": "select events from history join instances using (key, execution) where id = ? and turn = ?",
    "letter": "select letter from letters join instances using (key) where instances.id = ? and letters.id = ?",
    "state": "select state from instances where id = ? and ? = 0",
}

_WRITES: dict[Kind, str] = {
    "history": (
        "update history set events = ? where (key, execution) = (select key, execution from instances where id = ?) and turn = ?"
    ),
    "letter": "update letters set letter = ? where key = (select key from instances where id = ?) and id = ?",
    "state": "update instances set state = ? where id = ? and ? = 0",
}
