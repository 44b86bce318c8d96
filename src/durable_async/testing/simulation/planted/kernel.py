"""Faults of the kernel: what it shows to the code, in which order, and what it takes for the same."""

from __future__ import annotations

from itertools import count
from typing import Any

import msgspec

from durable_async._engine.operations import Operation
from durable_async._kernel import admission, entity_calls, journal as journals
from durable_async._kernel.entities.instance import EntityInstance
from durable_async._kernel.entities.outcome import OperationOutcome
from durable_async._kernel.letters import Mailbox
from durable_async._kernel.orchestration import Orchestration
from durable_async.model.history import TimerFired

from ._planting import Patch, answers, plants


@plants(
    "timers-early",
    breaks="timers fire up to half a second before they are due",
    rule="P19",
    caught_by="I13",
    first_seed=1,
)
def _timers_early(patch: Patch) -> None:
    def run_due(instance: Orchestration) -> None:
        while not instance._is_at_rest:
            due = instance._journal.earliest()
            if due is None or due[0] > instance._journal.clock_us + 500_000:
                return
            instance._record(instance._due_event(due[1], due[2]))
            instance._hand_out_events()

    patch.put(Orchestration, "_run_due", run_due)


@plants(
    "timers-twice",
    breaks="a timer that has fired is recorded once more",
    rule="P19",
    caught_by="I3 I6",
    first_seed=0,
)
def _timers_twice(patch: Patch) -> None:
    record = vars(Orchestration)["_record"]

    def record_twice(instance: Orchestration, event: Any) -> None:
        record(instance, event)
        if isinstance(event, TimerFired):
            instance._journal.recorded.append(event)

    patch.put(Orchestration, "_record", record_twice)


@plants(
    "retry-without-delay",
    breaks="an activity that failed is tried again at once, whatever its policy says",
    rule="P19",
    caught_by="I1",
    first_seed=9,
)
def _retry_without_delay(patch: Patch) -> None:
    retry_at = vars(admission)["retry_at"]

    def at_once(operation: Any, failure: Any, now_us: int, draw: float) -> int | None:
        due_us = retry_at(operation, failure, now_us, draw)
        return None if due_us is None else now_us

    patch.put(admission, "retry_at", at_once)


@plants(
    "suspension-drops-events",
    breaks="events that arrive while an orchestration is suspended are taken and forgotten",
    rule="P26",
    caught_by="I12",
    first_seed=23,
)
def _suspension_drops_events(patch: Patch) -> None:
    run = vars(Orchestration)["_run"]

    def run_deaf(instance: Orchestration, now_us: int) -> None:
        run(instance, now_us)
        if instance.suspended:
            instance.mailbox.drop_kept()

    patch.put(Orchestration, "_run", run_deaf)


@plants(
    "runs-while-suspended",
    breaks="a suspended orchestration goes on",
    rule="P26",
    caught_by="I1 I14",
    first_seed=17,
)
def _runs_while_suspended(patch: Patch) -> None:
    show = vars(Orchestration)["_show"]

    def show_anyway(instance: Orchestration, event: Any) -> None:
        suspended, instance.suspended = instance.suspended, False
        show(instance, event)
        instance.suspended = instance.suspended or suspended

    patch.put(Orchestration, "_show", show_anyway)


@plants(
    "last-letter-first",
    breaks="letters are taken in the wrong order",
    rule="P11",
    caught_by="I1 I11",
    first_seed=2,
)
def _last_letter_first(patch: Patch) -> None:
    take = vars(Mailbox)["take"]

    def take_last(mailbox: Mailbox, execution: int) -> Any:
        mailbox.arrived.rotate(1)
        return take(mailbox, execution)

    patch.put(Mailbox, "take", take_last)


@plants(
    "children-get-new-ids",
    breaks="a sub-orchestration gets another id whenever its call is replayed, and is begun twice",
    rule="P28",
    caught_by="I0 I1",
    first_seed=0,
)
def _children_get_new_ids(patch: Patch) -> None:
    numbers = count(1)

    def another(parent_id: str, execution: int, seq: int) -> str:
        return f"{parent_id}:{execution}.{seq}.{next(numbers)}"

    patch.put(journals, "child_instance_id", another)


@plants(
    "locks-out-of-order",
    breaks="a set of entities is locked in the order in which it was written down",
    rule="P29",
    caught_by="I9",
    first_seed=1,
)
def _locks_out_of_order(patch: Patch) -> None:
    def backwards(items: Any, key: Any = None) -> list[Any]:
        return sorted(items, key=key, reverse=True)

    patch.put(entity_calls, "sorted", backwards)


@plants(
    "failures-leave-state",
    breaks="an operation that fails leaves the state that it had written",
    rule="P29",
    caught_by="I7 I8",
    first_seed=0,
)
def _failures_leave_state(patch: Patch) -> None:
    run, conclude = vars(Operation)["run"], vars(EntityInstance)["conclude"]

    def run_and_keep(operation: Operation) -> OperationOutcome:
        outcome: OperationOutcome = run(operation)
        if outcome.failure is not None:
            outcome = msgspec.structs.replace(outcome, state=operation._cell.save())
        return outcome

    def conclude_all(entity: EntityInstance, outcome: OperationOutcome) -> None:
        if outcome.failure is not None and outcome.state is not None:
            entity.state = outcome.state
            entity._changed = True
        conclude(entity, outcome)

    patch.put(Operation, "run", run_and_keep)
    patch.put(EntityInstance, "conclude", conclude_all)


@plants(
    "answers-lost",
    breaks="an entity does not tell its callers of operations that failed",
    rule="P29",
    caught_by="I2",
    first_seed=0,
)
def _answers_lost(patch: Patch) -> None:
    patch.put(EntityInstance, "_fail", answers(None))
