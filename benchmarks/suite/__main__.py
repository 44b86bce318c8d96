"""``./dev bench suite``: plays the contests side by side, and prints tables of medians, spread and ratios.

./dev bench suite                        all of them, three rounds
./dev bench suite S1 S2 --rounds 5
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import platform
import tempfile
from pathlib import Path

from benchmarks.server import DSN_VARIABLE, server

from . import contests
from .contest import Contest, play

FOLDER_VARIABLE = "DURABLE_ASYNC_BENCH_FOLDER"


def all_contests() -> list[Contest]:
    """Return the contests of all files, in the order of their names."""
    found: list[Contest] = []
    for module in sorted(pkgutil.iter_modules(contests.__path__), key=lambda each: each.name):
        loaded = importlib.import_module(f"{contests.__name__}.{module.name}")
        found += loaded.CONTESTS
    return found


def main(arguments: list[str] | None = None) -> None:
    """Play what was asked for."""
    parser = argparse.ArgumentParser(prog="./dev bench suite", description=__doc__)
    parser.add_argument("keys", nargs="*", help="such as S1; by default all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--disk", default=tempfile.gettempdir(), help="a folder on the disk")
    chosen = parser.parse_args(arguments)
    known = all_contests()
    missing = set(chosen.keys) - {contest.key for contest in known}
    if missing:
        parser.error(f"no such contest: {', '.join(sorted(missing))}")
    print(f"Python {platform.python_version()}, {chosen.rounds} interleaved rounds\n", flush=True)
    for contest in known:
        if not chosen.keys or contest.key in chosen.keys:
            print(_played(contest, chosen.rounds, Path(chosen.disk)), flush=True)


def _played(contest: Contest, rounds: int, disk: Path) -> str:
    with tempfile.TemporaryDirectory(dir=disk) as folder:
        os.environ[FOLDER_VARIABLE] = folder
        if not contest.needs_postgres:
            return play(contest, rounds).report()
        settings = {"max_connections": "300"} | contest.server_settings
        with server(str(disk), settings) as postgres:
            os.environ[DSN_VARIABLE] = postgres.dsn
            return play(contest, rounds).report()


if __name__ == "__main__":
    main()
