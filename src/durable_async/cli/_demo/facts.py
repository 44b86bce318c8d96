"""What the history and the ledger say about an audit, as plain facts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from durable_async import Client
from durable_async.cli._timeline import Span
from durable_async.cli.audit.ledger import Entry, ExecutionBegan, ProcessEnded, ProcessStarted
from durable_async.model.history import (
    ActivityCompleted,
    ActivityFailed,
    ActivityScheduled,
    ExecutionCompleted,
    HistoryEvent,
    SubOrchestrationScheduled,
    TurnStarted,
)

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


def spells(entries: list[Entry], processes: list[ProcessFacts]) -> dict[str, list[Span]]:
    """Return for each orchestration when a process had it in hand: from its first activity there, to the last one or to the death."""
    died_us = {one.pid: one.ended_us for one in processes if one.status}
    found: dict[tuple[str, int], Span] = {}
    for one in entries:
        if isinstance(one, ExecutionBegan):
            key = (one.instance_id, one.pid)
            begun = found.get(key, Span(one.at_us, one.at_us))
            found[key] = Span(begun.begin_us, died_us.get(one.pid, one.at_us))
    by_instance: dict[str, list[Span]] = {}
    for (instance_id, _), span in found.items():
        by_instance.setdefault(instance_id, []).append(span)
    return by_instance


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


def unseen_ends(entries: list[Entry]) -> set[int]:
    """Return the processes whose end nobody saw."""
    started = {one.pid for one in entries if isinstance(one, ProcessStarted)}
    return started - {one.pid for one in entries if isinstance(one, ProcessEnded)}


@dataclass(frozen=True, slots=True)
class Cut:
    """What was there when a process was killed, or when an unfinished audit was found.

    Attributes:
        recorded: Calls whose result was in the history.
        lines: So many lines were in the ledger.
        gone: Processes that are not there any more, although nobody saw them end.
    """

    recorded: set[Call] = field(default_factory=set[Call])
    lines: int = 0
    gone: set[int] = field(default_factory=set[int])


@dataclass(frozen=True, slots=True)
class Proof:
    """The history beside the ledger.

    Attributes:
        calls: Calls with a result in the history; a call cannot have two.
        kept: Results that were in the history at the cut.
        executed_after: Executions after it.
        interrupted: Calls that a process had begun, died without their result recorded, and another process executed again.
        undisturbed: Calls that were under way at the cut, and came to their end.
        doubled: Calls that were executed once more for no reason: although their result was recorded, or their process lives, or without a
            failure. Never.
        unseen: Results in the history of which the ledger knows no execution. Never.
        resumed_us: From the death of a process to the moment when another one began again what it had been doing; ``None`` if nothing was.
    """

    calls: int
    kept: int
    executed_after: int
    interrupted: int
    undisturbed: int
    doubled: int
    unseen: int
    resumed_us: int | None

    @property
    def holds(self) -> bool:
        """Whether every recorded result was computed once."""
        return self.doubled == 0 and self.unseen == 0


def prove(cut: Cut, after: AuditFacts, entries: list[Entry]) -> Proof:
    """Compare what was recorded at the cut with what each process executed, before and after."""
    begun = _calls(entries[: cut.lines])
    later = _calls(entries[cut.lines :])
    interrupted = (begun & later) - cut.recorded
    return Proof(
        calls=len(after.recorded),
        kept=len(cut.recorded),
        executed_after=sum(isinstance(one, ExecutionBegan) for one in entries[cut.lines :]),
        interrupted=len(interrupted),
        undisturbed=len(begun - later - cut.recorded),
        doubled=len(_doubled(cut, after.failures, entries)),
        unseen=len(after.recorded - begun - later),
        resumed_us=_resumed(interrupted, entries[cut.lines :]),
    )


def _calls(entries: list[Entry]) -> set[Call]:
    return {(one.instance_id, one.seq) for one in entries if isinstance(one, ExecutionBegan)}


def _doubled(cut: Cut, failures: Counter[Call], entries: list[Entry]) -> set[Call]:
    """Go through the ledger in order: again is only what failed, or what a dead process had not recorded."""
    last: dict[Call, int] = {}
    dead: set[int] = set()
    extra: Counter[Call] = Counter()
    for line, one in enumerate(entries):
        if line == cut.lines:
            dead |= cut.gone
        match one:
            case ProcessEnded():
                dead.add(one.pid)
            case ExecutionBegan():
                call = (one.instance_id, one.seq)
                if call in last and (last[call] not in dead or call in cut.recorded):
                    extra[call] += 1
                last[call] = one.pid
            case _:
                pass
    return {call for call, times in extra.items() if times > failures[call]}


def _resumed(interrupted: set[Call], entries: list[Entry]) -> int | None:
    died = next(
        (one.at_us for one in entries if isinstance(one, ProcessEnded) and one.status), None
    )
    again = [
        one.at_us
        for one in entries
        if isinstance(one, ExecutionBegan) and (one.instance_id, one.seq) in interrupted
    ]
    return min(again) - died if died is not None and again else None
