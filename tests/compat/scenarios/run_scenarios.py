"""Play the scenarios wherever the import name ``durabletask`` exists, and write down what came out.

From the root of the repository: ``python -m tests.compat.scenarios.run_scenarios --only 'events.*' --json OUT --backend ADDRESS``.
"""

from __future__ import annotations

import argparse
import faulthandler
import fnmatch
import json
import os
import sys
import tempfile
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .book import Scenario, load, loaded, topics
from .stage import TESTING, Stage, failure, plain

AT_A_TIME = 8
TIMED_OUT = {"timed": "out"}
NOT_PLAYED = {"not": "played"}
TIMEOUTS_MAX = 8
"""So many scenarios hang only if the process hangs: the rest is not played then."""

_timeouts: list[str] = []


def main() -> None:
    """Play what the command line asks for."""
    parser = argparse.ArgumentParser(
        description="Play the scenarios and write down their outcomes."
    )
    parser.add_argument("--only", action="append", help="names or patterns, by default all")
    parser.add_argument("--json", type=Path, help="where to write the outcomes")
    parser.add_argument("--backend", default=TESTING, help="testing, sqlite, or a store's URL")
    parser.add_argument(
        "--restless", action="store_true", help="workers stop and start all the time"
    )
    parser.add_argument("--jobs", type=int, default=AT_A_TIME)
    asked = parser.parse_args()
    broken = _read()
    wanted = [
        scenario
        for name, scenario in sorted(loaded().items())
        if not asked.only or any(fnmatch.fnmatch(name, pattern) for pattern in asked.only)
    ]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        outcomes = play(wanted, asked.backend, Path(folder), asked.jobs, asked.restless)
        text = json.dumps(outcomes, indent=1, sort_keys=True) + "\n"
        if asked.json is None:
            sys.stdout.write(text)
        else:
            asked.json.write_text(text, encoding="utf-8")
        sys.stdout.flush()
    # A scenario that hangs must not keep the process.
    os._exit(1 if broken else 0)


def _read() -> list[str]:
    broken = []
    for topic in topics():
        try:
            load(topic)
        except Exception:  # noqa: BLE001 - the other topics can be played
            broken.append(topic)
            traceback.print_exc()
    return broken


def play(
    scenarios: list[Scenario],
    backend: str,
    folder: Path,
    jobs: int = AT_A_TIME,
    restless: bool = False,
) -> dict[str, Any]:
    """Play scenarios, several at a time, and return their outcomes by name."""
    with ThreadPoolExecutor(jobs) as pool:
        outcomes = pool.map(
            lambda scenario: play_one(scenario, backend, folder, restless), scenarios
        )
        return {
            scenario.name: outcome for scenario, outcome in zip(scenarios, outcomes, strict=True)
        }


def play_one(scenario: Scenario, backend: str, folder: Path, restless: bool = False) -> Any:
    """Play one scenario on a stage of its own, no longer than it may take."""
    if len(_timeouts) >= TIMEOUTS_MAX:
        return NOT_PLAYED
    answer: list[Any] = []
    done = threading.Event()

    def act() -> None:
        try:
            stage = Stage(scenario.name, backend, folder, restless)
        except Exception as error:  # noqa: BLE001 - said in the outcome
            answer.append({"no stage": failure(error)})
            done.set()
            return
        try:
            answer.append(json.loads(json.dumps(plain(scenario.play(stage)))))
        except Exception as error:  # noqa: BLE001 - said in the outcome
            where = traceback.extract_tb(error.__traceback__)[-1]
            answer.append({"broke": failure(error), "at": f"{Path(where.filename).name}"})
            if os.environ.get("SCENARIOS_TRACE"):
                traceback.print_exc()
        finally:
            done.set()
            stage.close()

    begun = time.monotonic()
    threading.Thread(target=act, daemon=True, name=scenario.name).start()
    if not done.wait(scenario.limit):
        print(f"{scenario.name} took more than {scenario.limit} s", file=sys.stderr)
        _timeouts.append(scenario.name)
        faulthandler.dump_traceback(all_threads=True)
        return TIMED_OUT
    if os.environ.get("SCENARIOS_TRACE"):
        print(f"{time.monotonic() - begun:6.2f} {scenario.name}", file=sys.stderr)
    return plain(answer[0])


if __name__ == "__main__":
    main()
