"""The state of entities: what is kept, what a failure takes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from durabletask import entities, task

from .book import scenario
from .cast import ACCOUNT, COUNTER, Account, EntityId, called, counter
from .stage import Stage, told


@scenario
def falsy_states(stage: Stage) -> Any:
    def box(ctx: entities.EntityContext, input: Any) -> Any:
        if ctx.operation == "put":
            ctx.set_state(input)
        return ctx.get_state(None, "default")

    answers = []
    flow_input = [0, "", False, [], {}]

    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        for number, value in enumerate(flow_input):
            id = EntityId("box", f"b{number}")
            before = yield ctx.call_entity(id, "get")
            yield ctx.call_entity(id, "put", value)
            answers.append([before, (yield ctx.call_entity(id, "get"))])
        return answers[-len(flow_input) :]

    stage.worker([flow], [], [box])
    return stage.run(flow)["output"]


@scenario
def state_set_to_nothing(stage: Stage) -> Any:
    def box(ctx: entities.EntityContext, input: Any) -> Any:
        if ctx.operation == "put":
            ctx.set_state(input)
        return ctx.get_state(None, "default")

    id = EntityId("box", "a")
    outcome = called(stage, box, ("put", 5), ("put", None), "get", id=id)
    return [outcome, stage.state_of(id)]


@scenario
def changes_of_a_state_need_to_be_set(stage: Stage) -> Any:
    def bag(ctx: entities.EntityContext, input: Any) -> Any:
        items = ctx.get_state(list, [])
        items.append(input)
        if ctx.operation == "keep":
            ctx.set_state(items)
        return ctx.get_state(list, [])

    operations = [("keep", 1), ("drop", 2), ("keep", 3)]
    return called(stage, bag, *operations, id=EntityId("bag", "a"))


@dataclass
class Cart:
    items: list[str]
    closed: bool = False


@scenario
def typed_state(stage: Stage) -> Any:
    def cart(ctx: entities.EntityContext, input: Any) -> Any:
        state = ctx.get_state(Cart, Cart([]))
        if ctx.operation == "add":
            ctx.set_state(Cart([*state.items, input]))
        return type(state).__name__

    id = EntityId("cart", "a")
    outcome = called(stage, cart, ("add", "pen"), ("add", "ink"), "look", id=id)
    metadata = stage.client.get_entity(id)
    return [outcome, type(metadata.get_typed_state(Cart)).__name__, metadata.get_typed_state()]


@scenario
def state_of_another_type(stage: Stage) -> Any:
    def box(ctx: entities.EntityContext, input: Any) -> Any:
        if ctx.operation == "put":
            ctx.set_state("text")
            return None
        return ctx.get_state(int)

    outcome = called(stage, box, "put", "get", id=EntityId("box", "a"))
    last = outcome["output"][1]
    return last["inner"]["type"] if isinstance(last, dict) else last


@scenario
def state_that_cannot_be_written(stage: Stage) -> Any:
    def box(ctx: entities.EntityContext, input: Any) -> Any:
        if ctx.operation == "bad":
            ctx.set_state(object())
        elif ctx.operation == "put":
            ctx.set_state(input)
        return ctx.get_state()

    outcome = called(stage, box, ("put", 5), "bad", "get", id=EntityId("box", "a"))
    first, second, third = outcome["output"]
    return [first, second["inner"]["type"], third]


# ---------------------------------------------------------------- failures


@scenario
def failure_is_caught(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        try:
            yield ctx.call_entity(ACCOUNT, "deposit", -5)
        except task.TaskFailedError as error:
            return [str(error), told(error.details), error.details.is_caused_by(ValueError)]

    stage.worker([flow], [], [Account])
    return stage.run(flow)


@scenario
def failure_is_not_caught(stage: Stage) -> Any:
    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        yield ctx.call_entity(ACCOUNT, "deposit", -5)

    stage.worker([flow], [], [Account])
    return stage.run(flow)


@scenario
def failure_rolls_its_operation_back(stage: Stage) -> Any:
    def box(ctx: entities.EntityContext, input: Any) -> Any:
        if ctx.operation == "put":
            ctx.set_state(input)
        elif ctx.operation == "break":
            ctx.set_state("changed")
            ctx.signal_entity(EntityId("box", "other"), "put", "from the broken")
            raise ValueError("broken")
        return ctx.get_state()

    id = EntityId("box", "a")
    outcome = called(stage, box, ("put", 5), "break", "get", id=id)
    stage.pause(0.2)
    return [
        [one if not isinstance(one, dict) else one["message"] for one in outcome["output"]],
        stage.state_of(id),
        stage.state_of(EntityId("box", "other")),
    ]


@scenario
def failed_signal_does_not_stop_the_others(stage: Stage) -> Any:
    stage.client.signal_entity(COUNTER, "add", input=1)
    stage.client.signal_entity(COUNTER, "add", input="not a number")
    stage.client.signal_entity(COUNTER, "add", input=2)
    stage.worker([], [], [counter])
    return stage.until(lambda: stage.state_of(COUNTER) == 3)


@scenario
def failures_do_not_leave_a_state(stage: Stage) -> Any:
    outcome = called(stage, Account, ("deposit", -5), id=ACCOUNT)
    return [outcome["output"][0]["inner"], stage.state_of(ACCOUNT)]
