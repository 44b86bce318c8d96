"""Faults on real processes and a real server, under load, and an independent check of what is left.

    ./dev chaos postgres                     everything, long
    ./dev chaos postgres --kills 100         one kind of fault, so many times
    ./dev chaos postgres --short             everything, a few times each
    ./dev chaos sqlite --kills 100 --seed 7

The exit code is 1 if a promise was broken, 2 if a run met too little to prove anything, 3 with ``--limits`` if a time is over its limit.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from report import Row, make_row, table
from scenarios import SCENARIOS, Scenario
from world import run_in_world

_BROKEN, _IDLE, _SLOW = 1, 2, 3


async def play(name: str, scenario: Scenario, number: int, folder: Path, seed: int) -> Row:
    """Run one scenario in a folder."""
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
            customers=scenario.customers,
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
        parser.add_argument(f"--{name}", type=int, metavar="N", help="only this, and others given")
    parser.add_argument("--short", action="store_true", help="a few faults of each kind")
    parser.add_argument("--limits", action="store_true", help="fail if a time is over its limit")
    parser.add_argument("--keep", action="store_true", help="keep ledgers, logs and data")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to put the figures")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    return parser.parse_args(arguments)


def numbers(chosen: argparse.Namespace) -> dict[str, int]:
    """Return how many faults of which kind are asked for."""
    scenarios = SCENARIOS[chosen.store]
    given = {
        name: number
        for name in scenarios
        if (number := getattr(chosen, name.replace("-", "_"))) is not None
    }
    return given or {
        name: one.seldom if chosen.short else one.often for name, one in scenarios.items()
    }


def main() -> int:
    """Run from the command line."""
    chosen = parse()
    print(f"seed {chosen.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="durable-async-chaos-"))
    rows: list[Row] = []
    for name, number in numbers(chosen).items():
        scenario = SCENARIOS[chosen.store][name]
        rows.append(asyncio.run(play(name, scenario, number, folder / name, chosen.seed)))
        print(json.dumps(asdict(rows[-1])), flush=True)
    print(table(rows))
    if chosen.json is not None:
        chosen.json.write_text(json.dumps([asdict(row) for row in rows], indent=2))
    if chosen.keep or any(row.broken for row in rows):
        print(f"everything is kept in {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder)
    return _end(rows, check_limits=chosen.limits)


def _end(rows: list[Row], *, check_limits: bool) -> int:
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
