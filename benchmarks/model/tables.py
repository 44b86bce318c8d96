"""The tables of the model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from benchmarks.costs.ledger import Lines
from benchmarks.samples import table

from .figures import LARGE, MEASURED_STEPS, SERVERS, SMALL, STEPS, constants, habits, load
from .model import kept, steps_per_second, uses, workers_max

WORKERS = (1, 10, 100, 1_000)
INSTANCES = (100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
DRAINING_WORKERS = 10
UNITS = (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0), ("s", 1.0))


def used(ledger: Mapping[str, Lines]) -> str:
    """Return what parts of a large server are used, by the number of workers."""
    columns = [
        uses(load(ledger, workers), habits(ledger), LARGE, constants(ledger)) for workers in WORKERS
    ]
    rows = [
        [cells[0].what, *(_part(cell.part) for cell in cells)]
        for cells in zip(*columns, strict=True)
    ]
    heads = (f"{workers:,} worker{'s' if workers > 1 else ''}" for workers in WORKERS)
    return table((LARGE.name, *heads), rows)


def walls(ledger: Mapping[str, Lines]) -> str:
    """Return how many workers everything is enough for, on each server."""
    most = [
        workers_max(partial(load, ledger), habits(ledger), server, constants(ledger))
        for server in SERVERS
    ]
    rows = [
        [name, *(_workers(each[name]) for each in most)]
        for name in most[0]
        if name != "a worker's CPU"
    ]
    return table(("is used up by", *(server.name for server in SERVERS)), rows)


def amounts(ledger: Mapping[str, Lines]) -> str:
    """Return what numbers of instances amount to."""
    rows = []
    for count in INSTANCES:
        found = kept(count, STEPS, DRAINING_WORKERS, LARGE, constants(ledger))
        rows.append(
            [
                f"{count:,}",
                _bytes(found.bytes),
                str(found.index_levels),
                _time(found.read_seconds),
                _time(found.drain_seconds),
            ]
        )
    return table(
        (
            "orchestrations of ten activities",
            "on disk",
            "levels of the index by id",
            "to read it all",
            f"to run them all, {DRAINING_WORKERS} workers",
        ),
        rows,
    )


def speeds(ledger: Mapping[str, Lines]) -> str:
    """Return steps a second as the model says, and as they were measured."""
    rows = [
        [
            str(workers),
            f"{steps_per_second(workers, STEPS, SMALL.cores, constants(ledger)):,.0f}",
            f"{measured:,.0f}",
        ]
        for workers, measured in MEASURED_STEPS.items()
    ]
    return table(("workers, two cores for all", "steps/s, model", "steps/s, measured"), rows)


def _part(part: float) -> str:
    text = f"{part:.2%}" if part < 0.1 else f"{part:,.0%}"
    return f"**{text}**" if part > 1 else text


def _workers(count: int) -> str:
    return "a million and more" if count >= 1_000_000 else f"{count:,}"


def _bytes(count: float) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count / 1e6:,.0f} MB"


def _time(seconds: float) -> str:
    for unit, size in UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return "1 s"
