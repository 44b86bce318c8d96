"""Each scenario on each store of ours: the outcome is the Durable Task SDK's, or one that `differences.toml` justifies.

The scenarios of a store are played together, several at a time, in a process of their own: they take real time.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .book import book
from .compare import (
    Outcomes,
    expected,
    load_differences,
    load_facts,
    run,
    stale,
    unexpected,
    verify_on_sdk,
)

pytestmark = pytest.mark.timeout(900)

NAMES = sorted(book())
STORES = ("memory", "sqlite", "postgres")
RESTLESS = "sqlite, workers come and go"
TIMELESS = (
    "chance",
    "children",
    "continuing",
    "entity_states",
    "events",
    "failures",
    "locks",
    "patterns",
    "retries",
    "tasks",
)
"""Topics whose outcomes do not depend on how long anything takes, nor on who works."""
FACTS = load_facts()
DIFFERENCES = load_differences()
WANTED = expected(FACTS, DIFFERENCES)


@pytest.fixture(scope="session")
def played(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Outcomes]:
    """Returns what came out on a store: played once for all processes of a test run."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    known: dict[str, Outcomes] = {}

    def play(store: str) -> Outcomes:
        only = [name for name in NAMES if (name, store) in asked_for(request.session)]
        match store:
            case "memory":
                return run(sys.executable, "testing", only)
            case "sqlite":
                return run(sys.executable, "sqlite", only)
            case "sqlite, workers come and go":
                return run(sys.executable, "sqlite", only, restless=True)
            case _:
                return run(sys.executable, request.getfixturevalue("postgres_server").dsn, only)

    def outcomes(store: str) -> Outcomes:
        if store not in known:
            known[store] = once(shared / f"scenarios-{store}.json", lambda: play(store))
        return known[store]

    return outcomes


def once(kept: Path, make: Callable[[], Outcomes]) -> Outcomes:
    """Return what a file keeps; whoever comes first makes it, and the others wait."""
    with open(f"{kept}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            kept.write_text(json.dumps(make()), encoding="utf-8")
    outcomes: Outcomes = json.loads(kept.read_text(encoding="utf-8"))
    return outcomes


def asked_for(session: pytest.Session) -> set[tuple[Any, Any]]:
    """Return which scenarios this run of pytest plays on which stores."""
    params = (getattr(getattr(item, "callspec", None), "params", {}) for item in session.items)
    return {(one["name"], one["store"]) for one in params if {"name", "store"} <= one.keys()}


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("name", NAMES)
def test_scenario(name: str, store: str, played: Callable[[str], Outcomes]) -> None:
    why = DIFFERENCES[name].why if name in DIFFERENCES else "as on the SDK"
    assert played(store)[name] == WANTED[name], why


@pytest.mark.parametrize("store", [RESTLESS])
@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith(TIMELESS)])
def test_workers_may_come_and_go(name: str, store: str, played: Callable[[str], Outcomes]) -> None:
    """A worker that works for 30 ms at a time, as a new one each time, does all that another one does."""
    assert played(store)[name] == WANTED[name]


def test_every_scenario_was_played_on_the_sdk() -> None:
    assert sorted(FACTS) == NAMES


def test_no_difference_is_stale() -> None:
    assert list(stale(FACTS, DIFFERENCES)) == []


@pytest.mark.parametrize("name", sorted(DIFFERENCES))
def test_differences_are_justified(name: str) -> None:
    assert len(DIFFERENCES[name].why.split()) > 3
    assert DIFFERENCES[name].upstream


def test_enough_of_everything() -> None:
    assert len(NAMES) >= 120
    assert len(DIFFERENCES) < len(NAMES) / 4


@pytest.mark.slow
def test_the_facts_are_what_the_sdk_does() -> None:
    try:
        outcomes = verify_on_sdk(FACTS)
    except subprocess.CalledProcessError as error:
        if os.environ.get("CI") or "pip" not in error.cmd:
            raise
        pytest.skip(f"pip cannot install the Durable Task SDK: {error}")
    assert list(unexpected(outcomes, FACTS)) == []
