"""Nobody is told what nobody wants to hear, and who listens cannot do harm."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from durable_async import ConfigurationError, Entity, OrchestrationContext, Registry, TaskHub
from durable_async.telemetry import (
    ActivityRun,
    ClientCall,
    LeaseLost,
    Ongoing,
    OperationRun,
    Outcome,
    Telemetry,
    signals_for,
)
from durable_async.telemetry._listening import SIGNALS

LOST = LeaseLost(hub="h", worker_id="w")
DONE = Outcome(status="completed", seconds=1.0)
RUN = ActivityRun(
    hub="h",
    worker_id="w",
    begun_us=0,
    instance_id="i",
    execution=1,
    seq=1,
    attempt=1,
    name="a",
    traceparent="",
    input_bytes=0,
    was_queued=False,
)


class Deaf(Telemetry):
    pass


class Leases(Telemetry):
    def __init__(self) -> None:
        self.heard: list[LeaseLost] = []

    def lease_lost(self, lost: LeaseLost) -> None:
        self.heard.append(lost)


class Watch(Ongoing):
    def __init__(self, name: str, notes: list[str], traceparent: str = "") -> None:
        self.name = name
        self.notes = notes
        self.traceparent = traceparent

    def ended(self, outcome: Outcome) -> None:
        self.notes.append(f"{self.name} {outcome.status}")

    def recorded(self) -> None:
        self.notes.append(f"{self.name} recorded")


class Watching(Telemetry):
    def __init__(self, name: str, notes: list[str], traceparent: str = "") -> None:
        self.made = Watch(name, notes, traceparent)

    def activity_began(self, run: ActivityRun) -> Ongoing | None:
        return self.made


class Broken(Telemetry):
    def lease_lost(self, lost: LeaseLost) -> None:
        raise RuntimeError("no disk")

    def activity_began(self, run: ActivityRun) -> Ongoing | None:
        raise RuntimeError("no disk")


def test_without_listeners_there_is_no_switchboard() -> None:
    assert signals_for(None) is None
    assert signals_for([]) is None


def test_only_what_is_overridden_is_told() -> None:
    signals = signals_for([Deaf(), Leases()])
    assert signals is not None
    assert [name for name in SIGNALS if getattr(signals, name) is not None] == ["lease_lost"]


def test_several_hear_the_same() -> None:
    one, two = Leases(), Leases()
    signals = signals_for([one, two])
    assert signals is not None
    assert signals.lease_lost is not None
    signals.lease_lost(LOST)
    assert one.heard == two.heard == [LOST]


def test_one_that_consists_of_several_is_taken_apart() -> None:
    leases = Leases()

    class Both(Telemetry):
        def parts(self) -> list[Telemetry]:
            return [Deaf(), leases]

    signals = signals_for(Both())
    assert signals is not None
    assert signals.lease_lost is not None
    signals.lease_lost(LOST)
    assert leases.heard == [LOST]


def test_what_takes_time_ends_in_the_opposite_order() -> None:
    notes: list[str] = []
    signals = signals_for([Watching("one", notes), Watching("two", notes, "00-trace")])
    assert signals is not None
    assert signals.activity_began is not None
    ongoing = signals.activity_began(RUN)
    assert ongoing is not None
    assert ongoing.traceparent == "00-trace"
    ongoing.ended(DONE)
    ongoing.recorded()
    assert notes == ["two completed", "one completed", "one recorded", "two recorded"]


def test_who_breaks_is_logged_once_and_the_others_hear(caplog: pytest.LogCaptureFixture) -> None:
    leases, notes = Leases(), list[str]()
    signals = signals_for([Broken(), leases, Watching("one", notes)])
    assert signals is not None
    assert signals.lease_lost is not None
    assert signals.activity_began is not None
    with caplog.at_level(logging.ERROR):
        signals.lease_lost(LOST)
        signals.lease_lost(LOST)
        ongoing = signals.activity_began(RUN)
    assert leases.heard == [LOST, LOST]
    assert ongoing is not None
    assert [record.message for record in caplog.records] == [
        "Broken.lease_lost failed; it is not logged again",
        "Broken.activity_began failed; it is not logged again",
    ]


class Wrong(Telemetry):
    """One whose author took for granted what is not so."""

    async def activity_began(self, run: ActivityRun) -> None:  # type: ignore[override]
        pass

    def operation_began(self, run: OperationRun) -> Any:
        return {"span": 1}

    def client_call_began(self, call: ClientCall) -> Any:
        return "span"


class Traceless(Ongoing):
    @property
    def traceparent(self) -> str:  # type: ignore[override]
        raise RuntimeError("no trace")


class Tracing(Telemetry):
    def __init__(self, made: Ongoing) -> None:
        self.made = made

    def activity_began(self, run: ActivityRun) -> Ongoing | None:
        return self.made


registry = Registry()


@registry.activity
async def greet(name: str) -> str:
    return f"Hello, {name}"


@registry.orchestrator
async def greeting(ctx: OrchestrationContext, name: str) -> str:
    return await ctx.call_activity(greet, name)


@registry.entity
class Counter(Entity[int]):
    def initial_state(self) -> int:
        return 0

    def add(self, amount: int) -> int:
        self.state += amount
        return self.state


async def test_what_is_returned_and_takes_no_time_changes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    notes: list[str] = []
    listeners = [Wrong(), Watching("one", notes)]
    async with TaskHub.open("memory://", registry=registry, telemetry=listeners) as hub:
        async with hub.worker():
            for _ in range(2):
                handle = await hub.client.start(greeting, "Ada")
                assert await handle.wait(timeout=10) == "Hello, Ada"
            counter = hub.client.entity(Counter.entity_id("a"), timeout=10)
            assert await counter.call(Counter.add, 1) == 1
    assert notes.count("one completed") == 2
    assert sorted(record.message for record in caplog.records if record.exc_info) == [
        f"Wrong.{name} failed; it is not logged again"
        for name in ("activity_began", "client_call_began", "operation_began")
    ]
    assert "type str, which is no Ongoing" in caplog.text


def test_what_cannot_say_where_it_belongs_belongs_nowhere(
    caplog: pytest.LogCaptureFixture,
) -> None:
    numbered: Any = Watch("numbered", [])
    numbered.traceparent = 7
    notes: list[str] = []
    signals = signals_for([Tracing(Traceless()), Tracing(numbered), Watching("one", notes, "00-t")])
    assert signals is not None
    assert signals.activity_began is not None
    ongoing = signals.activity_began(RUN)
    assert ongoing is not None
    assert ongoing.traceparent == "00-t"
    ongoing.ended(DONE)
    assert notes == ["one completed"]
    assert [record.message for record in caplog.records] == [
        "Traceless.traceparent failed; it is not logged again",
        "Watch.traceparent failed; it is not logged again",
    ]


def test_a_hub_takes_listeners_and_nothing_else() -> None:
    assert TaskHub.at("memory://").signals is None
    assert TaskHub.at("memory://", telemetry=Leases()).signals is not None
    assert TaskHub.at("memory://", telemetry=[Leases(), Leases()]).signals is not None
    with pytest.raises(ConfigurationError, match="telemetry must be a Telemetry"):
        TaskHub.at("memory://", telemetry=["loud"])  # type: ignore[list-item]
