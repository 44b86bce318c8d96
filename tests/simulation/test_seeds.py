"""Whole systems under faults that seeds draw: those that found a fault once, and some that nobody chose."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from durable_async.environment import SystemEnvironment
from durable_async.testing.simulation.drawing import draw
from durable_async.testing.simulation.many import Order, Totals, play_many
from durable_async.testing.simulation.plan import Plan
from durable_async.testing.simulation.play import play

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.json"))
FRESH = int(os.environ.get("DURABLE_ASYNC_SEEDS", "1000"))
PARTS = 20
BASE = SystemEnvironment().random().randrange(2**40)
STORES = {"memory": FRESH, "sqlite": max(PARTS, FRESH // 20)}

_DIGEST = """
import sys
from durable_async.testing.simulation.many import Order, play_many
print(play_many(Order(store=sys.argv[1]), range(int(sys.argv[2]))).digest())
"""


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_what_was_broken_once_holds(path: Path) -> None:
    report = play(Plan.from_json(path.read_bytes()))
    assert not report.violation


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("store", STORES)
def test_what_nobody_chose_holds(store: str, part: int) -> None:
    count = STORES[store] // PARTS
    first = BASE + part * count
    totals = play_many(Order(store=store), range(first, first + count))  # type: ignore[arg-type]
    assert not totals.failures, _say(totals, store)
    assert totals.acknowledged >= 20 * count
    assert totals.injected >= count or count < 10  # a calm seed is a seed


def _say(totals: Totals, store: str) -> str:
    return "\n\n".join(
        f"./dev simulate --seed {seed} --store {store} --shrink\n{outcome.report.violation}"
        for seed, outcome in totals.failures.items()
    )


@pytest.mark.parametrize(("store", "count"), [("memory", 12), ("sqlite", 4)])
def test_a_seed_gives_the_same_run_in_any_process(store: str, count: int) -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", _DIGEST, store, str(count)],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(digests) == 1


def test_a_plan_is_the_same_when_it_was_written_down() -> None:
    for seed in range(50):
        plan = draw(seed)
        assert Plan.from_json(plan.to_json()) == plan
