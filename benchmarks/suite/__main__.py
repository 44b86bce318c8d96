"""``./dev bench suite``: plays the contests side by side, and prints tables of medians, spread and ratios.

./dev bench suite                        all of them, three rounds
./dev bench suite S1 S2 --rounds 5
./dev bench suite --markdown table.md --json figures.json     what is printed, and the figures of each round, as files
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import platform
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.server import DSN_VARIABLE, server

from . import contests
from .contest import Contest, Result, play

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
    parser.add_argument("--markdown", type=Path, help="write what is printed to this file, too")
    parser.add_argument("--json", type=Path, help="write the figures of each round to this file")
    chosen = parser.parse_args(arguments)
    known = all_contests()
    missing = set(chosen.keys) - {contest.key for contest in known}
    if missing:
        parser.error(f"no such contest: {', '.join(sorted(missing))}")
    said = Said(chosen.markdown)
    said.say(f"Python {platform.python_version()}, {chosen.rounds} interleaved rounds\n")
    results, began = [], time.monotonic()
    for contest in known:
        if not chosen.keys or contest.key in chosen.keys:
            results.append(_played(contest, chosen.rounds, Path(chosen.disk)))
            said.say(results[-1].report())
            if chosen.json:
                chosen.json.write_text(figures(results), encoding="utf-8")
    said.say(f"{len(results)} contests in {(time.monotonic() - began) / 60:.1f} min")


class Said:
    """What the suite has said, on the terminal and in a file: after each contest, for a run takes long."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        if path is not None:
            path.write_text("", encoding="utf-8")

    def say(self, text: str) -> None:
        """Say something."""
        print(text, flush=True)
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{text}\n")


def figures(results: Sequence[Result]) -> str:
    """Return every figure of every round, for whoever wants to make a table of them."""
    every = [
        {
            "contest": result.contest.key,
            "title": result.contest.title,
            "seconds": round(result.seconds, 1),
            "rounds": result.rounds,
            "failures": result.failures,
        }
        for result in results
    ]
    return json.dumps(every, indent=1)


def _played(contest: Contest, rounds: int, disk: Path) -> Result:
    with tempfile.TemporaryDirectory(dir=disk) as folder:
        os.environ[FOLDER_VARIABLE] = folder
        if not contest.needs_postgres:
            return play(contest, rounds)
        settings = {"max_connections": "300"} | contest.server_settings
        with server(str(disk), settings) as postgres:
            os.environ[DSN_VARIABLE] = postgres.dsn
            return play(contest, rounds)


if __name__ == "__main__":
    main()
