"""Telling: what this worker tells whoever listens, when it is durable. There is a teller only where somebody does."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from durable_async._engine.operations import Operation
from durable_async._kernel.entities.instance import EntityInstance
from durable_async._kernel.entities.outcome import OperationOutcome
from durable_async._kernel.orchestration import Orchestration
from durable_async.environment import Environment
from durable_async.model.history import (
    ActivityCancelRequested,
    ActivityCompleted,
    ActivityFailed,
    EntityCalled,
    EntitySignaled,
    EventSent,
    ExecutionStarted,
    HistoryEvent,
    Origin,
    SubOrchestrationScheduled,
    TimerCancelled,
    TimerCreated,
    TimerFired,
    TurnStarted,
)
from durable_async.model.identity import ENTITY_MARK
from durable_async.model.records import ClaimedInstance, CommitItem, Park, TurnCommit, Work
from durable_async.registry import Registry
from durable_async.telemetry import (
    Act,
    ActivityRun,
    BatchCommitted,
    ExecutionBegan,
    ExecutionEnded,
    InstanceParked,
    InstancesPurged,
    LeaseLost,
    Ongoing,
    OperationRun,
    Outcome,
    RunningWorker,
    Signals,
    TurnCommitted,
    WorkerLoad,
    WorkFetched,
)
from durable_async.telemetry.traceparent import passed_on

from ._activities import Attempt
from ._drafts import Draft
from ._memos import Memo
from ._slots import Slot


class Teller:
    """What one session tells.

    Attributes:
        clock: Seconds, to measure with.
    """

    def __init__(
        self,
        signals: Signals,
        environment: Environment,
        now_us: Callable[[], int],
        hub: str,
        worker_id: str,
    ) -> None:
        self.clock = environment.monotonic
        self._signals = signals
        self._now_us = now_us
        self._hub = hub
        self._worker_id = worker_id
        self._worker: RunningWorker | None = None

    # -- the worker itself

    def worker_began(self, registry: Registry, load: Callable[[], WorkerLoad]) -> None:
        """Tell that it registered."""
        self._worker = RunningWorker(
            hub=self._hub,
            worker_id=self._worker_id,
            orchestrators=registry.orchestrators,
            activities=registry.activities,
            entities=frozenset(name.removeprefix(ENTITY_MARK) for name in registry.entities),
            load=load,
        )
        if self._signals.worker_began is not None:
            self._signals.worker_began(self._worker)

    def worker_ended(self, *, is_fenced: bool) -> None:
        """Tell that it is over."""
        if is_fenced and self._signals.lease_lost is not None:
            self._signals.lease_lost(LeaseLost(hub=self._hub, worker_id=self._worker_id))
        if self._worker is not None and self._signals.worker_ended is not None:
            self._signals.worker_ended(self._worker)

    def fetched(self, work: Work, begun_at: float) -> None:
        """Tell what a fetch brought."""
        tell = self._signals.work_fetched
        if tell is not None:
            fetch = WorkFetched(
                hub=self._hub,
                worker_id=self._worker_id,
                instances=len(work.claimed),
                activities=len(work.activities),
                letters=len(work.mail),
                seconds=self.clock() - begun_at,
            )
            tell(fetch)

    def batch_committed(self, items: Sequence[CommitItem], begun_at: float) -> None:
        """Tell of a commit, and of what was parked in it."""
        if self._signals.batch_committed is not None:
            batch = BatchCommitted(
                hub=self._hub,
                worker_id=self._worker_id,
                items=len(items),
                seconds=self.clock() - begun_at,
            )
            self._signals.batch_committed(batch)
        if self._signals.instance_parked is not None:
            for item in items:
                if isinstance(item, Park):
                    self._signals.instance_parked(self._parked(item))

    def purged(self, count: int) -> None:
        """Tell that retention deleted some that ended long ago."""
        if self._signals.instances_purged is not None:
            self._signals.instances_purged(InstancesPurged(hub=self._hub, count=count))

    def _parked(self, item: Park) -> InstanceParked:
        is_entity = item.instance_id.startswith(ENTITY_MARK)
        return InstanceParked(
            hub=self._hub,
            worker_id=self._worker_id,
            instance_id=item.instance_id,
            kind="entity" if is_entity else "orchestration",
        )

    # -- code that runs

    @property
    def activities(self) -> Callable[[Attempt], Ongoing | None] | None:
        """What tells of attempts; ``None`` if nobody listens to that."""
        return None if self._signals.activity_began is None else self.activity_began

    def activity_began(self, attempt: Attempt) -> Ongoing | None:
        """Tell that an attempt begins, in the context of its code."""
        tell = self._signals.activity_began
        if tell is None:
            return None
        run = ActivityRun(
            hub=self._hub,
            worker_id=self._worker_id,
            begun_us=self._now_us(),
            instance_id=attempt.instance_id,
            execution=attempt.execution,
            seq=attempt.seq,
            attempt=attempt.number,
            name=attempt.name,
            traceparent=_header(attempt.origin),
            input_bytes=len(attempt.input),
            was_queued=attempt.item_id is not None,
        )
        return tell(run)

    def operation_began(self, operation: Operation, slot: Slot) -> Ongoing | None:
        """Tell that an operation of an entity begins, in the context of its code."""
        tell = self._signals.operation_began
        if tell is None:
            return None
        letter = operation.letter
        run = OperationRun(
            hub=self._hub,
            worker_id=self._worker_id,
            begun_us=self._now_us(),
            instance_id=slot.instance_id,
            name=slot.entity.entity_id.name,
            operation=letter.operation,
            traceparent=_header(letter.origin),
            caller="" if letter.caller is None else letter.caller.instance_id,
            input_bytes=len(letter.input or b""),
        )
        ongoing = tell(run)
        if ongoing is not None and ongoing.traceparent and not run.traceparent:
            operation.begin_trace(ongoing.traceparent)
        return ongoing

    def operation_ended(
        self, ongoing: Ongoing, slot: Slot, outcome: OperationOutcome, begun_at: float
    ) -> None:
        """Tell that it ended, and remember it until that is durable."""
        failure = outcome.failure
        ended = Outcome(
            status="completed" if failure is None else "failed",
            seconds=self.clock() - begun_at,
            error="" if failure is None else failure.error_type,
            acts=() if failure is not None else _acts_of_operation(outcome, self._now_us()),
        )
        ongoing.ended(ended)
        if slot.memo is not None:
            slot.memo.operations.append(ongoing)

    # -- what is durable

    def committed(self, draft: Draft) -> None:
        """Tell what the turns of an instance came to."""
        slot = draft.slot
        memo = slot.memo
        if memo is None:
            memo = slot.memo = Memo()
        if isinstance(slot.instance, EntityInstance):
            operations, memo.operations = memo.operations, []
            for ongoing in operations:
                ongoing.recorded()
        elif draft.events:
            begun_us = _begun_us(draft.events) or self._now_us()
            acts = self._go_through(draft, begun_us, memo, _spans(slot.instance))
            if not memo.has_begun and slot.instance.begun_at_us is not None:
                memo.has_begun = True
                self._began(slot.instance, slot.instance.begun_at_us)
            self._turn_committed(slot.instance, draft, begun_us, acts)
            if slot.instance.outcome is not None:
                self._ended(slot.instance, draft.commit)

    def _go_through(
        self, draft: Draft, at_us: int, memo: Memo, span: Callable[[int], str]
    ) -> list[Act]:
        """Return what was done and heard; what ended before is recorded now."""
        acts: list[Act] = []
        for event in (*draft.repeated, *draft.events):
            match event:
                case TurnStarted():
                    at_us = event.at_us
                case ActivityCompleted() | ActivityFailed() | ActivityCancelRequested():
                    ongoing = memo.ended.pop(event.seq, None)
                    if ongoing is not None:
                        ongoing.recorded()
                case TimerCreated():
                    memo.timers[event.seq] = at_us
                case TimerCancelled():
                    memo.timers.pop(event.seq, None)
                case TimerFired():
                    begun_us = memo.timers.pop(event.seq, at_us)
                    acts.append(_act("timer", event.seq, "", "", begun_us, span(event.seq)))
                case _:
                    asked = _asked(event, at_us, span)
                    if asked is not None:
                        acts.append(asked)
        return acts

    def _began(self, instance: Orchestration, begun_us: int) -> None:
        tell = self._signals.execution_began
        if tell is not None:
            began = ExecutionBegan(
                hub=self._hub,
                worker_id=self._worker_id,
                instance_id=instance.instance_id,
                name=instance.started.name,
                execution=instance.execution,
                traceparent=_header(instance.started.origin),
                begun_us=begun_us,
                waited_seconds=_waited_seconds(instance.started, begun_us),
            )
            tell(began)

    def _turn_committed(
        self, instance: Orchestration, draft: Draft, begun_us: int, acts: list[Act]
    ) -> None:
        tell = self._signals.turn_committed
        if tell is None:
            return
        commit = draft.commit
        now_us = self._now_us()
        turn = TurnCommitted(
            hub=self._hub,
            worker_id=self._worker_id,
            instance_id=commit.instance_id,
            name=instance.started.name,
            execution=commit.execution,
            turn=commit.turn,
            traceparent=_header(instance.started.origin),
            begun_us=min(begun_us, now_us),
            ended_us=now_us,
            seconds=draft.seconds,
            events=len(draft.events),
            event_bytes=len(commit.events),
            acts=tuple(acts),
        )
        tell(turn)

    def _ended(self, instance: Orchestration, commit: TurnCommit) -> None:
        self._execution_ended(
            instance.started, instance.instance_id, instance.execution, commit, instance.begun_at_us
        )

    def ended_without_code(
        self, claimed: ClaimedInstance, events: Sequence[HistoryEvent], commit: TurnCommit
    ) -> Callable[[bool], None]:
        """Return what tells that an instance ended whose code was not asked, once that is committed."""
        return functools.partial(self._told_end, claimed, events, commit)

    def _told_end(
        self,
        claimed: ClaimedInstance,
        events: Sequence[HistoryEvent],
        commit: TurnCommit,
        dropped: bool,
    ) -> None:
        if dropped:
            return
        begun_us = _begun_us(events)
        started = events[0] if events and isinstance(events[0], ExecutionStarted) else None
        known = started or ExecutionStarted(claimed.name, None, None, claimed.parent)
        self._execution_ended(known, claimed.instance_id, claimed.execution, commit, begun_us)

    def _execution_ended(
        self,
        started: ExecutionStarted,
        instance_id: str,
        execution: int,
        commit: TurnCommit,
        begun_us: int | None,
    ) -> None:
        tell = self._signals.execution_ended
        if tell is None:
            return
        now_us = self._now_us()
        status: Any = "continued_as_new"
        if commit.next_execution is None and commit.status is not None:
            status = commit.status.value
        ended = ExecutionEnded(
            hub=self._hub,
            worker_id=self._worker_id,
            instance_id=instance_id,
            name=started.name,
            execution=execution,
            traceparent=_header(started.origin),
            status=status,
            error="" if commit.failure is None else commit.failure.error_type,
            begun_us=now_us if begun_us is None else min(begun_us, now_us),
            ended_us=now_us,
            parent_id="" if started.parent is None else started.parent.instance_id,
        )
        tell(ended)


def recorded(ongoing: Ongoing, dropped: bool) -> None:
    """Take a commit's answer for something that ended."""
    if not dropped:
        ongoing.recorded()


