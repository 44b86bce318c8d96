"""Traces in virtual time: what is one trace, what is written once, and what never gets into a span."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased

from durable_async import (
    EntityContext,
    OrchestrationContext,
    OrchestrationFailedError,
    Registry,
    RetryPolicy,
    TaskHub,
    when_any,
)
from durable_async.backends.memory import MemoryBackend
from durable_async.backends.memory.store import MemoryStore
from durable_async.integrations.opentelemetry import OpenTelemetry, TraceIds
from durable_async.serialization.events import decode_start
from durable_async.telemetry import Telemetry, TicksMissed, continue_trace
from durable_async.testing import VirtualEnvironment, run_virtual, virtual_time

from .tracing import CHECKOUT, Recorder, check_one_trace, checkout, counter, own, registry, tree

HEADER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@asynccontextmanager
async def opened(
    env: VirtualEnvironment, store: MemoryStore, telemetry: Any, runs: Registry = registry
) -> AsyncIterator[TaskHub]:
    backend = MemoryBackend(store, environment=env)
    async with TaskHub.open(backend, registry=runs, environment=env, telemetry=telemetry) as hub:
        yield hub


@virtual_time
async def test_one_trace_over_everything(env: VirtualEnvironment) -> None:
    recorder = Recorder()
    telemetry = OpenTelemetry(tracer_provider=recorder.provider)
    async with opened(env, MemoryStore(env), telemetry) as hub, hub.worker():
        handle = await hub.client.start(checkout, "book", instance_id="order-1")
        assert await handle.wait() == "BOOK for 5"
        await hub.client.call_entity(counter.entity_id("sales"), "value", 0)
    spans = [span for span in recorder.spans if "value" not in span.name]
    check_one_trace(spans)
    assert sorted(tree(spans)) == sorted(CHECKOUT)
    by_name = {span.name: span for span in spans}
    whole = by_name["orchestration:checkout"]
    assert whole.attributes == {
        "durable_async.type": "orchestration",
        "durable_async.task_hub": "default",
        "durable_async.worker_id": whole.attributes["durable_async.worker_id"],
        "durable_async.instance_id": "order-1",
        "durable_async.execution": 1,
        "durable_async.name": "checkout",
        "durable_async.status": "completed",
    }
    assert by_name["activity:charge"].attributes["durable_async.seq"] == 1
    assert by_name["activity:charge"].attributes["durable_async.attempt"] == 1
    timer = by_name["orchestration:checkout:timer"]
    assert timer.ended_ns - timer.begun_ns >= 60e9
    assert whole.ended_ns - whole.begun_ns >= 61e9


@virtual_time
async def test_a_replay_writes_nothing_again(env: VirtualEnvironment) -> None:
    """Each turn in another worker, which has to replay all before."""
    store, recorder = MemoryStore(env), Recorder()
    async with opened(env, store, None) as hub:
        client = hub.client
        async with opened(env, store, OpenTelemetry(tracer_provider=recorder.provider)) as asking:
            await asking.client.start(checkout, "book", instance_id="order-1")
        for _ in range(40):
            telemetry = OpenTelemetry(tracer_provider=recorder.provider)
            async with opened(env, store, telemetry) as other, other.worker():
                await anyio.sleep(7)
            state = await client.get("order-1")
            if state is not None and state.status.is_terminal:
                break
    check_one_trace(recorder.spans)
    assert sorted(tree(recorder.spans)) == sorted(CHECKOUT)


@virtual_time
async def test_an_incoming_request_is_the_parent(env: VirtualEnvironment) -> None:
    recorder = Recorder()
    telemetry = OpenTelemetry(tracer_provider=recorder.provider, roots=False)
    async with opened(env, MemoryStore(env), telemetry) as hub, hub.worker():
        with continue_trace(HEADER):
            handle = await hub.client.start(checkout, "book")
        await handle.wait()
        state = await handle.get()
        other = await (await hub.client.start(checkout, "untraced")).get()
    assert state is not None
    assert state.trace_id == HEADER[3:35]
    assert other is not None
    assert other.trace_id is None
    first = next(span for span in recorder.spans if span.name == "create_orchestration:checkout")
    assert f"00-{first.trace_id}-{first.parent_id}-01" == HEADER
    check_one_trace(recorder.spans)


@virtual_time
async def test_a_span_around_the_call_is_the_parent(env: VirtualEnvironment) -> None:
    recorder = Recorder()
    telemetry = OpenTelemetry(tracer_provider=recorder.provider, roots=False)
    async with opened(env, MemoryStore(env), telemetry) as hub, hub.worker():
        tracer = recorder.provider.get_tracer("web")
        with tracer.start_as_current_span("POST /orders"), continue_trace(HEADER):
            handle = await hub.client.start(checkout, "book")
        await handle.wait()
    check_one_trace(recorder.spans)
    assert tree(recorder.spans)[0] == "POST /orders"


@virtual_time
async def test_no_trace_is_begun_where_none_is_wanted(env: VirtualEnvironment) -> None:
    recorder = Recorder()
    telemetry = OpenTelemetry(tracer_provider=recorder.provider, roots=False)
    async with opened(env, MemoryStore(env), telemetry) as hub, hub.worker():
        assert await (await hub.client.start(checkout, "book")).wait() == "BOOK for 5"
    assert {span.name for span in recorder.spans} == {own}


@virtual_time
async def test_the_span_in_which_a_worker_is_started_is_nobodys_parent(
    env: VirtualEnvironment,
) -> None:
    recorder = Recorder()
    telemetry = OpenTelemetry(tracer_provider=recorder.provider, roots=False)
    with recorder.provider.get_tracer("web").start_as_current_span("startup"):
        opening = opened(env, MemoryStore(env), telemetry)
        hub = await opening.__aenter__()
        worker = hub.worker()
        await worker.__aenter__()
    await (await hub.client.start(checkout, "book")).wait()
    await worker.__aexit__(None, None, None)
    await opening.__aexit__(None, None, None)
    assert {span.name for span in recorder.spans} == {"startup", own}
    assert {span.parent_id for span in recorder.spans} == {None}


@pytest.mark.parametrize("sampler", [ALWAYS_OFF, ParentBased(TraceIdRatioBased(0))])
def test_what_is_not_sampled_is_not_written(sampler: Any) -> None:
    recorder = Recorder(sampler=sampler)
    seen: list[Any] = []
    runs = Registry()

    @runs.activity
    async def look() -> None:
        seen.append(trace.get_current_span().get_span_context())

    @runs.orchestrator
    async def looking(ctx: OrchestrationContext) -> None:
        await ctx.call_activity(look)

    @virtual_time
    async def test(env: VirtualEnvironment) -> None:
        telemetry = OpenTelemetry(tracer_provider=recorder.provider)
        async with opened(env, MemoryStore(env), telemetry, runs) as hub, hub.worker():
            await (await hub.client.start(looking)).wait()

    test()
    assert recorder.spans == []
    (around,) = seen  # what the code writes itself is not sampled either
    assert around.is_valid
    assert not around.trace_flags.sampled


@virtual_time
async def test_an_entity_that_wakes_itself_begins_a_trace_each_time(
    env: VirtualEnvironment,
) -> None:
    """And what it starts then belongs to that one, as the runs of a schedule do."""
    recorder, runs = Recorder(), Registry()

    @runs.entity
    def alarm(ctx: EntityContext, left: int) -> None:
        ctx.start_orchestration(ringing, instance_id=f"ring-{left}")
        if left:
            ctx.signal_entity(ctx.entity_id, "wake", left - 1, at=60)

    @runs.orchestrator
    async def ringing(ctx: OrchestrationContext) -> None:
        await ctx.create_timer(1)

    telemetry = OpenTelemetry(tracer_provider=recorder.provider, turns=False)
    async with opened(env, MemoryStore(env), telemetry, runs) as hub, hub.worker():
        await hub.client.signal_entity(alarm.entity_id("a"), "wake", 2)
        await anyio.sleep(180)
    whole = [
        "entity:alarm:wake",
        "  create_orchestration:ringing",
        "    orchestration:ringing",
        "      orchestration:ringing:timer",
    ]
    traces: dict[str, list[Any]] = {}
    for span in recorder.spans:
        traces.setdefault(span.trace_id, []).append(span)
    first, *later = (tree(spans) for spans in traces.values())
    assert first[0] == "signal_entity:alarm:wake"
    assert [line[2:] for line in first[1:] if "signal" not in line] == whole
    assert [[line for line in one if "signal" not in line] for one in later] == [whole, whole]


@virtual_time
async def test_runs_of_a_schedule_have_traces_of_their_own(env: VirtualEnvironment) -> None:
    store, recorder, missed = MemoryStore(env), Recorder(), list[TicksMissed]()

    class Missed(Telemetry):
        def ticks_missed(self, signal: TicksMissed) -> None:
            missed.append(signal)

    telemetry = [OpenTelemetry(tracer_provider=recorder.provider), Missed()]
    async with opened(env, store, telemetry) as hub, hub.worker():
        await hub.schedules.create("s", checkout, "book", every=600)
        await anyio.sleep(1_300)
    await anyio.sleep(1_800)
    async with opened(env, store, telemetry) as hub, hub.worker():
        await anyio.sleep(100)
    whole = [span for span in recorder.spans if span.name == "orchestration:checkout"]
    assert len({span.trace_id for span in whole}) == len(whole) == 3
    for run in whole:
        spans = [span for span in recorder.spans if span.trace_id == run.trace_id]
        check_one_trace(spans)
        first, *rest = tree(spans)
        assert first == "entity:durable_async.schedule:wake"
        assert sorted(line[2:] for line in rest) == sorted(CHECKOUT)
    assert missed == [TicksMissed(hub="default", schedule_id="s", count=2)]


@virtual_time
async def test_a_rewind_goes_on_in_the_same_trace(env: VirtualEnvironment) -> None:
    recorder, runs, ill = Recorder(), Registry(), [True]

    @runs.activity
    async def try_it() -> None:
        if ill:
            raise ValueError("ill")

    @runs.entity
    def keeper(ctx: EntityContext, text: str) -> None:
        if ill:
            raise ValueError("ill")

    @runs.orchestrator
    async def trying(ctx: OrchestrationContext, left: int) -> None:
        if left:
            ctx.continue_as_new(left - 1)
        await asyncio.gather(
            ctx.call_entity(keeper.entity_id("k"), "put", "x"),
            ctx.call_activity(try_it),
        )

    telemetry = OpenTelemetry(tracer_provider=recorder.provider, turns=False)
    async with opened(env, MemoryStore(env), telemetry, runs) as hub, hub.worker():
        handle = await hub.client.start(trying, 1)
        with pytest.raises(OrchestrationFailedError):
            await handle.wait()
        ill.clear()
        await hub.client.rewind(handle)
        await handle.wait()
    check_one_trace(recorder.spans)
    whole = [span for span in recorder.spans if span.name == "orchestration:trying"]
    assert [span.attributes["durable_async.status"] for span in whole] == [
        "continued_as_new",
        "failed",
        "completed",
    ]
    assert [span.attributes["durable_async.execution"] for span in whole] == [1, 2, 3]


HOSTILE = [
    "<script>alert(1)</script>",
    "\"quoted\" 'twice'",
    "../../etc/%00",
    "\N{RIGHT-TO-LEFT OVERRIDE}gnirts",
    "\N{GRINNING FACE}" * 64,
    "x" * 256,
    "a\\x1fb', 1, 2), (",
]


@virtual_time
async def test_ids_may_be_anything(env: VirtualEnvironment) -> None:
    recorder = Recorder()
    telemetry = OpenTelemetry(tracer_provider=recorder.provider)
    async with opened(env, MemoryStore(env), telemetry) as hub, hub.worker():
        for hostile in HOSTILE:
            await (await hub.client.start(checkout, "book", instance_id=hostile)).wait()
            await hub.client.signal_entity(counter.entity_id(hostile[:200]), "note", 0)
    whole = [span for span in recorder.spans if span.name == "orchestration:checkout"]
    assert [span.attributes["durable_async.instance_id"] for span in whole] == HOSTILE
    for run in whole:
        check_one_trace([span for span in recorder.spans if span.trace_id == run.trace_id])
    assert all(span.to_json() for span in recorder.raw)


class AnotherProvider(trace.TracerProvider):
    """One whose tracers make all ids themselves."""

    def __init__(self, recorder: Recorder) -> None:
        self._tracer = recorder.provider.get_tracer("another")

    def get_tracer(self, *args: Any, **kwargs: Any) -> Any:
        return AnotherTracer(self._tracer)


class AnotherTracer(trace.NoOpTracer):
    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    def start_span(self, *args: Any, **kwargs: Any) -> trace.Span:
        return self._tracer.start_span(*args, **kwargs)


@virtual_time
async def test_where_ids_cannot_be_chosen_it_is_one_trace_all_the_same(
    env: VirtualEnvironment,
) -> None:
    recorder = Recorder()
    telemetry = OpenTelemetry(tracer_provider=AnotherProvider(recorder))
    async with opened(env, MemoryStore(env), telemetry) as hub, hub.worker():
        assert await (await hub.client.start(checkout, "book")).wait() == "BOOK for 5"
    (one,) = {span.trace_id for span in recorder.spans}
    assert one
    assert len(recorder.spans) == len(CHECKOUT)
    start, *_ = (span for span in recorder.spans if span.name == "create_orchestration:checkout")
    below = {span.name for span in recorder.spans if span.parent_id == start.span_id}
    assert below >= {"orchestration:checkout", "activity:charge", "create_orchestration:shipping"}


@virtual_time
async def test_without_an_sdk_nothing_happens(env: VirtualEnvironment) -> None:
    async with opened(env, MemoryStore(env), OpenTelemetry()) as hub, hub.worker():
        assert await (await hub.client.start(checkout, "book")).wait() == "BOOK for 5"


def test_histories_are_the_same_but_for_the_trace() -> None:
    recorder = Recorder()

    def history(telemetry: Any) -> list[bytes]:
        rows: list[bytes] = []

        async def run(env: VirtualEnvironment) -> None:
            async with opened(env, MemoryStore(env), telemetry) as hub, hub.worker():
                await (await hub.client.start(checkout, "book", instance_id="i")).wait()
                page = await hub.backend.read_history("i", bytes_max=1_000_000)
                rows.extend(row.events for row in page.rows)

        run_virtual(run, seed=1)
        return rows

    plain = history(None)
    traced = history(OpenTelemetry(tracer_provider=recorder.provider))
    assert recorder.spans
    started, started_plain = (decode_start("i", rows[0]) for rows in (traced, plain))
    assert started.origin is not None
    assert started_plain == msgspec.structs.replace(started, origin=None)
    assert traced[1:] == plain[1:]


CANARY = "canary-4711"
REFERENCE = Path(__file__).parents[2] / "docs/reference/telemetry.md"
DOCUMENTED = {
    "error.type",
    *re.findall(r"^\| `(durable_async\.\w+)` \| [^`|]+ \|", REFERENCE.read_text(), re.MULTILINE),
}
"""Attributes of spans."""


@virtual_time
async def test_payloads_are_in_no_span_and_no_record(
    env: VirtualEnvironment, caplog: pytest.LogCaptureFixture
) -> None:
    recorder, runs = Recorder(), Registry()

    @runs.activity(retry=RetryPolicy(max_attempts=2, first_delay=1))
    async def echo(text: str) -> str:
        raise ValueError(text)

    @runs.entity
    def keeper(ctx: Any, text: str) -> str:
        ctx.set_state(text)
        return text

    @runs.orchestrator
    async def inner(ctx: OrchestrationContext, text: str) -> str:
        return await ctx.call_activity(echo, text)

    @runs.orchestrator
    async def outer(ctx: OrchestrationContext, text: str) -> str:
        ctx.set_custom_status(text)
        ctx.send_event(ctx.instance_id, "word", text)
        ctx.signal_entity(keeper.entity_id("k"), "put", text)
        await ctx.call_entity(keeper.entity_id("k"), "put", text)
        await when_any([ctx.wait_for_external_event("word"), ctx.create_timer(5)])
        return await ctx.call_sub_orchestrator(inner, text)

    telemetry = OpenTelemetry(tracer_provider=recorder.provider)
    with caplog.at_level(logging.DEBUG):
        async with opened(env, MemoryStore(env), telemetry, runs) as hub, hub.worker():
            handle = await hub.client.start(outer, CANARY)
            await hub.client.raise_event(handle, "word", CANARY)
            await hub.client.signal_entity(keeper.entity_id("k"), "put", CANARY)
            assert await hub.client.call_entity(keeper.entity_id("k"), "put", CANARY) == CANARY
            with pytest.raises(OrchestrationFailedError):
                await handle.wait()
    assert {span.name.split(":")[0] for span in recorder.spans} == {
        "activity",
        "call_entity",
        "create_orchestration",
        "entity",
        "orchestration",
        "orchestration_event",
        "signal_entity",
        "turn",
    }
    failed = [span for span in recorder.spans if span.attributes.get("error.type")]
    assert {span.name for span in failed} == {
        "activity:echo",
        "orchestration:inner",
        "orchestration:outer",
    }
    assert {name for span in recorder.spans for name in span.attributes} == DOCUMENTED
    assert CANARY not in "".join(span.to_json() for span in recorder.raw)
    assert CANARY not in "".join(str(vars(record)) for record in caplog.records)


def test_records_carry_the_ids_of_the_span() -> None:
    recorder = Recorder()
    record = logging.LogRecord("n", logging.INFO, "p", 1, "m", None, None)
    assert TraceIds().filter(record)
    assert not hasattr(record, "trace_id")
    with recorder.provider.get_tracer("t").start_as_current_span(own) as span:
        assert TraceIds().filter(record)
        assert record.trace_id == trace.format_trace_id(span.get_span_context().trace_id)
        assert record.span_id == trace.format_span_id(span.get_span_context().span_id)
