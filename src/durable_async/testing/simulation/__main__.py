"""A whole system in virtual time, under faults drawn from seeds.

    ./dev simulate --seeds 1000 --jobs 2      seeds 0 to 999
    ./dev simulate --seed 4711                one seed, in words
    ./dev simulate --fresh 1000 --jobs 2      seeds that nobody chose
    ./dev simulate --plan kept/seed-4711.json a plan that was kept
    ./dev simulate --seed 4711 --shrink       less and less of a plan that fails, as long as it does
    ./dev simulate --planted all --jobs 2     which seed is the first to find each fault that is planted
    ./dev simulate --sweep                    small stories, with a crash at each call to the store, one after the other

The exit code is 1 if a promise was broken, or a fault that is planted was not found any more; 2 if the runs met too little to prove
anything, or what was asked for makes no sense. What is printed is explained in docs/internals/simulation.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from durable_async.environment import SystemEnvironment

from .hunting import hunt_all, names_of
from .many import Order, Outcome, Totals, play_many, spread
from .plan import Plan
from .play import Report, play
from .shrinking import shrink
from .sweep import all_crashes, try_crash
from .workloads import WORKLOADS

BROKEN, IDLE = 1, 2
FRESH_MAX = 2**40
ENOUGH_RUNS = 200
"""From so many seeds on, each kind of fault and each workload must have had its turn."""
ACKNOWLEDGED_MIN = 20
"""So many calls a seed must be acknowledged, on average."""
NEEDED = (
    "kill", "stop", "cancel", "freeze", "stall", "evict", "partition", "deafness", "outage",
    "lost before", "lost after", "lost late", "lost reset",
)  # fmt: skip


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    complaint = _complaint(asked)
    if complaint:
        parser.error(complaint)
    return asked


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./dev simulate", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--seed", type=int, metavar="N", help="play one seed, and say all about it")
    what.add_argument(
        "--seeds", type=_range, metavar="N|A-B", help="play the first N seeds, or those from A to B"
    )
    what.add_argument("--fresh", type=int, metavar="N", help="play N seeds that nobody chose")
    what.add_argument("--plan", type=_plan, metavar="FILE", help="play a plan that was kept")
    what.add_argument("--sweep", action="store_true", help="crash at each call of small stories")
    parser.add_argument("--jobs", type=int, default=1, metavar="J", help="in so many processes")
    parser.add_argument(
        "--store", choices=("memory", "sqlite"), default="memory", help="memory if it is not said"
    )
    parser.add_argument(
        "--workload", choices=sorted(kind.name for kind in WORKLOADS), help="let only this one play"
    )
    parser.add_argument(
        "--planted",
        type=_faults,
        metavar="NAME|all",
        help="put a fault into the engine first; without seeds and plan, look for the first seed that finds it",
    )
    parser.add_argument(
        "--trace", type=Path, metavar="FILE", help="with --seed or --plan: write down each step"
    )
    parser.add_argument(
        "--shrink", action="store_true", help="with --seed or --plan: make one that fails smaller"
    )
    parser.add_argument(
        "--failures", type=int, default=5, metavar="N", help="stop after so many seeds that fail"
    )
    parser.add_argument(
        "--keep", type=Path, default=Path("simulation-failures"), metavar="FOLDER",
        help="where plans that fail are written to",
    )  # fmt: skip
    return parser


def _range(text: str) -> range:
    first, dash, last = text.partition("-")
    try:
        return range(int(first), int(last) + 1) if dash else range(int(first))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number, and not two as 5-7") from None


def _plan(text: str) -> Plan:
    try:
        return Plan.from_json(Path(text).read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from None


def _faults(text: str) -> list[str]:
    try:
        return names_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _complaint(asked: argparse.Namespace) -> str:
    """Say what is wrong with options that are sound one by one."""
    one = asked.seed is not None or asked.plan is not None
    many = asked.seeds is not None or asked.fresh is not None or asked.sweep
    if not (one or many or asked.planted):
        return "say what to play: --seed, --seeds, --fresh, --plan, --sweep or --planted"
    if asked.jobs < 1:
        return "--jobs: at least 1"
    if (asked.trace or asked.shrink) and not one:
        return "--trace and --shrink go with --seed or --plan"
    if asked.planted and len(asked.planted) > 1 and (one or many):
        return "--planted: one fault at a time with seeds, a plan or the sweep"
    return ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Play what the command line asks for, and return the exit code."""
    asked = parse(arguments)
    planted = asked.planted[0] if asked.planted else None
    order = Order(store=asked.store, workload=asked.workload, planted=planted)
    if asked.sweep:
        return _sweep(order, asked)
    if asked.plan is not None:
        return _one(order, asked.plan, asked)
    if asked.seed is not None:
        return _one(order, order.plan(asked.seed), asked)
    if asked.seeds is None and asked.fresh is None:
        return _hunt(asked)
    return _several(order, _seeds(asked), asked)


def _hunt(asked: argparse.Namespace) -> int:
    survivors = 0
    for catch in hunt_all(asked.planted, jobs=asked.jobs):
        _say(catch.line)
        survivors += catch.is_news
    return BROKEN if survivors else 0


def _seeds(asked: argparse.Namespace) -> Iterable[int]:
    if asked.fresh is not None:
        base = SystemEnvironment().random().randrange(FRESH_MAX)
        _say(f"fresh seeds: {base}-{base + asked.fresh - 1}")
        return range(base, base + asked.fresh)
    chosen: range = asked.seeds
    return chosen


