"""What is logged says whose it is."""

from __future__ import annotations

import json
import logging
from typing import Any

import anyio
import pytest

from durable_async import OrchestrationContext, Registry, TaskHub
from durable_async.telemetry.logs import WorkerFacts, about
from durable_async.testing import VirtualEnvironment, virtual_time

FACTS = ("hub", "worker_id", "instance_id", "execution")

own = logging.getLogger("shop")
registry = Registry()


@registry.activity
async def speak() -> None:
    own.warning("from the activity")


@registry.orchestrator
async def speaking(ctx: OrchestrationContext) -> None:
    ctx.logger(own).warning("begins")
    await ctx.call_activity(speak)
    ctx.logger(own).warning("ends")


@registry.orchestrator
async def wrong(ctx: OrchestrationContext) -> None:
    await ctx.create_timer(1)
    await anyio.Event().wait()  # for ever: it is parked


def facts_of(records: list[logging.LogRecord], message: str) -> list[dict[str, Any]]:
    return [
        {name: getattr(record, name) for name in FACTS if hasattr(record, name)}
        for record in records
        if message in record.getMessage()
    ]


@virtual_time
async def test_records_of_the_engine(
    env: VirtualEnvironment, caplog: pytest.LogCaptureFixture
) -> None:
    async with TaskHub.open("memory://", hub="shop", registry=registry, environment=env) as hub:
        async with hub.worker() as worker:
            worker_id = worker.worker_id
            await hub.client.start(wrong, instance_id="i")
            await anyio.sleep(100)
    whose = {"hub": "shop", "worker_id": worker_id, "instance_id": "i", "execution": 1}
    assert facts_of(caplog.records, "is parked") == [whose]
    tried = facts_of(caplog.records, "is tried again")
    assert tried
    assert all(one == whose for one in tried)


@virtual_time
async def test_records_of_the_codes_own(
    env: VirtualEnvironment, caplog: pytest.LogCaptureFixture
) -> None:
    facts = WorkerFacts()
    caplog.handler.addFilter(facts)
    try:
        async with TaskHub.open("memory://", registry=registry, environment=env) as hub:
            async with hub.worker() as worker:
                worker_id = worker.worker_id
                await (await hub.client.start(speaking, instance_id="i")).wait()
            own.warning("outside")
    finally:
        caplog.handler.removeFilter(facts)
    where = {"hub": "default", "worker_id": worker_id}
    inside = {**where, "instance_id": "i", "execution": 1}
    assert facts_of(caplog.records, "begins") == [inside]  # once: the replay is silent
    assert facts_of(caplog.records, "ends") == [inside]
    assert facts_of(caplog.records, "from the activity") == [where]
    assert facts_of(caplog.records, "outside") == [{}]


def test_a_record_keeps_what_it_says_itself(caplog: pytest.LogCaptureFixture) -> None:
    hostile = '<script>"\N{RIGHT-TO-LEFT OVERRIDE}../%00'
    logging.getLogger("durable_async").warning("m", extra={**about(hostile, 2), "hub": "mine"})
    (record,) = caplog.records
    assert json.loads(json.dumps(record.__dict__["instance_id"])) == hostile
    assert facts_of([record], "m") == [{"hub": "mine", "instance_id": hostile, "execution": 2}]
    assert about("i") == {"instance_id": "i"}
