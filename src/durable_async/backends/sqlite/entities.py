"""Clients' verbs on entities."""

from __future__ import annotations

from collections.abc import Sequence

from durable_async.model.identity import ENTITY_MARK
from durable_async.model.records import EntityFilter, EntityPage, EntityRecord

from .ledger import Ledger
from .rows import unique
from .states import Row
from .transaction import Statements, json_list

_AFTER_ALL = chr(ord(ENTITY_MARK) + 1)
_LAST_CHAR = "\U0010ffff"
_SURROGATES = range(0xD800, 0xE000)


def read_entities(tx: Statements, instance_ids: Sequence[str]) -> list[EntityRecord | None]:
    """Return entities in the order of the arguments."""
    rows = tx.rows("read_entities", hub=tx.hub, ids=json_list(instance_ids))
    found = {row[0]: _entity_record(row) for row in rows}
    return [found.get(instance_id) for instance_id in instance_ids]


def query_entities(
    tx: Statements, where: EntityFilter, *, limit: int, page: str | None
) -> EntityPage:
    """Return entities in byte order of their ids; a page begins after the id that it is."""
    # No id has control characters, so that none comes between an id and the same with a zero.
    after = "" if page is None else page + "\0"
    rows = tx.all(
        "query_entities",
        hub=tx.hub,
        from_id=max(where.id_prefix, after),
        to_id=end_of_prefix(where.id_prefix),
        updated_from_us=where.updated_from_us,
        updated_to_us=where.updated_to_us,
        has_state=where.has_state,
        limit=limit + 1,
    )
    items = tuple(_entity_record(row) for row in rows[:limit])
    return EntityPage(
        items=items, next_page=items[-1].instance_id if items and len(rows) > limit else None
    )


def discard_entities(tx: Statements, instance_ids: Sequence[str]) -> list[str]:
    """Forget those that hold neither state nor letters, and remember their last execution."""
    found = {row[0] for row in tx.rows("empty_entities", hub=tx.hub, ids=json_list(instance_ids))}
    discarded = [one for one in unique(instance_ids) if one in found]
    ledger = Ledger(tx)
    ledger.load(discarded)
    for instance_id in discarded:
        state = ledger.find(instance_id)
        assert state is not None
        ledger.bury(state)
    ledger.flush()
    tx.changed.update(discarded)
    return discarded


def end_of_prefix(prefix: str) -> str:
    """Return the first text that is after all ids of entities with this prefix, in the order of code points, which is that of UTF-8."""
    kept = prefix.rstrip(_LAST_CHAR)
    if not kept:
        return _AFTER_ALL
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(_SURROGATES.stop if following in _SURROGATES else following)


def _entity_record(row: Row) -> EntityRecord:
    instance_id, name, state, created_at_us, updated_at_us, letters, parked, owner = row
    return EntityRecord(
        instance_id=instance_id,
        name=name,
        state=state,
        created_at_us=created_at_us,
        updated_at_us=updated_at_us,
        letters=letters,
        parked=parked,
        owner=owner,
    )
