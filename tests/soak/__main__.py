"""An hour under steady load, and what grew meanwhile.

    ./dev soak postgres                      two workers and a client, for an hour, at half of what they can do
    ./dev soak sqlite --minutes 10
    ./dev soak postgres --kills              one worker is killed every minute
    ./dev soak postgres --leak tasks         a worker that grows on purpose: it must be found
    ./dev soak postgres --judge FILE         judge the samples of an earlier run anew
    ./dev soak sqlite --days 30              a month in virtual time, on memory or SQLite, and what is left in the tables
    ./dev soak sqlite --cycles 1000          a hub and its worker, opened and closed over and over in one process

What stores keep for a day or a month is kept for some minutes here, so that the run sees it come and go. The exit code is 1 if something grew
or went wrong, 2 if the run proves nothing, as a short one, whose slopes are too uncertain. docs/internals/soak.md explains what is printed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from cycles import run_cycles
from month import Month
from orders import Orders
from report import as_json, as_markdown
from run import Soak
from stores import STORES
from verdict import Verdict, judge

from durable_async.testing import run_virtual

_BROKEN, _IDLE = 1, 2
_KEPT_SECONDS_MAX = 180.0
_MEASURE_SECONDS_MAX = 60.0
_EVERY_SECONDS_MAX = 5.0
_DAILY = 8


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="./dev soak", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("store", choices=["memory", *STORES])
    parser.add_argument(
        "--minutes", type=float, default=60.0, metavar="N", help="how long; 60 if it is not said"
    )
    parser.add_argument("--kills", action="store_true", help="kill the second worker every minute")
    parser.add_argument(
        "--rate", type=float, metavar="N", help="errands a second; measured if not given"
    )
    parser.add_argument(
        "--leak",
        default="",
        choices=["memory", "tasks", "files"],
        help="let a worker leak that on purpose",
    )
    parser.add_argument(
        "--judge", type=Path, metavar="FILE", help="run nothing, judge these samples"
    )
    parser.add_argument("--warm", type=float, metavar="N", help="judge from this minute on")
    parser.add_argument("--days", type=int, metavar="N", help="days in virtual time")
    parser.add_argument("--cycles", type=int, metavar="N", help="open and close so often")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to put the figures")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="where to put them as a table"
    )
    parser.add_argument("--keep", action="store_true", help="keep samples, logs and data")
    return parser.parse_args(arguments)


async def soak(chosen: argparse.Namespace, folder: Path) -> Verdict:
    """Run one in a folder, and judge it."""
    seconds = chosen.minutes * 60
    store = STORES[chosen.store](folder)
    try:
        await store.open()
        orders = Orders(
            store.url,
            diary="",
            every_seconds=min(_EVERY_SECONDS_MAX, seconds / 30),
            kept_seconds=min(_KEPT_SECONDS_MAX, seconds / 20),
            measure_seconds=min(_MEASURE_SECONDS_MAX, seconds / 8),
            rate=chosen.rate,
            leak=chosen.leak,
        )
        one = Soak(folder, store, orders, kills=chosen.kills)
        await one.run(seconds)
        return judge(read(one.samples), store.errors(), warm_seconds=warm_seconds(chosen))
    finally:
        await store.close()


def warm_seconds(chosen: argparse.Namespace) -> float | None:
    """Return how long the warm-up is, if that is said."""
    return None if chosen.warm is None else chosen.warm * 60


def read(file: Path) -> list[dict[str, Any]]:
    """Read samples."""
    return [json.loads(line) for line in file.read_text().splitlines()]


def main() -> int:
    """Run from the command line."""
    chosen = parse()
    if chosen.judge is not None:
        return tell(chosen, judge(read(chosen.judge), [], warm_seconds=warm_seconds(chosen)))
    folder = Path(tempfile.mkdtemp(prefix="durable-async-soak-"))
    if chosen.days is not None or chosen.cycles is not None:
        return apart(chosen, folder)
    print(f"samples go to {folder}", flush=True)
    verdict = asyncio.run(soak(chosen, folder))
    if not chosen.keep and not verdict.broken:
        shutil.rmtree(folder)
    return tell(chosen, verdict)


def apart(chosen: argparse.Namespace, folder: Path) -> int:
    """Do what takes no processes of its own: days in virtual time, or cycles."""
    try:
        if chosen.days is not None:
            found = days(chosen.days, None if chosen.store == "memory" else folder)
        else:
            found = asyncio.run(cycles(chosen.cycles, chosen.store, folder))
    finally:
        shutil.rmtree(folder)
    for one in found:
        print(one, file=sys.stderr)
    return _BROKEN if found else 0


def days(number: int, folder: Path | None) -> list[str]:
    """Live for so many days, and return what is left of them."""
    rows = run_virtual(lambda env: Month(env, folder, days=number, daily=_DAILY).run())
    print(f"at the most: {rows.most}")
    return [f"{name}: {count} rows are left" for name, count in rows.left().items()]


async def cycles(number: int, kind: str, folder: Path) -> list[str]:
    """Open and close so many times, and return what is left of that."""
    if kind == "memory":
        remains = await run_cycles("memory://", number)
    else:
        store = STORES[kind](folder)
        try:
            await store.open()
            remains = await run_cycles(store.url, number)
        finally:
            await store.close()
    print(remains)
    return remains.complaints()


def tell(chosen: argparse.Namespace, verdict: Verdict) -> int:
    """Show a verdict, and return the exit code for it."""
    print(as_markdown(verdict))
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(as_json(verdict), indent=2))
    if chosen.markdown is not None:
        chosen.markdown.write_text(as_markdown(verdict) + "\n")
    for reason in verdict.idle:
        print(f"proves nothing: {reason}", file=sys.stderr)
    for reason in verdict.broken:
        print(reason, file=sys.stderr)
    if verdict.broken:
        return _BROKEN
    return _IDLE if verdict.idle else 0


if __name__ == "__main__":
    sys.exit(main())
