"""The documented blocks as they stand, on all stores, in virtual time: what they do, and what they must not."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from tests.integration.worlds import World, elapsed

from durable_async import EntityId, Status
from durable_async.testing import VirtualEnvironment, virtual_time
from durable_async.testing.clock import EPOCH_US

from .documented import Program, documented

CALLS: Counter[str] = Counter()
START = datetime.fromtimestamp(EPOCH_US / 1e6, UTC).replace(tzinfo=None)


@pytest.fixture(autouse=True)
def _nothing_called() -> None:
    CALLS.clear()


def noted(name: str, result: Any = None) -> Any:
    """Return an activity that the blocks use and do not define."""

    def activity(ctx: Any, value: Any) -> Any:
        CALLS[name] += 1
        return result(value) if callable(result) else result

    activity.__name__ = name
    return activity


def test_every_block_is_executed_by_a_test() -> None:
    held = {heading: len(found) for heading, found in documented().items()}
    assert held == {
        "Function Chaining": 1,
        "Fan-Out/Fan-In": 1,
        "Batched Fan-Out (Large Scale)": 1,
        "Human Interaction": 2,
        "Durable Timers": 1,
        "Scheduled Execution": 1,
        "Sub-Orchestrations": 1,
        "Function-Based Entity": 1,
        "Class-Based Entity": 1,
        "Using Entities from Orchestrations": 1,
        "Using Entities from Client": 1,
        "Entity Locking": 1,
        "Eternal Orchestrations (Continue-As-New)": 1,
        "Monitoring Pattern": 1,
        "Setting Version When Scheduling": 1,
        "Version Comparison Helper": 1,
        "Versioned Orchestration Example": 1,
    }


@virtual_time
async def test_function_chaining(env: VirtualEnvironment, world: World) -> None:
    program = Program()
    program.execute("Function Chaining")
    async with program.running(world, env) as running:
        outcome = await running.outcome("chained_workflow")
    assert outcome == ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]


@virtual_time
async def test_fan_out_and_in(env: VirtualEnvironment, world: World) -> None:
    program = Program()
    program.execute("Fan-Out/Fan-In")
    async with program.running(world, env) as running:
        outcome = await running.outcome("fanout_fanin_workflow")
    assert 2 <= len(outcome["work_items"]) == len(outcome["results"]) <= 10
    assert outcome["total"] == sum(outcome["results"])


@virtual_time
async def test_batched_fan_out(env: VirtualEnvironment, world: World) -> None:
    items = [f"work item {number}" for number in range(23)]
    program = Program(
        get_work_items=noted("get_work_items", lambda _: items),
        process_work_item=noted("process_work_item", lambda item: int(item.split()[-1])),
    )
    program.execute("Batched Fan-Out (Large Scale)")
    program.register(
        orchestrators=("batched_fanout_workflow",),
        activities=("get_work_items", "process_work_item"),
    )
    async with program.running(world, env) as running:
        outcome = await running.outcome("batched_fanout_workflow")
    assert outcome == {"total": sum(range(23))}
    assert CALLS["process_work_item"] == 23


def purchase() -> Program:
    program = Program()
    program.execute("Human Interaction")
    program.names["place_order"] = noted("place_order", "placed")
    program.register(
        orchestrators=("purchase_order_workflow",),
        activities=("send_approval_request", "place_order"),
    )
    return program


@virtual_time
async def test_small_orders_are_approved_at_once(env: VirtualEnvironment, world: World) -> None:
    program = purchase()
    order = program.names["Order"](cost=999.99, product="pen", quantity=1)
    async with program.running(world, env) as running:
        outcome = await running.outcome("purchase_order_workflow", order)
    assert outcome == "Auto-approved"
    assert elapsed(env) < 1


@virtual_time
async def test_nobody_approves_in_a_day(env: VirtualEnvironment, world: World) -> None:
    program = purchase()
    order = program.names["Order"](cost=1000, product="desk", quantity=2)
    async with program.running(world, env) as running:
        outcome = await running.outcome("purchase_order_workflow", order)
    assert outcome == "Canceled - approval timeout"
    assert 86_400 <= elapsed(env) < 86_410
    assert CALLS["place_order"] == 0


APPROVALS = {
    "namedtuple": lambda names: names["approval_data"],
    "dict": lambda names: {"approver": "manager@company.com"},
    "namespace": lambda names: SimpleNamespace(approver="manager@company.com"),
}


@pytest.mark.parametrize("kind", APPROVALS)
@pytest.mark.parametrize("event", ["approval_received", "APPROVAL_received"])
@virtual_time
async def test_somebody_approves(
    env: VirtualEnvironment, world: World, kind: str, event: str
) -> None:
    program = purchase()
    raised: list[Any] = []
    client = SimpleNamespace(
        raise_orchestration_event=lambda *given, data: raised.append((*given, data))
    )
    program.names |= {"client": client, "instance_id": "the-order"}
    program.execute("Human Interaction", 1)
    assert raised == [("the-order", "approval_received", program.names["approval_data"])]
    order = program.names["Order"](cost=2000, product="desk", quantity=2)
    async with program.running(world, env) as running:
        instance_id = await running.start("purchase_order_workflow", order)
        await anyio.sleep(3600)
        await running.raise_event(instance_id, event, APPROVALS[kind](program.names))
        state = await running.ended(instance_id)
    assert running.output(state) == "Approved by 'manager@company.com'"
    assert CALLS["place_order"] == 1


@virtual_time
async def test_durable_timers(env: VirtualEnvironment, world: World) -> None:
    program = Program(
        start_activity=noted("start_activity"), continue_activity=noted("continue_activity")
    )
    program.execute("Durable Timers")
    program.register(
        orchestrators=("delayed_workflow",), activities=("start_activity", "continue_activity")
    )
    async with program.running(world, env) as running:
        outcome = await running.outcome("delayed_workflow")
    assert outcome == "Done"
    assert 300 <= elapsed(env) < 301
    assert CALLS == {"start_activity": 1, "continue_activity": 1}


@pytest.mark.parametrize("aware", [False, True], ids=["naive", "aware"])
@pytest.mark.parametrize("hours", [2, -2])
@virtual_time
async def test_scheduled_execution(
    env: VirtualEnvironment, world: World, hours: int, aware: bool
) -> None:
    program = Program(scheduled_activity=noted("scheduled_activity", "did it"))
    program.execute("Scheduled Execution")
    program.register(orchestrators=("scheduled_workflow",), activities=("scheduled_activity",))
    moment = START + timedelta(hours=hours)
    if aware:
        moment = moment.replace(tzinfo=UTC)
    async with program.running(world, env) as running:
        outcome = await running.outcome("scheduled_workflow", moment)
    assert outcome == "did it"
    expected = max(hours, 0) * 3600
    assert expected <= elapsed(env) < expected + 1


@virtual_time
async def test_sub_orchestrations(env: VirtualEnvironment, world: World) -> None:
    program = Program(
        activity_a=noted("activity_a", lambda data: f"{data}-a"),
        activity_b=noted("activity_b", lambda data: f"{data}-b"),
    )
    program.execute("Sub-Orchestrations")
    async with program.running(world, env) as running:
        assert await running.outcome("parent_orchestration", ["x", "y"]) == ["x-a-b", "y-a-b"]
        assert await running.outcome("parent_orchestration", []) == []


@pytest.mark.parametrize("heading", ["Function-Based Entity", "Class-Based Entity"])
@virtual_time
async def test_entities(env: VirtualEnvironment, world: World, heading: str) -> None:
    program = Program()
    program.execute(heading)
    program.execute("Using Entities from Orchestrations")
    entity = "counter" if heading.startswith("Function") else "Counter"
    program.register(orchestrators=("workflow_with_entity",), entities=(entity,))
    async with program.running(world, env) as running:
        assert await running.outcome("workflow_with_entity") == "Counter value: 5"
        assert await running.outcome("workflow_with_entity") == "Counter value: 10"


ACCOUNT = """
def account(ctx, amount):
    balance = ctx.get_state(int, 0)
    if ctx.operation == "withdraw":
        ctx.set_state(balance - amount)
    elif ctx.operation == "deposit":
        ctx.set_state(balance + amount)
    return ctx.get_state(int, 0)
