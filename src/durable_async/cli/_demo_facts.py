"""What the history and the ledger say about an audit, as plain facts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from durable_async import Client
from durable_async.model.history import (
    ActivityCompleted,
    ActivityFailed,
    ActivityScheduled,
    ExecutionCompleted,
    HistoryEvent,
    SubOrchestrationScheduled,
    TurnStarted,
)

from .audit.ledger import Entry, ExecutionBegan, ProcessEnded, ProcessStarted

Call = tuple[str, int]
"""One call of an activity: its orchestration, and its number there."""


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    """One orchestration, by its history.

    Attributes:
        began_us: Its first turn, or ``None``.
        ended_us: When its result was recorded, or ``None``.
        scheduled: Calls of activities.
        recorded_us: When the result of a call was recorded, by its number.
        failures: How many attempts of a call failed, by its number; it is executed again then.
    """

    instance_id: str
    began_us: int | None
    ended_us: int | None
    scheduled: int
    recorded_us: dict[int, int]
    failures: Counter[int]


@dataclass(frozen=True, slots=True)
class AuditFacts:
    """The audit and its sub-orchestrations; the first is the audit itself."""

    instances: list[InstanceFacts]

    @property
    def recorded(self) -> set[Call]:
        """Calls whose result is in the history."""
        return {(one.instance_id, seq) for one in self.instances for seq in one.recorded_us}

    @property
    def recorded_us(self) -> list[int]:
        """When results were recorded, in order."""
        return sorted(at for one in self.instances for at in one.recorded_us.values())

    @property
    def failures(self) -> Counter[Call]:
        """How many attempts failed, by call."""
        return Counter(
            {
                (one.instance_id, seq): count
                for one in self.instances
                for seq, count in one.failures.items()
            }
        )

    @property
    def ended(self) -> int:
        """Sub-orchestrations that have ended."""
        return sum(1 for one in self.instances[1:] if one.ended_us is not None)


async def read_facts(client: Client, instance_id: str) -> AuditFacts:
    """Read the histories of an audit and of its sub-orchestrations."""
    history = await client.history(instance_id)
    facts = [instance_facts(instance_id, history)]
    for event in history:
        if isinstance(event, SubOrchestrationScheduled):
            child = event.instance_id
            facts.append(instance_facts(child, await client.history(child)))
    return AuditFacts(facts)


async def count_files(client: Client, instance_id: str) -> int:
    """Add up what the sub-orchestrations publish as their custom status: the files whose check is recorded."""
    done = 0
    async for child in client.query(parent=instance_id, payloads=True, page_size=1000):
        done += child.custom_status(int) or 0
    return done


def instance_facts(instance_id: str, history: list[HistoryEvent]) -> InstanceFacts:
    """Go through a history once; what follows a turn's start has its time."""
    at_us = 0
    began_us = ended_us = None
    scheduled = 0
    recorded_us: dict[int, int] = {}
    failures: Counter[int] = Counter()
    for event in history:
        match event:
            case TurnStarted():
                at_us = event.at_us
                began_us = began_us or at_us
            case ActivityScheduled():
                scheduled += 1
            case ActivityCompleted():
                recorded_us[event.seq] = at_us
            case ActivityFailed():
                failures[event.seq] += 1
            case ExecutionCompleted():
                ended_us = at_us
            case _:
                pass
    return InstanceFacts(instance_id, began_us, ended_us, scheduled, recorded_us, failures)


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """A worker process.

    Attributes:
        began_us: When it was started.
        working_us: When it began to execute its first activity.
        ended_us: When its end was seen; otherwise the last we know of it.
        status: Minus the signal that killed it, or its exit status; ``None`` if nobody saw its end.
    """

    pid: int
    began_us: int
    working_us: int
    ended_us: int
    status: int | None


def process_facts(entries: list[Entry]) -> list[ProcessFacts]:
    """Return the processes that a ledger tells of, in order."""
    starts = [entry for entry in entries if isinstance(entry, ProcessStarted)]
    return [_process(start, [e for e in entries if e.pid == start.pid]) for start in starts]


def _process(start: ProcessStarted, entries: list[Entry]) -> ProcessFacts:
    worked = [entry.at_us for entry in entries if isinstance(entry, ExecutionBegan)]
    ended = [entry for entry in entries if isinstance(entry, ProcessEnded)]
    ended_us = max(entry.at_us for entry in entries)
    return ProcessFacts(
        pid=start.pid,
        began_us=start.at_us,
        working_us=min(worked, default=ended_us),
        ended_us=ended_us,
        status=ended[0].status if ended else None,
    )


@dataclass(frozen=True, slots=True)
class Proof:
    """The history beside the ledger.

    Attributes:
        calls: Calls with a result in the history; a call cannot have two.
        kept: Results that were in the history before the last process began.
        executed_after: Executions by the last process.
        interrupted: Calls that a process began, died without their result recorded, and another process executed again.
        doubled: Calls that were executed once more for no reason: although their result was recorded, or without a failure. Never.
        unseen: Results in the history of which the ledger knows no execution. Never.
    """

    calls: int
    kept: int
    executed_after: int
    interrupted: int
    doubled: int
    unseen: int

    @property
    def holds(self) -> bool:
        """Whether every recorded result was computed once."""
        return self.doubled == 0 and self.unseen == 0


def prove(before: set[Call], after: AuditFacts, entries: list[Entry]) -> Proof:
    """Compare what was recorded before the last process began with what each process executed."""
    pids = [entry.pid for entry in entries if isinstance(entry, ProcessStarted)]
    began = [
        (entry.pid, (entry.instance_id, entry.seq))
        for entry in entries
        if isinstance(entry, ExecutionBegan)
    ]
    last = [call for pid, call in began if pid in pids[-1:]]
    failures = after.failures
    repeated = {call for (_, call), times in Counter(began).items() if times > 1 + failures[call]}
    by_others = {call for pid, call in began if pid not in pids[-1:]}
    return Proof(
        calls=len(after.recorded),
        kept=len(before),
        executed_after=len(last),
        interrupted=len(by_others & set(last) - before),
        doubled=len(repeated | (set(last) & before)),
        unseen=len(after.recorded - {call for _, call in began}),
    )
