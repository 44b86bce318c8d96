"""What the model calculates with: constants found by ``measure``, habits read from the counts that tests hold, and two servers."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.costs.ledger import Lines, numbers
from benchmarks.costs.tables import CROWD, IDLE, LINES, STARTS, STEP

from .model import Constants, Habits, Load, Server

IDLE_SECONDS = 600
PING_SECONDS = 80.0
"""Between two tries whether notifications arrive, of all processes together, on average."""


def constants(ledger: Mapping[str, Lines]) -> Constants:
    """Return what things cost. CPU and bytes on disk are measured, bytes of log are counted."""
    log = {line.told: line.total(ledger, "WAL bytes") for line in LINES}
    step_alone = STEP.total(ledger, "WAL bytes")
    started = next(line for line in LINES if line.of == STARTS).total(ledger, "WAL bytes")
    crowd = next(log[line.told] for line in LINES if line.of == CROWD)
    step = crowd - started / 10
    return Constants(
        worker_us_per_step=25,
        worker_us_per_instance=196,
        server_us_per_commit=135,
        server_us_per_step=11,
        server_us_per_instance=89,
        look_us=60,
        renewal_us=240,
        sweep_us=110,
        sweep_us_per_worker=2.5,
        wake_up_us=24,
        wal_bytes_per_step=step,
        wal_bytes_per_instance=started,
        wal_bytes_per_commit=max(step_alone - step, 0),
        instance_bytes=900,
        history_row_bytes=157,
        request_bytes=204,
        cached_bytes=4096,
    )


def habits(ledger: Mapping[str, Lines]) -> Habits:
    """Return what an idle worker does."""
    idle = ledger[IDLE]
    looks = numbers(idle["statements"]).get("claim_work", 0)
    return Habits(
        looks=looks / IDLE_SECONDS,
        renewals=numbers(idle["rows"]).get("leases ~", 0) / IDLE_SECONDS,
        sweeps=numbers(idle["functions"]).get("dead_workers", 0) / IDLE_SECONDS,
        sweepers=4,
        pings=1 / PING_SECONDS,
        connections=4,
        own_connections=2,
    )


SMALL = Server(
    name="2 cores, a fast local disk",
    cores=2,
    sync_seconds=0.0003,
    notify_seconds=0.0002,
    commits=20_000,
    wal_bytes=200e6,
    connections=300,
    scan_bytes=500e6,
)
LARGE = Server(
    name="32 cores, a network disk of 1 ms a sync",
    cores=32,
    sync_seconds=0.0013,
    notify_seconds=0.0002,
    commits=30_000,
    wal_bytes=500e6,
    connections=5_000,
    scan_bytes=1e9,
)
SERVERS = (SMALL, LARGE)

MEASURED_STEPS = {1: 18_034.0, 2: 11_764.0, 4: 5_793.0}
"""Steps a second of S2 on SMALL by so many workers: the best of some rounds of ``benchmarks.throughput_postgres``."""

STARTS_PER_WORKER = 10.0
STEPS = 10.0


def load(ledger: Mapping[str, Lines], workers: int) -> Load:
    """Return a load in which each worker ends ten orchestrations of ten activities a second, such as call other services."""
    told = next(line for line in LINES if line.told == "start to result, one activity")
    return Load(
        workers=workers,
        starts=workers * STARTS_PER_WORKER,
        steps=STEPS,
        notifications=told.total(ledger, "notifications"),
        calls_to_work=told.total(ledger, "calls to work"),
    )
