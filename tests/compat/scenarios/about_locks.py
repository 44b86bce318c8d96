"""Locks of entities: who runs while they are held, what is refused, and when they are let go."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from durabletask import entities, task

from .book import scenario
from .cast import EntityId
from .stage import Stage, attempt

A, B, C = (EntityId("account", name) for name in ("a", "b", "c"))
MOMENT = timedelta(milliseconds=150)


def account(ctx: entities.EntityContext, input: Any) -> Any:
    balance = ctx.get_state(int, 0)
    if ctx.operation == "deposit":
        ctx.set_state(balance + input)
    elif ctx.operation == "withdraw":
        ctx.set_state(balance - input)
    elif ctx.operation == "fail":
        raise ValueError("no such thing")
    return ctx.get_state(int, 0)


def log(ctx: entities.EntityContext, input: Any) -> None:
    ctx.set_state([*ctx.get_state(list, []), input])


def echo(ctx: task.ActivityContext, value: Any) -> Any:
    return value


def transfer(ctx: task.OrchestrationContext, order: Any) -> Any:
    source, target = (EntityId("account", name) for name in order)
    with (yield ctx.lock_entities([source, target])):
        yield ctx.call_entity(entity=source, operation="get_balance")
        yield ctx.call_entity(entity=source, operation="withdraw", input=100)
        yield ctx.call_entity(entity=target, operation="deposit", input=100)
    return "Transfer complete"


@scenario
def documented_transfer(stage: Stage) -> Any:
    stage.worker([transfer], [], [account])
    return [stage.run(transfer, ["a", "b"]), stage.state_of(A), stage.state_of(B)]


@scenario
def opposite_transfers_do_not_block_each_other(stage: Stage) -> Any:
    stage.worker([transfer], [], [account])
    orders = [["a", "b"], ["b", "a"], ["b", "c"], ["c", "a"]] * 3
    ids = [stage.start(transfer, order, id=f"t{number}") for number, order in enumerate(orders)]
    ends = [stage.finish(id)["status"] for id in ids]
    return [ends, [stage.state_of(id) for id in (A, B, C)]]


@scenario
def isolation_from_a_client(stage: Stage) -> Any:
    """A client's signal while the lock is held waits for its end."""

    def holder(ctx: task.OrchestrationContext, _: Any) -> Any:
        id = EntityId("log", "a")
        with (yield ctx.lock_entities([id])):
            yield ctx.call_entity(id, "append", "begin")
            yield ctx.wait_for_external_event("go")
            yield ctx.call_entity(id, "append", "end")

    id = EntityId("log", "a")
    stage.worker([holder], [], [log])
    stage.start(holder)
    stage.until(lambda: stage.state_of(id) == ["begin"])
    stage.client.signal_entity(id, "append", input="outsider")
    stage.pause(0.2)
    stage.client.raise_orchestration_event("one", "go")
    stage.finish()
    stage.until(lambda: len(stage.state_of(id)) == 3)
    return stage.state_of(id)


@scenario
def isolation_from_another_orchestration(stage: Stage) -> Any:
    """Read, wait, write: without isolation an update is lost."""

    def careful(ctx: task.OrchestrationContext, _: Any) -> Any:
        with (yield ctx.lock_entities([A])):
            balance = yield ctx.call_entity(A, "get")
            yield ctx.create_timer(timedelta(milliseconds=30))
            balance_now = yield ctx.call_entity(A, "deposit", 1)
            return [balance_now - balance]

    stage.worker([careful], [], [account])
    ids = [stage.start(careful, id=f"n{number}") for number in range(6)]
    return [[stage.finish(id)["output"] for id in ids], stage.state_of(A)]


