"""Who appears in several scenarios: the counter, the account, and an orchestrator that calls an entity."""

from __future__ import annotations

from typing import Any

from durabletask import entities, task

from .stage import Stage, told

EntityId = entities.EntityInstanceId
COUNTER = EntityId("counter", "mine")


def counter(ctx: entities.EntityContext, input: int) -> Any:
    state = ctx.get_state(int, 0)
    if ctx.operation == "add":
        ctx.set_state(state + input)
    elif ctx.operation == "subtract":
        ctx.set_state(state - input)
    elif ctx.operation == "get":
        return state
    elif ctx.operation == "reset":
        ctx.set_state(0)


def calling(*operations: Any, id: EntityId = COUNTER) -> Any:
    """Return an orchestrator that calls operations one after the other and returns their results or failures."""

    def flow(ctx: task.OrchestrationContext, _: Any) -> Any:
        answers = []
        for operation in operations:
            name, *input = operation if isinstance(operation, tuple) else (operation,)
            try:
                answers.append((yield ctx.call_entity(id, name, *input)))
            except task.TaskFailedError as error:
                answers.append(told(error.details))
        return answers

    return flow


def called(stage: Stage, entity: Any, *operations: Any, id: EntityId = COUNTER) -> Any:
    flow = calling(*operations, id=id)
    stage.worker([flow], [], [entity])
    return stage.run(flow)


class Account(entities.DurableEntity):
    def deposit(self, amount: int) -> int:
        if amount < 0:
            raise ValueError("a deposit is not negative")
        self.set_state(self.get_state(int, 0) + amount)
        return self.get_state(int, 0)

    def optional(self, amount: int = 7) -> int:
        return amount

    def nothing(self) -> str:
        return "nothing"

    balance = 5


ACCOUNT = EntityId("account", "a")
