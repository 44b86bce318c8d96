"""The same numbers for Prometheus and OpenTelemetry; labels that nobody outside can choose; payloads in none."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry, generate_latest

from durable_async import (
    ConfigurationError,
    EntityContext,
    Fallback,
    OrchestrationContext,
    Registry,
    TaskHub,
)
from durable_async.integrations.opentelemetry import OpenTelemetry
from durable_async.integrations.prometheus import Prometheus, prometheus_name
from durable_async.telemetry import InstanceParked, InstancesPurged, LeaseLost, TicksMissed
from durable_async.telemetry.metering import METRICS
from durable_async.testing import VirtualEnvironment, run_virtual, virtual_time

HOSTILE = '<script>alert("\N{RIGHT-TO-LEFT OVERRIDE}")</script>../%00\N{GRINNING FACE}' + "x" * 100
CANARY = "canary-4711"

registry = Registry()


@registry.activity
async def echo(text: str) -> str:
    await anyio.sleep(2)
    return text


@registry.entity
def keeper(ctx: EntityContext, text: str) -> None:
    ctx.set_state(text)


@registry.orchestrator
async def copying(ctx: OrchestrationContext, text: str) -> str:
    await ctx.create_timer(60)
    await ctx.call_entity(keeper.entity_id("k"), "put", text)
    return await ctx.call_activity(echo, text)


async def work(env: VirtualEnvironment, telemetry: Any) -> None:
    async with TaskHub.open(
        "memory://", registry=registry, environment=env, telemetry=telemetry
    ) as hub:
        async with hub.worker(activities_max=7):
            handle = await hub.client.start(copying, CANARY)
            assert await handle.wait() == CANARY
            assert hub.signals is not None
            assert hub.signals.instances_purged is not None
            assert hub.signals.ticks_missed is not None
            assert hub.signals.lease_lost is not None
            hub.signals.instances_purged(InstancesPurged(hub=hub.name, count=3))
            hub.signals.ticks_missed(TicksMissed(hub=hub.name, schedule_id=HOSTILE, count=2))
            hub.signals.lease_lost(LeaseLost(hub=hub.name, worker_id="w"))
            assert hub.signals.instance_parked is not None
            hub.signals.instance_parked(
                InstanceParked(hub=hub.name, worker_id="w", instance_id=HOSTILE, kind="entity")
            )
            await hub.statistics()


EXPECTED = {
    ("client.calls", ("default", "start", "completed")): 1,
    ("orchestrations.started", ("default", "copying")): 1,
    ("orchestrations.ended", ("default", "copying", "completed")): 1,
    ("orchestration.duration", ("default", "copying", "completed")): 1,
    ("orchestration.start.delay", ("default", "copying")): 1,
    ("turn.duration", ("default", "copying")): 4,
    ("timers.fired", ("default",)): 1,
    ("activity.attempts", ("default", "echo", "completed")): 1,
    ("activity.duration", ("default", "echo", "completed")): 1,
    ("entity.operation.duration", ("default", "keeper", "completed")): 1,
    ("instances.purged", ("default",)): 3,
    ("schedule.ticks.missed", ("default",)): 2,
    ("leases.lost", ("default",)): 1,
    ("instances.parked", ("default", "entity")): 1,
    ("hub.workers", ("default",)): 1,
}
"""Totals, how many observations there were, and what a gauge was."""


def test_prometheus() -> None:
    known = CollectorRegistry()

    async def run(env: VirtualEnvironment) -> None:
        await work(env, Prometheus(known))

    run_virtual(run)
    for (name, values), count in EXPECTED.items():
        metric = next(one for one in METRICS if one.name == name)
        labels = dict(zip(metric.labels, values, strict=True))
        suffix = "_count" if metric.kind == "histogram" else ""
        assert known.get_sample_value(prometheus_name(metric) + suffix, labels) == count, name
    seconds = known.get_sample_value(
        "durable_async_activity_duration_seconds_sum",
        {"hub": "default", "name": "echo", "outcome": "completed"},
    )
    assert seconds == pytest.approx(2)
    text = generate_latest(known).decode()
    assert CANARY not in text
    assert HOSTILE not in text


def test_opentelemetry() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)

    async def run(env: VirtualEnvironment) -> None:
        await work(env, OpenTelemetry(meter_provider=provider, spans=False))

    run_virtual(run)
    found: dict[tuple[str, tuple[str, ...]], Any] = {}
    data = reader.get_metrics_data()
    assert data is not None
    for scope in data.resource_metrics[0].scope_metrics:
        for metric in scope.metrics:
            for point in metric.data.data_points:
                labels = tuple(str(value) for value in (point.attributes or {}).values())
                value: Any = point
                name = metric.name.removeprefix("durable_async.")
                found[name, labels] = getattr(value, "count", getattr(value, "value", None))
    assert {key: found.get(key) for key in EXPECTED} == EXPECTED
    assert CANARY not in str(data)
    assert HOSTILE not in str(data)
    provider.shutdown()


@virtual_time
async def test_gauges_are_what_is_now(env: VirtualEnvironment) -> None:
    known = CollectorRegistry()
    hub = {"hub": "default"}
    async with TaskHub.open(
        "memory://", registry=registry, environment=env, telemetry=Prometheus(known)
    ) as opened:
        assert known.get_sample_value("durable_async_workers", hub) is None
        async with opened.worker(activities_max=7), opened.worker(activities_max=5):
            assert known.get_sample_value("durable_async_workers", hub) == 2
            assert known.get_sample_value("durable_async_worker_activities_free", hub) == 12
            handle = await opened.client.start(copying, "x")
            await anyio.sleep(61)
            assert known.get_sample_value("durable_async_worker_activities", hub) == 1
            assert known.get_sample_value("durable_async_worker_activities_free", hub) == 11
            assert known.get_sample_value("durable_async_worker_instances", hub) == 2
            await handle.wait()
        assert known.get_sample_value("durable_async_workers", hub) is None


@virtual_time
async def test_what_the_hub_holds_is_what_was_last_asked(env: VirtualEnvironment) -> None:
    known = CollectorRegistry()
    pending = {"hub": "default", "status": "pending"}
    async with TaskHub.open(
        "memory://", registry=registry, environment=env, telemetry=Prometheus(known)
    ) as hub:
        await hub.client.start(copying, "x")
        assert known.get_sample_value("durable_async_hub_orchestrations", pending) is None
        await hub.statistics()
        assert known.get_sample_value("durable_async_hub_orchestrations", pending) == 1
        assert known.get_sample_value("durable_async_hub_parked", {"hub": "default"}) == 0
        assert known.get_sample_value("durable_async_hub_workers", {"hub": "default"}) == 0


@virtual_time
async def test_names_that_callers_make_up_are_one_label(env: VirtualEnvironment) -> None:
    known = CollectorRegistry()
    lenient = Registry(fallback=Everything())
    async with TaskHub.open(
        "memory://", registry=lenient, environment=env, telemetry=Prometheus(known)
    ) as hub:
        async with hub.worker():
            for number in range(20):
                await (await hub.client.start(f"made-up-{number}", None)).wait()
            await (await hub.client.start(HOSTILE, None)).wait()
    labels = {"hub": "default", "name": "other", "status": "completed"}
    assert known.get_sample_value("durable_async_orchestrations_ended_total", labels) == 21
    text = generate_latest(known).decode()
    assert "made-up" not in text
    assert "script" not in text


@Registry().orchestrator
async def anything(ctx: OrchestrationContext, input: Any = None) -> None:
    """Stands in for whatever is asked for."""


class Everything(Fallback):
    def orchestrator(self, name: str) -> Any:
        return anything


def test_one_registry_takes_one() -> None:
    known = CollectorRegistry()
    Prometheus(known)
    with pytest.raises(ConfigurationError, match="give all hubs the same one"):
        Prometheus(known)