@scenario
def a_call_waits_for_the_lock(stage: Stage) -> Any:
    def holder(ctx: task.OrchestrationContext, _: Any) -> Any:
        with (yield ctx.lock_entities([A])):
            yield ctx.call_entity(A, "deposit", 5)
            yield ctx.wait_for_external_event("go")
            yield ctx.call_entity(A, "deposit", 5)

    def caller(ctx: task.OrchestrationContext, _: Any) -> Any:
        return (yield ctx.call_entity(A, "get"))

    stage.worker([holder, caller], [], [account])
    stage.start(holder)
    stage.until(lambda: stage.state_of(A) == 5)
    stage.start(caller, id="caller")
    stage.pause(0.2)
    stage.client.raise_orchestration_event("one", "go")
    return [stage.finish()["status"], stage.finish("caller")]


# ---------------------------------------------------------------- rules


def in_section(stage: Stage, body: Any, *others: Any) -> Any:
    """Run a body in a critical section over A and B and return what it answers."""

    def section(ctx: task.OrchestrationContext, _: Any) -> Any:
        with (yield ctx.lock_entities([A, B])):
            return (yield from body(ctx))

    stage.worker([section, *others], [echo], [account, log])
    return stage.run(section, timeout=5)


@scenario
def call_of_what_is_not_locked(stage: Stage) -> Any:
    def body(ctx: task.OrchestrationContext) -> Any:
        yield ctx.create_timer(timedelta(milliseconds=20))
        return attempt(ctx.call_entity, C, "get")["raised"]

    return in_section(stage, body)


@scenario
def signal_of_what_is_locked(stage: Stage) -> Any:
    def body(ctx: task.OrchestrationContext) -> Any:
        yield ctx.create_timer(timedelta(milliseconds=20))
        return attempt(ctx.signal_entity, A, "deposit", 1)["raised"]

    return in_section(stage, body)


@scenario
def signal_of_what_is_not_locked(stage: Stage) -> Any:
    def body(ctx: task.OrchestrationContext) -> Any:
        ctx.signal_entity(C, "deposit", 1)
        yield ctx.create_timer(timedelta(milliseconds=20))
        return "sent"

    outcome = in_section(stage, body)
    return [outcome, stage.until(lambda: stage.state_of(C) == 1, 3)]


@scenario
def second_call_while_one_is_pending(stage: Stage) -> Any:
    def body(ctx: task.OrchestrationContext) -> Any:
        first = ctx.call_entity(A, "get")
        second = attempt(ctx.call_entity, A, "get")["raised"]
        third = ctx.call_entity(B, "get")
        yield task.when_all([first, third])
        return [second, (yield ctx.call_entity(A, "get"))]

    return in_section(stage, body)


@scenario
def locks_within_locks(stage: Stage) -> Any:
    def body(ctx: task.OrchestrationContext) -> Any:
        yield ctx.create_timer(timedelta(milliseconds=20))
        return attempt(ctx.lock_entities, [C])["raised"]

    return in_section(stage, body)


@scenario
def call_before_the_lock_is_granted(stage: Stage) -> Any:
    def hasty(ctx: task.OrchestrationContext, _: Any) -> Any:
        lock = ctx.lock_entities([A])
        answer = attempt(ctx.call_entity, A, "get")["raised"]
        with (yield lock):
            return [answer, (yield ctx.call_entity(A, "get"))]

    stage.worker([hasty], [], [account])
    return stage.run(hasty)


@scenario
def no_entities_at_all(stage: Stage) -> Any:
    def empty(ctx: task.OrchestrationContext, _: Any) -> Any:
        return attempt(ctx.lock_entities, [])["raised"]

    stage.worker([empty])
    return stage.run(empty)


@scenario
def the_same_entity_twice(stage: Stage) -> Any:
    def twice(ctx: task.OrchestrationContext, _: Any) -> Any:
        with (yield ctx.lock_entities([B, A, A])):
            return (yield ctx.call_entity(A, "deposit", 1))

    stage.worker([twice], [], [account])
    return stage.run(twice)


@scenario
def activities_and_timers_are_allowed(stage: Stage) -> Any:
    def body(ctx: task.OrchestrationContext) -> Any:
        first = yield ctx.call_activity(echo, input="done")
        yield ctx.create_timer(timedelta(milliseconds=20))
        return first

    return in_section(stage, body)