def _one(order: Order, plan: Plan, asked: argparse.Namespace) -> int:
    report = _traced(order, plan, asked.trace) if asked.trace else order.play(plan)
    _say(describe(plan, report))
    if not report.violation:
        return 0
    if asked.shrink:
        plan = shrink(plan, report, order.play, say=_say)
        _say(describe(plan, order.play(plan)))
        _keep(plan, asked.keep, "shrunk")
    return BROKEN


def _sweep(order: Order, asked: argparse.Namespace) -> int:
    runs = failed = 0
    stories: dict[str, int] = {}
    job = partial(try_crash, planted=order.planted)
    for crash, report in spread(
        job, all_crashes(store=order.store, planted=order.planted), asked.jobs
    ):
        runs += 1
        stories[crash.story] = stories.get(crash.story, 0) + 1
        if report.violation:
            failed += 1
            loss = crash.loss
            _say(
                f"\n{crash.story}, {loss.kind} at call {loss.call} of {loss.node}: {report.violation}"
            )
            _keep(crash.plan, asked.keep, f"{crash.story}-{loss.kind}-{loss.node}-{loss.call}")
    _say(f"{runs:,} crashes, {failed} failed: {_listed(stories)}")
    return BROKEN if failed else 0


def _traced(order: Order, plan: Plan, path: Path) -> Report:
    with path.open("w", encoding="utf-8") as file:
        return play(plan, planted=order.planted, trace=lambda line: print(line, file=file))


def _several(order: Order, seeds: Iterable[int], asked: argparse.Namespace) -> int:
    clock = SystemEnvironment()
    began = clock.monotonic()
    told: set[int] = set()

    def progress(totals: Totals) -> None:
        for seed in totals.failures.keys() - told:
            told.add(seed)
            _tell_failure(totals.failures[seed], asked.keep)
        if sys.stderr.isatty() or totals.runs % 250 == 0:
            rate = totals.runs / max(clock.monotonic() - began, 0.001) * 60
            line = f"{totals.runs:,} runs, {len(totals.failures)} failed, {rate:,.0f} a minute"
            print(line, end="\r" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)

    totals = play_many(
        order, seeds, jobs=asked.jobs, failures_max=asked.failures, on_outcome=progress
    )
    _say(summary(totals, clock.monotonic() - began))
    if totals.failures:
        return BROKEN
    missing = missing_from(totals, order)
    for what in missing:
        _say(f"too little: {what}")
    return IDLE if missing else 0


def _tell_failure(outcome: Outcome, folder: Path) -> None:
    seed = outcome.report.seed
    _say(f"\nseed {seed}: {outcome.report.violation}")
    if outcome.plan is not None:
        _keep(outcome.plan, folder, f"seed-{seed}")


def missing_from(totals: Totals, order: Order) -> list[str]:
    """Say what these runs met too little of to prove anything."""
    missing: list[str] = []
    if totals.acknowledged <= ACKNOWLEDGED_MIN * totals.runs:
        missing.append(f"only {totals.acknowledged:,} calls were acknowledged")
    if totals.runs < ENOUGH_RUNS:
        return missing
    missing += [f"no {kind}" for kind in NEEDED if not totals.counts[kind]]
    kinds = [order.workload] if order.workload else [kind.name for kind in WORKLOADS]
    return missing + [f"no {name}" for name in kinds if not totals.workloads[name]]


def summary(totals: Totals, seconds: float) -> str:
    """Say what many runs came to."""
    rate = totals.runs / max(seconds, 0.001) * 60
    faults = {
        name: count
        for name, count in totals.counts.items()
        if not name.startswith("answered ") and name != "actions"
    }
    return f"""\
{totals.runs:,} runs in {seconds:.0f} s ({rate:,.0f} a minute), {len(totals.failures)} failed; \
{totals.steps:,} steps, {totals.seconds / 3600:,.1f} hours of virtual time
{totals.counts["actions"]:,} actions of clients, {totals.acknowledged:,} calls acknowledged, {totals.injected:,} faults
  faults: {_listed(faults)}
  workloads: {_listed(totals.workloads)}
  commit {commit()}, digest {totals.digest()}"""


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))


def _named(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def describe(plan: Plan, report: Report) -> str:
    """Say all about one run."""
    profile = {name: value for name, value in msgspec.structs.asdict(plan.profile).items() if value}
    return "\n".join(
        [
            f"seed {plan.seed} on {plan.store}, commit {commit()}, digest {report.digest}",
            f"  {', '.join(plan.workloads)}; {plan.workers} workers, {plan.clients} clients ({plan.residents} of them with a worker)",
            f"  profile: {_named(profile) or 'nothing goes wrong with calls and hints'}",
            f"  settings: {_named(plan.settings) or 'as the simulation has them'}",
            f"  {len(plan.actions)} actions, {len(plan.strikes)} strikes, {len(report.losses)} losses",
            f"  {report.steps:,} steps, {report.seconds:g} s: {_listed(report.counts)}",
            report.violation or "  all that was promised held",
        ]
    )


def commit() -> str:
    """Return the commit that the code is at, if it is in a repository."""
    here = Path(__file__).parent
    try:
        found = subprocess.run(  # noqa: S603 - nothing of this comes from outside
            ["git", "-C", str(here), "describe", "--always", "--dirty"],  # noqa: S607
            capture_output=True,
            check=False,
            text=True,
        )
    except OSError:
        return "unknown"
    return found.stdout.strip() or "unknown"


def _keep(plan: Plan, folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_bytes(plan.to_json() + b"\n")
    _say(f"kept: {path}")


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
