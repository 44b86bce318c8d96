"""Operations that block, as those of the SDK may: each ``def`` has a thread, however quick it is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from durabletask import task
from durabletask.client import TaskHubGrpcClient
from durabletask.entities import EntityContext, EntityInstanceId
from durabletask.worker import TaskHubGrpcWorker

TIMES = 10
A, B = EntityInstanceId("teller", "a"), EntityInstanceId("counter", "b")


def counter(ctx: EntityContext, input: Any) -> int:
    ctx.set_state(ctx.get_state(int, 0) + 1)
    return ctx.get_state(int, 0)


def call_often(ctx: task.OrchestrationContext, entity: str) -> Any:
    answers = []
    for _ in range(TIMES):
        answers.append((yield ctx.call_entity(EntityInstanceId.parse(entity), "any")))  # noqa: PERF401 - it yields
    return answers


def test_operations_use_the_blocking_client_and_loops_of_their_own(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'threads.db'}"

    async def nothing() -> str:
        await asyncio.sleep(0)
        return "done"

    with TaskHubGrpcClient(host_address=address) as client:

        def teller(ctx: EntityContext, input: Any) -> str:
            client.signal_entity(B, "count")
            return asyncio.run(nothing())

        with TaskHubGrpcWorker(host_address=address) as worker:
            worker.add_entity(teller)
            worker.add_entity(counter)
            worker.add_orchestrator(call_often)
            worker.start()
            for entity, expected in [(A, ["done"] * TIMES), (B, list(range(11, 21)))]:
                instance_id = client.schedule_new_orchestration(call_often, input=str(entity))
                state = client.wait_for_orchestration_completion(instance_id, timeout=60)
                assert state is not None
                state.raise_if_failed()
                assert state.get_output() == expected