@scenario
def sub_orchestrations_are_allowed(stage: Stage) -> Any:
    def child(ctx: task.OrchestrationContext, _: Any) -> Any:
        return "child"

    def body(ctx: task.OrchestrationContext) -> Any:
        return (yield ctx.call_sub_orchestrator(child))

    return in_section(stage, body, child)


# ---------------------------------------------------------------- release


def released(stage: Stage, holder: Any, input: Any = None) -> Any:
    """Let an orchestration end with the lock in its hands; then another one must get it."""
    stage.worker([holder, transfer], [echo], [account])
    first = stage.run(holder, input)
    second = stage.run(transfer, ["a", "b"], id="next", timeout=5)
    return [first, second, stage.state_of(A)]


@scenario
def released_by_a_failure(stage: Stage) -> Any:
    def holder(ctx: task.OrchestrationContext, _: Any) -> Any:
        with (yield ctx.lock_entities([A, B])):
            yield ctx.call_entity(A, "deposit", 5)
            raise ValueError("in the middle")

    return released(stage, holder)


@scenario
def released_by_a_failed_operation(stage: Stage) -> Any:
    def holder(ctx: task.OrchestrationContext, _: Any) -> Any:
        with (yield ctx.lock_entities([A, B])):
            try:
                yield ctx.call_entity(A, "fail")
            except task.TaskFailedError:
                yield ctx.call_entity(B, "deposit", 1)
                return "compensated"

    return released(stage, holder)


@scenario
def released_by_an_early_return(stage: Stage) -> Any:
    def holder(ctx: task.OrchestrationContext, _: Any) -> Any:
        with (yield ctx.lock_entities([A, B])):
            return (yield ctx.call_entity(A, "deposit", 5))

    return released(stage, holder)


@scenario
def released_without_a_block(stage: Stage) -> Any:
    def holder(ctx: task.OrchestrationContext, _: Any) -> Any:
        yield ctx.lock_entities([A, B])
        return (yield ctx.call_entity(A, "deposit", 5))

    return released(stage, holder)


@scenario
def released_by_continue_as_new(stage: Stage) -> Any:
    def holder(ctx: task.OrchestrationContext, life: int) -> Any:
        if life == 0:
            yield ctx.lock_entities([A, B])
            yield ctx.call_entity(A, "deposit", 5)
            ctx.continue_as_new(1)
            return None
        with (yield ctx.lock_entities([A])):
            return (yield ctx.call_entity(A, "deposit", 5))

    return released(stage, holder, 0)


@scenario
def released_by_termination(stage: Stage) -> Any:
    def holder(ctx: task.OrchestrationContext, _: Any) -> Any:
        with (yield ctx.lock_entities([A, B])):
            yield ctx.call_entity(A, "deposit", 5)
            yield ctx.wait_for_external_event("never")

    stage.worker([holder, transfer], [], [account])
    stage.start(holder)
    stage.until(lambda: stage.state_of(A) == 5)
    stage.client.terminate_orchestration("one")
    stage.finish()
    return [stage.run(transfer, ["a", "b"], id="next", timeout=5), stage.state_of(A)]


@scenario
def released_and_taken_again(stage: Stage) -> Any:
    def holder(ctx: task.OrchestrationContext, _: Any) -> Any:
        values = []
        for _number in range(3):
            with (yield ctx.lock_entities([A])):
                values.append((yield ctx.call_entity(A, "deposit", 1)))
        return [*values, (yield ctx.call_entity(A, "get"))]

    stage.worker([holder], [], [account])
    return stage.run(holder)


@scenario
def who_holds_it(stage: Stage) -> Any:
    """The description of a locked entity can be asked who holds it."""

    def holder(ctx: task.OrchestrationContext, _: Any) -> Any:
        with (yield ctx.lock_entities([A])):
            yield ctx.call_entity(A, "deposit", 5)
            yield ctx.wait_for_external_event("go")

    stage.worker([holder], [], [account])
    stage.start(holder)
    stage.until(lambda: stage.state_of(A) == 5)
    answer = attempt(stage.client.get_entity(A).get_locked_by)
    stage.client.raise_orchestration_event("one", "go")
    stage.finish()
    return answer
