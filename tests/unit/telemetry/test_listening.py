"""Nobody is told what nobody wants to hear, and who listens cannot do harm."""

from __future__ import annotations

import logging

import pytest

from durable_async import ConfigurationError, TaskHub
from durable_async.telemetry import (
    ActivityRun,
    LeaseLost,
    Ongoing,
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


def test_a_hub_takes_listeners_and_nothing_else() -> None:
    assert TaskHub.at("memory://").signals is None
    assert TaskHub.at("memory://", telemetry=Leases()).signals is not None
    assert TaskHub.at("memory://", telemetry=[Leases(), Leases()]).signals is not None
    with pytest.raises(ConfigurationError, match="telemetry must be a Telemetry"):
        TaskHub.at("memory://", telemetry=["loud"])  # type: ignore[list-item]
