"""Which instances a call may have changed."""

from __future__ import annotations

from collections.abc import Iterator

from durable_async.model.records import TurnCommit

from ._calls import Call
from .rows import Rows


def touched(call: Call, rows: Rows) -> Iterator[str]:
    """Go through the instances that a call may have changed; some may come several times."""
    match call.verb:
        case "commit":
            yield from _touched_by_commit(call, rows)
        case "create":
            for new in call.args[0]:
                yield new.instance_id
                yield from _heirs(new.instance_id, rows)
        case "send":
            yield from (outgoing.instance_id for outgoing in call.args[0])
        case "fetch":
            yield from (claimed.instance_id for claimed in call.answer.claimed)
        case "rewrite":
            yield from _touched_by_rewrite(call, rows)
        case "unpark" | "purge" | "discard_entities":
            yield from call.args[0]
        case "expire":
            yield from call.answer.names
        case "take_over" | "retire_worker" | "take_stock":
            yield from [row.instance_id for row in rows.all()]
        case _:
            pass


def _touched_by_commit(call: Call, rows: Rows) -> Iterator[str]:
    for item in call.items:
        if isinstance(item, TurnCommit):
            yield item.instance_id
            yield from (outgoing.instance_id for outgoing in item.outbox)
            yield from _heirs(item.instance_id, rows)
            if item.will is not None:
                yield from item.will.receivers
            for child in item.children:
                yield child.instance_id
                yield from _heirs(child.instance_id, rows)
            continue
        outgoing = getattr(item, "outgoing", None)
        if outgoing is not None:
            yield outgoing.instance_id
        if (instance_id := getattr(item, "instance_id", None)) is not None:
            yield instance_id
            yield from _heirs(instance_id, rows)


def _touched_by_rewrite(call: Call, rows: Rows) -> Iterator[str]:
    for rewrite in call.args[0]:
        yield rewrite.instance_id
        yield from rows.hub.children.get(rewrite.instance_id, ())


def _heirs(instance_id: str, rows: Rows) -> tuple[str, ...]:
    row = rows.get(instance_id)
    return () if row is None else row.will.receivers