def _begun_us(events: Sequence[HistoryEvent]) -> int | None:
    """Return when the first turn began, by the time that its code saw."""
    for event in events:
        if isinstance(event, TurnStarted):
            return event.at_us
    return None


def _header(origin: Origin | None) -> str:
    return "" if origin is None else origin.traceparent


def _waited_seconds(started: ExecutionStarted, begun_us: int) -> float | None:
    origin = started.origin
    if origin is None or not origin.sent_at_us:
        return None
    return max(0, begun_us - max(origin.sent_at_us, started.start_at_us)) / 1e6


def _spans(instance: Orchestration) -> Callable[[int], str]:
    """Return what gives the place in the trace of an operation, by its number."""
    header = _header(instance.started.origin)
    if not header:
        return lambda seq: ""
    return functools.partial(passed_on, header, instance.instance_id, instance.execution)


def _act(kind: Any, seq: int, name: str, target: str, begun_us: int, span: str) -> Act:
    return Act(kind=kind, seq=seq, name=name, target=target, begun_us=begun_us, traceparent=span)


def _asked(event: HistoryEvent, at_us: int, span: Callable[[int], str]) -> Act | None:
    match event:
        case SubOrchestrationScheduled():
            kind, name, target = "start", event.name, event.instance_id
        case EventSent():
            kind, name, target = "raise_event", event.name, event.instance_id
        case EntitySignaled():
            kind, name, target = "signal_entity", event.operation, event.entity_id
        case EntityCalled():
            kind, name, target = "call_entity", event.operation, event.entity_id
        case _:
            return None
    return _act(kind, event.seq, name, target, at_us, span(event.seq))


def _acts_of_operation(outcome: OperationOutcome, now_us: int) -> tuple[Act, ...]:
    signals = [
        ("signal_entity", one.operation.operation, one.entity_id, one.operation.origin)
        for one in outcome.signals
    ]
    starts = [("start", one.name, one.instance_id, one.origin) for one in outcome.starts]
    return tuple(
        _act(kind, place, name, target, now_us, _header(origin))
        for place, (kind, name, target, origin) in enumerate((*signals, *starts))
    )