"""


@virtual_time
async def test_entity_locking(env: VirtualEnvironment, world: World) -> None:
    program = Program()
    exec(ACCOUNT, program.names)
    program.execute("Entity Locking")
    program.register(orchestrators=("workflow_with_locks",), entities=("account",))
    async with program.running(world, env) as running:
        ids = [await running.start("workflow_with_locks") for _ in range(3)]
        for instance_id in ids:
            assert running.output(await running.ended(instance_id)) == "Transfer complete"
        balances = [
            await running.hub.client.call_entity(EntityId("account", key), "get_balance")
            for key in ("account-1", "account-2")
        ]
    assert balances == ["-300", "300"]


@virtual_time
async def test_eternal_orchestrations(env: VirtualEnvironment, world: World) -> None:
    seen: list[int] = []
    started: list[Any] = []
    client = SimpleNamespace(
        schedule_new_orchestration=lambda orchestrator, input: started.append(
            (orchestrator.__name__, input)
        )
    )
    program = Program(periodic_work=noted("periodic_work", seen.append), client=client)
    program.execute("Eternal Orchestrations (Continue-As-New)")
    program.register(orchestrators=("eternal_orchestration",), activities=("periodic_work",))
    assert started == [("eternal_orchestration", 0)]
    async with program.running(world, env) as running:
        instance_id = await running.start(*started[0])
        await anyio.sleep(5 * 300 + 150)
        state = await running.hub.client.get(instance_id)
        history = await running.hub.client.history(instance_id)
    assert seen == [0, 1, 2, 3, 4, 5]
    assert state is not None
    assert (state.status, state.input()) == (Status.RUNNING, "5")
    assert len(history) < 10


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (["running", "running", "completed"], {"status": "success", "attempts": 3}),
        (["running", "failed"], {"status": "failed", "attempts": 2}),
        (["running"] * 10, {"status": "timeout", "attempts": 10}),
    ],
)
@virtual_time
async def test_monitoring(
    env: VirtualEnvironment, world: World, statuses: list[str], expected: dict[str, Any]
) -> None:
    answers = iter(statuses)
    program = Program(check_job_status=noted("check_job_status", lambda job: next(answers)))
    program.execute("Monitoring Pattern")
    program.register(orchestrators=("monitoring_workflow",), activities=("check_job_status",))
    async with program.running(world, env) as running:
        outcome = await running.outcome("monitoring_workflow", "job")
    assert outcome == expected
    polls = len(statuses)
    waits = polls if expected["status"] == "timeout" else polls - 1
    assert waits * 30 <= elapsed(env) < waits * 30 + 1


@pytest.mark.parametrize(
    ("version", "says_goodbye"),
    [
        (None, False),
        ("", False),
        ("1.0.0", False),
        ("1.10", False),
        ("2.0.0rc1", False),
        ("2.0.0", True),
        ("10.0.0", True),
        ("v2", True),
        ("abc", True),
    ],
)
@virtual_time
async def test_versions(
    env: VirtualEnvironment, world: World, version: str | None, says_goodbye: bool
) -> None:
    program = Program(
        say_hello=noted("say_hello", lambda name: f"Hello {name}"),
        say_goodbye=noted("say_goodbye", lambda name: f"Goodbye {name}"),
    )
    program.execute("Version Comparison Helper")
    program.execute("Versioned Orchestration Example")
    program.register(
        orchestrators=("versioned_orchestration",), activities=("say_hello", "say_goodbye")
    )
    async with program.running(world, env) as running:
        outcome = await running.outcome("versioned_orchestration", "data", version=version)
    results = ["Hello data", "Goodbye data"] if says_goodbye else ["Hello data"]
    assert outcome == {"version": version or None, "results": results}
