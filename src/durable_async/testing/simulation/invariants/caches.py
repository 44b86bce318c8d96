"""I20: what a worker keeps warm is what a new owner would make of the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from durable_async._kernel.entities.instance import EntityInstance
from durable_async._kernel.orchestration import Orchestration
from durable_async._kernel.program import Program
from durable_async.model.records import HistoryRow
from durable_async.serialization.events import decode_events, decode_snapshot
from durable_async.testing.simulation.violations import Violation


def check_warm(warm: Orchestration, rows: Sequence[HistoryRow], program: Program) -> None:
    """Compare a warm orchestration that rests with what its history gives.

    Raises:
        Violation: They differ.
    """
    cold = Orchestration(warm.instance_id, warm.execution, warm.started, program)
    try:
        for row in rows:
            cold.replay(decode_events(warm.instance_id, row.events))
        mine, theirs = state_of(warm), state_of(cold)
    finally:
        cold.evict()
    _compare(warm.instance_id, theirs, mine)


def check_warm_entity(warm: EntityInstance, state: bytes | None) -> None:
    """Compare a warm entity that rests with its snapshot in the store.

    Raises:
        Violation: They differ.
    """
    _compare(warm.instance_id, decode_snapshot(warm.instance_id, state), warm.snapshot)


def state_of(instance: Orchestration) -> dict[str, Any]:
    """Return all that an owner can see of an instance that rests."""
    journal = instance._journal
    return {
        "wakes at": instance.wake_at_us,
        "suspended": instance.suspended,
        "outcome": instance.outcome,
        "now": journal.clock_us,
        "activities": sorted(
            (one.seq, one.name, one.attempt) for one in instance.pending_activities()
        ),
        "children": sorted((one.seq, one.instance_id) for one in instance.pending_children()),
        "pending": sorted(journal.pending),
        "waiting for": {name: len(queue) for name, queue in journal.waiters.items()},
        "next number": journal.next_seq,
        "section": repr(journal.section),
    }


def _compare(where: str, cold: Any, warm: Any) -> None:
    if cold != warm:
        raise Violation(
            "I20", "what is warm is not what is stored", where=where, cold=cold, warm=warm
        )
