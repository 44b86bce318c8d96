"""Bank, the worker: accounts are entities, and a transfer holds the locks of both."""

from __future__ import annotations

import os
import sys

from durabletask import entities, task
from durabletask.worker import TaskHubGrpcWorker

ADDRESS = os.environ.get("DURABLE_TASK_ADDRESS", "localhost:4001")


class Account(entities.DurableEntity):
    """Money in whole cents. The balance is never negative."""

    def deposit(self, cents: int) -> int:
        self.set_state(self.get_state(int, 0) + cents)
        return self.get_state(int, 0)

    def withdraw(self, cents: int) -> int:
        balance = self.get_state(int, 0)
        if cents > balance:
            raise ValueError(f"{cents} is more than the {balance} that are there")
        self.set_state(balance - cents)
        return balance - cents

    def balance(self) -> int:
        return self.get_state(int, 0)


def transfer(ctx: task.OrchestrationContext, order: dict):
    source = entities.EntityInstanceId("account", order["source"])
    target = entities.EntityInstanceId("account", order["target"])
    with (yield ctx.lock_entities([source, target])):
        before = yield ctx.call_entity(source, "balance")
        try:
            yield ctx.call_entity(source, "withdraw", order["cents"])
        except task.TaskFailedError as error:
            return f"refused: {error.details.inner_failure.message}"
        yield ctx.call_entity(target, "deposit", order["cents"])
        after = yield ctx.call_entity(source, "balance")
    if before - after != order["cents"]:
        raise RuntimeError("somebody else was at the account")
    return "done"


def main() -> None:
    with TaskHubGrpcWorker(host_address=ADDRESS) as worker:
        worker.add_orchestrator(transfer)
        worker.add_entity(Account)
        worker.start()
        print("working", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
