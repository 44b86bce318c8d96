"""Faults on real processes and a real server, under load, and an independent check of what is left.

    ./dev chaos postgres --everything        all faults in one run of ten minutes, with quotas
    ./dev chaos postgres                     one kind after the other, long
    ./dev chaos postgres --kills 100         one kind of fault, so many times
    ./dev chaos postgres --short             the same, a few times each
    ./dev chaos sqlite --kills 100 --seed 7
    ./dev chaos postgres --bank --transfers 10000

Without a kind, all of them are played, one after the other; with N, so many faults. The exit code is 1 if a promise was broken, 2 if a run
met too little to prove anything, 3 with ``--limits`` if a time is over its limit. docs/internals/chaos.md explains what is printed.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from everything.figures import Figures, markdown, text
from everything.quotas import TEN_MINUTES
from everything.run import play_everything
from report import Row, make_row, table
from scenarios import SCENARIOS, Scenario
from world import run_in_world

_BROKEN, _IDLE, _SLOW = 1, 2, 3


async def play(
    name: str, scenario: Scenario, number: int, errands: int, folder: Path, seed: int
) -> Row:
    """Run one scenario in a folder, with so many faults, and at least so many errands of its customers."""
    folder.mkdir()
    began = time.monotonic()
    store = scenario.store(folder)
    try:
        await store.open()
        findings = await run_in_world(
            folder / "world",
            store,
            scenario.nemesis(number, store),
            workers=scenario.workers,
            customers=functools.partial(scenario.kind, customers=scenario.customers, seed=seed),
            errands=errands,
            settings=scenario.settings,
            seed=seed,
        )
        errors = store.errors()
    finally:
        store.close()
    return make_row(name, scenario, number, findings, errors, time.monotonic() - began)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="./dev chaos", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("store", choices=sorted(SCENARIOS))
    names = sorted({name for scenarios in SCENARIOS.values() for name in scenarios})
    for name in names:
        parser.add_argument(
            f"--{name}",
            type=int,
            nargs="?",
            const=0,
            metavar="N",
            help=_says(name),
        )
    parser.add_argument(
        "--transfers", type=int, metavar="N", help="how many there are at least at the bank"
    )
    parser.add_argument(
        "--everything",
        type=float,
        nargs="?",
        const=TEN_MINUTES,
        metavar="MINUTES",
        help="all faults in one run of so many minutes, 10 if it is not said, with quotas that must be met",
    )
    parser.add_argument("--short", action="store_true", help="a few faults of each kind")
    parser.add_argument("--limits", action="store_true", help="fail if a time is over its limit")
    parser.add_argument("--keep", action="store_true", help="keep ledgers, logs and data")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to put the figures")
    parser.add_argument("--markdown", action="store_true", help="print rows for a page, too")
    parser.add_argument(
        "--seed",
        type=int,
        default=random.SystemRandom().randrange(10**6),
        metavar="N",
        help="of chance, and of the plan of --everything; drawn if it is not said",
    )
    return parser.parse_args(arguments)


def _says(name: str) -> str:
    """Say what a kind of fault is."""
    stores = [store for store, scenarios in SCENARIOS.items() if name in scenarios]
    only = f", on {stores[0]} only" if len(stores) == 1 else ""
    return f"{SCENARIOS[stores[0]][name].title}{only}"


def numbers(chosen: argparse.Namespace) -> dict[str, int]:
    """Return how many faults of which kind are asked for."""
    scenarios = SCENARIOS[chosen.store]
    usual = {name: one.seldom if chosen.short else one.often for name, one in scenarios.items()}
    given = {
        name: number or usual[name]
        for name in scenarios
        if (number := getattr(chosen, name.replace("-", "_"))) is not None
    }
    return given or usual


def errands(chosen: argparse.Namespace, scenario: Scenario) -> int:
    """Return how many errands of its customers are asked for."""
    if scenario.errands_often and chosen.transfers is not None:
        return int(chosen.transfers)
    return scenario.errands_seldom if chosen.short else scenario.errands_often


def main() -> int:
    """Run from the command line."""
    chosen = parse()
    print(f"seed {chosen.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="durable-async-chaos-"))
    rows = [_everything(chosen, folder)] if chosen.everything else _scenarios(chosen, folder)
    if chosen.json is not None:
        chosen.json.write_text(json.dumps([asdict(row) for row in rows], indent=2))
    if chosen.keep or any(row.broken for row in rows):
        print(f"everything is kept in {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder)
    return _end(rows, check_limits=chosen.limits)


def _everything(chosen: argparse.Namespace, folder: Path) -> Figures:
    run = play_everything(chosen.store, chosen.everything, folder / "everything", chosen.seed)
    figures = asyncio.run(run)
    print(json.dumps(asdict(figures)), flush=True)
    print(text(figures))
    if chosen.markdown:
        print(markdown(figures))
    return figures


def _scenarios(chosen: argparse.Namespace, folder: Path) -> list[Row | Figures]:
    rows: list[Row] = []
    for name, number in numbers(chosen).items():
        scenario = SCENARIOS[chosen.store][name]
        least = errands(chosen, scenario)
        rows.append(asyncio.run(play(name, scenario, number, least, folder / name, chosen.seed)))
        print(json.dumps(asdict(rows[-1])), flush=True)
    print(table(rows))
    return [*rows]


def _end(rows: Sequence[Row | Figures], *, check_limits: bool) -> int:
    for row in rows:
        for reason in row.idle:
            print(f"{row.scenario} proves nothing: {reason}", file=sys.stderr)
        for reason in (*row.slow, *row.broken):
            print(f"{row.scenario}: {reason}", file=sys.stderr)
    if any(row.broken for row in rows):
        return _BROKEN
    if any(row.idle for row in rows):
        return _IDLE
    return _SLOW if check_limits and any(row.slow for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
