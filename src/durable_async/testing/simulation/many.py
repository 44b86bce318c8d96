"""Many runs: in several processes, each seed a plan; the totals, and the plans that failed."""

from __future__ import annotations

import gc
import hashlib
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from .drawing import draw
from .plan import Plan, StoreKind
from .play import Report, play
from .violations import DivergedError

A = TypeVar("A")
R = TypeVar("R")

TWICE_EVERY = 50
COLLECT_EVERY = 20


class Order(msgspec.Struct, frozen=True):
    """How to play seeds.

    Attributes:
        store: What everything is kept in.
        workload: The only one that plays, if only one does.
        planted: Name of a fault that is put into the engine.
    """

    store: StoreKind = "memory"
    workload: str | None = None
    planted: str | None = None

    def plan(self, seed: int) -> Plan:
        """Draw the plan of a seed."""
        return draw(seed, store=self.store, workload=self.workload)

    def play(self, plan: Plan) -> Report:
        """Play a plan, with what is planted."""
        return play(plan, planted=self.planted)


class Outcome(msgspec.Struct, frozen=True):
    """What came of a seed: its report, and its plan if it failed."""

    report: Report
    workloads: tuple[str, ...]
    plan: Plan | None = None


def play_seed(order: Order, seed: int) -> Outcome:
    """Play a seed; now and then, and whenever something is found, twice."""
    plan = order.plan(seed)
    report = order.play(plan)
    if report.violation or seed % TWICE_EVERY == 0:
        report = _compared(report, order.play(plan))
    return Outcome(report, plan.workloads, plan if report.violation else None)


def _compared(report: Report, again: Report) -> Report:
    if report.digest == again.digest:
        return report
    diverged = DivergedError("one plan, two runs", first=report.digest, second=again.digest)
    words = str(diverged) + (f"\nbesides: {report.violation}" if report.violation else "")
    return msgspec.structs.replace(report, invariant=diverged.invariant, violation=words)


@dataclass
class Totals:
    """What many runs came to.

    Attributes:
        runs: How many there were.
        steps: Of all of them.
        seconds: Virtual ones.
        counts: What was injected and acknowledged, by name.
        workloads: In how many runs each played.
        failures: Those that failed, by seed.
    """

    runs: int = 0
    steps: int = 0
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    workloads: Counter[str] = field(default_factory=Counter)
    failures: dict[int, Outcome] = field(default_factory=dict)
    acknowledged: int = 0
    injected: int = 0
    _digests: dict[int, str] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        """Add a run."""
        report = outcome.report
        self.runs += 1
        self.steps += report.steps
        self.seconds += report.seconds
        self.acknowledged += report.acknowledged
        self.injected += report.injected
        self.counts.update(report.counts)
        self.workloads.update(outcome.workloads)
        self._digests[report.seed] = report.digest
        if report.violation:
            self.failures[report.seed] = outcome

    def digest(self) -> str:
        """Return one digest of all runs, whatever the order in which they ended."""
        words = "".join(self._digests[seed] for seed in sorted(self._digests))
        return hashlib.blake2b(words.encode(), digest_size=16).hexdigest()


def play_many(
    order: Order,
    seeds: Iterable[int],
    *,
    jobs: int = 1,
    failures_max: int | None = None,
    on_outcome: Callable[[Totals], None] = lambda totals: None,
) -> Totals:
    """Play seeds, in so many processes, until all are done or so many have failed."""
    totals = Totals()
    for outcome in spread(_job, ((order, seed) for seed in seeds), jobs):
        totals.add(outcome)
        on_outcome(totals)
        if failures_max is not None and len(totals.failures) >= failures_max:
            break
    return totals


def spread(job: Callable[[A], R], tasks: Iterable[A], jobs: int) -> Iterator[R]:
    """Do all tasks, in so many processes, and yield what comes of each as it is done."""
    if jobs == 1:
        yield from map(job, tasks)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, initializer=gc.freeze) as pool:
        yield from pool.imap_unordered(job, tasks, chunksize=4)


def _job(task: tuple[Order, int]) -> Outcome:
    order, seed = task
    outcome = play_seed(order, seed)
    if seed % COLLECT_EVERY == 0:
        gc.collect()  # it rests while a seed plays, and what a run leaves is full of circles
    return outcome
