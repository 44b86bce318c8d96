"""Entities: functions and classes, their state, their operations, and who calls them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from durabletask import client, entities, task

from .book import scenario
from .cast import ACCOUNT, COUNTER, Account, EntityId, called, calling, counter
from .stage import Stage, attempt


@dataclass
class Cart:
    items: list[str]


class Counter(entities.DurableEntity):
    def add(self, amount: int) -> int:
        self.set_state(self.get_state(int, 0) + amount)
        return self.get_state(int, 0)

    def get(self) -> int:
        return self.get_state(int, 0)


# ---------------------------------------------------------------- the documented ones


@scenario
def function(stage: Stage) -> Any:
    operations = [("add", 10), ("subtract", 3), "get", "reset", "get", "unknown"]
    return [called(stage, counter, *operations), stage.state_of(COUNTER)]


@scenario
def documented_class_with_state_set_at_birth(stage: Stage) -> Any:
    class Counter(entities.DurableEntity):
        def __init__(self) -> None:
            self.set_state(0)

        def add(self, amount: int) -> None:
            self.set_state(self.get_state(int, 0) + amount)

        def get(self) -> int:
            return self.get_state(int, 0)

        def reset(self) -> None:
            self.set_state(0)

    return called(stage, Counter, "get", ("add", 5), ("add", 5), "get", "reset", "get")


@scenario
def signal_then_call(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        ctx.signal_entity(entity_id=COUNTER, operation_name="add", input=5)
        value = yield ctx.call_entity(entity=COUNTER, operation="get")
        return f"Counter value: {value}"

    stage.worker([flow], [], [counter])
    return stage.run(flow)


@scenario
def wrong_keyword_names(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        return [
            attempt(ctx.call_entity, entity_id=COUNTER, operation_name="get")["raised"],  # type: ignore[call-arg]
            attempt(ctx.signal_entity, entity=COUNTER, operation="add")["raised"],  # type: ignore[call-arg]
        ]

    stage.worker([flow], [], [counter])
    return stage.run(flow)


@scenario
def signal_of_a_client(stage: Stage) -> Any:
    stage.worker([], [], [counter])
    stage.client.signal_entity(COUNTER, "add", input=10)
    return stage.until(lambda: stage.state_of(COUNTER) == 10)


@scenario
def hundred_signals(stage: Stage) -> Any:
    running = [0]
    most = [0]

    def counter(ctx: entities.EntityContext, input: int) -> None:
        running[0] += 1
        most[0] = max(most[0], running[0])
        ctx.set_state(ctx.get_state(int, 0) + input)
        running[0] -= 1

    stage.worker([], [], [counter])
    for _number in range(100):
        stage.client.signal_entity(COUNTER, "add", input=1)
    return [stage.until(lambda: stage.state_of(COUNTER) == 100), most[0]]


@scenario
def signals_in_order(stage: Stage) -> Any:
    def log(ctx: entities.EntityContext, input: int) -> None:
        ctx.set_state([*ctx.get_state(list, []), input])

    id = EntityId("log", "a")
    stage.worker([], [], [log])
    for number in range(20):
        stage.client.signal_entity(id, "append", input=number)
    stage.until(lambda: len(stage.state_of(id) or []) == 20)
    return stage.state_of(id)


@scenario
def signals_before_the_worker(stage: Stage) -> Any:
    for number in range(3):
        stage.client.signal_entity(COUNTER, "add", input=number)
    stage.worker([], [], [counter])
    return stage.until(lambda: stage.state_of(COUNTER) == 3)


# ---------------------------------------------------------------- names and ids


@scenario
def names_in_any_case(stage: Stage) -> Any:
    outcome = called(stage, counter, ("add", 1), "get", id=EntityId("COUNTER", "Mine"))
    return [outcome, stage.state_of(EntityId("counter", "Mine")), stage.state_of(COUNTER)]


@scenario
def ids(stage: Stage) -> Any:
    id = EntityId("Counter", "Key")
    wrong = [("", "key"), ("name", ""), ("a@b", "key"), ("name", "a@b")]
    return [
        str(id),
        id.entity,
        id.key,
        id == EntityId("cOUNTER", "Key"),
        id == EntityId("counter", "key"),
        EntityId.parse("@counter@Key") == id,
        [attempt(EntityId, *arguments).get("raised") for arguments in wrong],
        [attempt(EntityId.parse, text).get("raised") for text in ("counter", "@counter", "", "@@")],
        min(EntityId("b", "a"), EntityId("a", "b"), EntityId("a", "a")).key,
    ]


@scenario
def ids_are_hashable(stage: Stage) -> Any:
    return attempt(lambda: len({COUNTER, EntityId("counter", "mine")}))


@scenario
def name_given_at_registration(stage: Stage) -> Any:
    worker = stage.worker(start=False)
    names = [worker.add_entity(counter, name="Adder"), attempt(worker.add_entity, counter, "adder")]
    flow = calling(("add", 2), "get", id=EntityId("adder", "a"))
    worker.add_orchestrator(flow)
    worker.start()
    return [names[0], names[1]["raised"], stage.run(flow)]


@scenario
def function_and_class_of_one_name(stage: Stage) -> Any:
    worker = stage.worker(start=False)
    worker.add_entity(counter)
    return attempt(worker.add_entity, Counter)["raised"]


@scenario
def entity_not_registered(stage: Stage) -> Any:
    flow = calling("get", id=EntityId("nobody", "a"))
    stage.worker([flow], [], [counter])
    return stage.run(flow, timeout=6)


@scenario
def what_a_context_says(stage: Stage) -> Any:
    def who(ctx: entities.EntityContext, input: Any) -> Any:
        return [ctx.orchestration_id, str(ctx.entity_id), ctx.operation, input]

    return called(stage, who, ("Ask", {"a": 1}), "ask", id=EntityId("who", "Key"))


# ---------------------------------------------------------------- classes


@scenario
def methods(stage: Stage) -> Any:
    operations = [("deposit", 5), ("deposit", 6), "optional", ("optional", 8), "nothing"]
    return called(stage, Account, *operations, id=ACCOUNT)


@scenario
def arguments_that_do_not_fit(stage: Stage) -> Any:
    outcome = called(stage, Account, "deposit", ("nothing", 5), id=ACCOUNT)
    return [
        answer["type"] + ": " + answer["inner"]["type"]
        if isinstance(answer, dict) and "inner" in answer
        else answer
        for answer in outcome["output"]
    ]


@scenario
def methods_that_do_not_exist(stage: Stage) -> Any:
    outcome = called(stage, Account, "missing", "balance", "Deposit", id=ACCOUNT)
    return [
        answer["inner"]["type"] if isinstance(answer, dict) else answer
        for answer in outcome["output"]
    ]


@scenario
def a_new_object_for_each_operation(stage: Stage) -> Any:
    class Forgetful(entities.DurableEntity):
        def remember(self, value: int) -> None:
            self.value = value

        def recall(self) -> int:
            return getattr(self, "value", -1)

    return called(stage, Forgetful, ("remember", 5), "recall", id=EntityId("forgetful", "a"))


@scenario
def built_in_delete(stage: Stage) -> Any:
    outcome = called(stage, Counter, ("add", 5), "get", "delete", "get")
    return [outcome, stage.state_of(COUNTER)]


# ---------------------------------------------------------------- what entities do


@scenario
def entity_signals_another(stage: Stage) -> Any:
    def relay(ctx: entities.EntityContext, input: Any) -> None:
        if ctx.operation == "pass":
            ctx.signal_entity(EntityId("relay", "b"), "take", input)
        else:
            ctx.set_state(input)

    stage.worker([], [], [relay])
    stage.client.signal_entity(EntityId("relay", "a"), "pass", input={"n": 1})
    target = EntityId("relay", "b")
    stage.until(lambda: stage.state_of(target))
    return [stage.state_of(target), stage.state_of(EntityId("relay", "a"))]


@scenario
def entity_signals_itself(stage: Stage) -> Any:
    def countdown(ctx: entities.EntityContext, input: int) -> None:
        stage.note(input)
        ctx.set_state(input)
        if input > 0:
            ctx.signal_entity(ctx.entity_id, "run", input - 1)

    stage.worker([], [], [countdown])
    stage.client.signal_entity(EntityId("countdown", "a"), "run", input=4)
    stage.until(lambda: len(stage.log) == 5)
    return stage.log


@scenario
def entity_starts_an_orchestration(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, value: Any) -> Any:
        return [value, ctx.parent_instance_id]

    class Starter(entities.DurableEntity):
        def begin(self, value: Any) -> str:
            return self.schedule_new_orchestration("flow", value, "begun")

    caller = calling(("begin", {"a": 1}), id=EntityId("starter", "a"))
    caller.__name__ = "caller"
    stage.worker([flow, caller], [], [Starter])
    outcome = stage.run(caller)
    stage.until(lambda: stage.status("begun"))
    return [outcome, stage.finish("begun")]


@scenario
def entity_starts_with_an_id_that_is_there(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, value: Any) -> Any:
        return value

    def waits(ctx: task.OrchestrationContext, value: Any) -> Any:
        return [value, (yield ctx.wait_for_external_event("go"))]

    def starter(ctx: entities.EntityContext, input: Any) -> None:
        ctx.schedule_new_orchestration(input[0], input[1], input[2])

    caller = calling(
        ("begin", ["flow", "second", "done"]),
        ("begin", ["waits", "second", "running"]),
        id=EntityId("starter", "a"),
    )
    caller.__name__ = "caller"
    stage.worker([flow, waits, caller], [], [starter])
    stage.run(flow, "first", id="done")
    stage.start(waits, "first", id="running")
    stage.until_status("RUNNING", "running")
    stage.run(caller)
    replaced = stage.until(
        lambda: stage.client.get_orchestration_state("done").get_input() == "second", 3
    )
    stage.pause(0.1)
    stage.client.raise_orchestration_event("running", "go", data=1)
    return [replaced, stage.finish("running")]


@scenario
def delayed_signals(stage: Stage) -> Any:
    def log(ctx: entities.EntityContext, input: Any) -> None:
        ctx.set_state([*ctx.get_state(list, []), input])

    id = EntityId("log", "a")
    stage.worker([], [], [log])
    begun = datetime.now(UTC)
    later = begun + timedelta(seconds=1.5)
    stage.client.signal_entity(id, "append", "late", later)
    stage.client.signal_entity(id, "append", "early")
    stage.until(lambda: len(stage.state_of(id) or []) == 2)
    return [stage.state_of(id), datetime.now(UTC) >= later]


@scenario
def delayed_signal_of_an_orchestration(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        due = ctx.current_utc_datetime + timedelta(seconds=1.5)
        ctx.signal_entity(COUNTER, "add", 5, signal_time=due)
        early = yield ctx.call_entity(COUNTER, "get")
        yield ctx.create_timer(timedelta(seconds=2.2))
        return [early, (yield ctx.call_entity(COUNTER, "get"))]

    stage.worker([flow], [], [counter])
    return stage.run(flow)


@scenario
def signal_as_the_last_act(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, fails: bool) -> Any:
        ctx.signal_entity(COUNTER, "add", 1)
        if fails:
            raise ValueError("wrong")
        return "done"

    stage.worker([flow], [], [counter])
    outcomes = [stage.run(flow, fails, id=str(fails))["status"] for fails in (False, True)]
    return [outcomes, stage.until(lambda: stage.state_of(COUNTER) == 2, 3)]


@scenario
def calls_at_once_of_several_entities(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        ids = [EntityId("counter", f"c{number}") for number in range(5)]
        yield task.when_all([ctx.call_entity(id, "add", n) for n, id in enumerate(ids)])
        return (yield task.when_all([ctx.call_entity(id, "get") for id in ids]))

    stage.worker([flow], [], [counter])
    return stage.run(flow)


@scenario
def call_against_a_timer(stage: Stage) -> Any:
    def slow(ctx: entities.EntityContext, input: Any) -> str:
        stage.pause(1.0)
        return "slow"

    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        call = ctx.call_entity(EntityId("slow", "a"), "go")
        timer = ctx.create_timer(timedelta(milliseconds=100))
        winner = yield task.when_any([call, timer])
        first = "timer" if winner == timer else "call"
        return [first, (yield call)]

    stage.worker([flow], [], [slow])
    return stage.run(flow)


@scenario
def typed_results(stage: Stage) -> Any:
    def cart(ctx: entities.EntityContext, input: Cart) -> Any:
        return [type(input).__name__, len(input.items)] if ctx.operation == "see" else Cart(["pen"])

    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        id = EntityId("cart", "a")
        seen = yield ctx.call_entity(id, "see", Cart(["a", "b"]))
        typed = yield ctx.call_entity(id, "get", Cart([]), return_type=Cart)
        return [seen, type(typed).__name__]

    stage.worker([flow], [], [cart])
    return stage.run(flow)


@scenario
def by_an_async_client(stage: Stage) -> Any:
    stage.worker([], [], [counter])

    async def act() -> Any:
        async with stage.async_client() as it:
            await it.signal_entity(COUNTER, "add", input=3)
            found = await it.get_entity(COUNTER)
            while found is None or found.get_typed_state() is None:
                await asyncio.sleep(0.01)
                found = await it.get_entity(COUNTER)
            listed = await it.get_all_entities(client.EntityQuery())
            return [found.get_typed_state(), [str(one.id) for one in listed]]

    return asyncio.run(act())
