"""Clients' verbs that delete instances or set them going again."""

from __future__ import annotations

from collections.abc import Sequence

from durable_async.backends._rows import encode_parent
from durable_async.model.records import Rewrite
from durable_async.model.status import TERMINAL, Status

from .ledger import Ledger
from .rows import unique
from .states import InstanceState, Row
from .transaction import Statements


def purge(tx: Statements, instance_ids: Sequence[str]) -> list[str]:
    """Delete those that have ended, and remember their last execution."""
    ledger = Ledger(tx)
    ledger.load(instance_ids)
    purged: list[str] = []
    for instance_id in unique(instance_ids):
        state = ledger.find(instance_id)
        if state is None or state.status not in TERMINAL:
            continue
        ledger.bury(state)
        purged.append(instance_id)
    ledger.flush()
    tx.changed.update(purged)
    return purged


def expire(tx: Statements, rows: Sequence[Row]) -> set[str]:
    """Delete those that have not begun again since they were found; return their ids."""
    ledger = Ledger(tx)
    ledger.load([row[0] for row in rows])
    gone: set[str] = set()
    for instance_id, _, execution, completed_at_us, _ in rows:
        state = ledger.find(instance_id)
        if state is None or (state.execution, state.completed_at_us) != (
            execution,
            completed_at_us,
        ):
            continue
        ledger.bury(state)
        gone.add(instance_id)
    ledger.flush()
    tx.changed.update(gone)
    return gone


def rewrite(tx: Statements, rewrites: Sequence[Rewrite]) -> bool:
    """Set failed instances going again with another history, all or none."""
    ledger = Ledger(tx)
    ledger.load([one.instance_id for one in rewrites])
    for one in rewrites:
        state = ledger.find(one.instance_id)
        if state is None or state.status is not Status.FAILED or state.execution != one.execution:
            return False
        _restart(tx, ledger, state, one)
        for outgoing in one.outgoing():
            ledger.deliver(outgoing)
    ledger.flush()
    return True


def _restart(tx: Statements, ledger: Ledger, state: InstanceState, one: Rewrite) -> None:
    ledger.pending.take_children_along.append((tx.hub, state.id, state.execution))
    ledger.renew(state, one.events)
    state.status = Status.RUNNING
    state.completed_at_us = None
    state.attempts = 0
    state.hold_until_us = 0
    state.parked = None
    _make_ready(tx, state)
    ledger.pending.save_outcomes.append((None, None, state.key))
    ledger.pending.save_parents.append((*encode_parent(one.parent), state.key))


def unpark(tx: Statements, instance_ids: Sequence[str]) -> list[str]:
    """Put parked instances back."""
    ledger = Ledger(tx)
    ledger.load(instance_ids)
    unparked: list[str] = []
    for instance_id in unique(instance_ids):
        state = ledger.find(instance_id)
        if state is None or state.parked is None:
            continue
        state.parked = None
        state.attempts = 0
        state.hold_until_us = 0
        _make_ready(tx, state)
        ledger.touch(state)
        unparked.append(instance_id)
    ledger.flush()
    return unparked


def _make_ready(tx: Statements, state: InstanceState) -> None:
    state.ready_at_us = tx.now_us
    state.updated_at_us = tx.now_us
    tx.changed.add(state.id)
    tx.brought_work = True
