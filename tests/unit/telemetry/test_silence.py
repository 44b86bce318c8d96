"""Where nobody listens, nothing is made to be told: counted, not timed."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import anyio
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import durable_async
from durable_async import EntityContext, OrchestrationContext, Registry, TaskHub
from durable_async.integrations.opentelemetry import OpenTelemetry
from durable_async.testing import VirtualEnvironment, run_virtual

PACKAGE = Path(durable_async.__file__).parent
STEPS = 20
CALLS_MAX = 80

registry = Registry()


@registry.activity
async def step(number: int) -> int:
    return number


@registry.entity
def counter(ctx: EntityContext, amount: int) -> None:
    ctx.set_state(ctx.get_state(int, 0) + amount)


@registry.orchestrator
async def child(ctx: OrchestrationContext) -> None:
    await ctx.create_timer(1)


@registry.orchestrator
async def steps(ctx: OrchestrationContext, count: int) -> None:
    for number in range(count):
        await ctx.call_activity(step, number)


@registry.orchestrator
async def everything(ctx: OrchestrationContext) -> None:
    await ctx.call_sub_orchestrator(child)
    ctx.signal_entity(counter.entity_id("a"), "add", 1)
    await ctx.call_entity(counter.entity_id("a"), "add", 1)
    await ctx.call_activity(step, 1)


async def work(env: VirtualEnvironment, telemetry: Any, orchestrator: Any, *input: Any) -> None:
    async with TaskHub.open(
        "memory://", registry=registry, environment=env, telemetry=telemetry
    ) as hub:
        async with hub.worker():
            handle = await hub.client.start(orchestrator, *input)
            await handle.wait()
            await hub.client.raise_event(handle, "late")
            await hub.client.signal_entity(counter.entity_id("a"), "add", 1)
            await hub.client.call_entity(counter.entity_id("a"), "add", 1)
            await anyio.sleep(5)


def calls(telemetry: Any, orchestrator: Any, *input: Any) -> Counter[str]:
    """Return how often Python functions were called, by their files."""
    counted: Counter[str] = Counter()

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            counted[frame.f_code.co_filename] += 1

    async def run(env: VirtualEnvironment) -> None:
        sys.setprofile(note)
        try:
            await work(env, telemetry, orchestrator, *input)
        finally:
            sys.setprofile(None)

    run_virtual(run, seed=1)
    return counted


def of(counted: Counter[str], *places: str) -> int:
    roots = tuple(str(PACKAGE / place) for place in places)
    return sum(count for file, count in counted.items() if file.startswith(roots))


TELLING = ("telemetry", "worker/_telling.py", "worker/_memos.py", "client/_telling.py")


def test_without_listeners_nothing_is_told() -> None:
    counted = calls(None, everything)
    assert sum(counted.values()) > 1_000
    # `signals_for`, which says that nobody listens, and `enter_worker`, for the log.
    assert of(counted, *TELLING) == 2


def test_what_is_not_sampled_costs_a_few_calls_a_step() -> None:
    """Linear in the steps: looking at a flag, and putting the unsampled span around what the activity's code may write."""
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    telemetry = OpenTelemetry(tracer_provider=provider, metrics=False)
    calls(telemetry, steps, 1)  # what is done once in a process
    spent = [
        sum(calls(telemetry, steps, count).values()) - sum(calls(None, steps, count).values())
        for count in (STEPS, 2 * STEPS, 3 * STEPS)
    ]
    a_step = (spent[1] - spent[0]) / STEPS
    assert a_step == pytest.approx((spent[2] - spent[1]) / STEPS, abs=1)
    assert a_step <= CALLS_MAX
