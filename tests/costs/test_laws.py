"""What has to hold of the counts, whatever they are: nothing costs more for being one of many."""

from __future__ import annotations

import pytest
from benchmarks.costs.counting import STORES
from benchmarks.costs.ledger import Lines, differences, numbers, read, render
from benchmarks.costs.tables import CROWD, FEW, LINES, MANY, ONE, STEP, WIDE

COUNTS = ("statements", "commits", "rows", "notifications")


def total(lines: Lines, name: str) -> int:
    return sum(numbers(lines.get(name, "")).values())


@pytest.mark.parametrize("store", STORES)
def test_a_fan_out_of_a_thousand_asks_the_store_for_what_one_of_a_hundred_does(store: str) -> None:
    costs = read(store)
    for name in COUNTS:
        assert costs[WIDE].get(name) == costs[FEW].get(name)


@pytest.mark.parametrize("store", STORES)
def test_an_item_of_a_thousand_costs_no_more_python_than_one_of_a_hundred(store: str) -> None:
    costs = read(store)
    for name in ("python calls", "kernel callbacks", "kernel tasks", "tasks"):
        assert total(costs[WIDE], name) / 1_000 <= total(costs[FEW], name) / 100


@pytest.mark.parametrize("store", STORES)
def test_one_more_step_is_one_more_commit_and_reads_nothing(store: str) -> None:
    costs = read(store)
    assert STEP.total(costs, "commits") == 1
    if store == "postgres":
        assert STEP.total(costs, "statements") == 1
        assert STEP.count(costs, "rows") == {"history +": 1, "workers ~": 1}


@pytest.mark.parametrize("store", STORES)
def test_a_step_in_a_crowd_is_a_fiftieth_of_a_commit_or_less(store: str) -> None:
    assert total(read(store)[CROWD], "commits") <= 2_000 / 50


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize(
    ("many", "count", "one"),
    [
        ("100 starts in a batch, to their results", 100, "start to result, no activity"),
        ("100 events in a batch, to the results", 100, "1 event, to the result"),
        ("100 children, start to result", 100, "1 child, start to result"),
        ("100 signals at once", 100, "10 signals, each acknowledged"),
        (MANY, 101, ONE),
        (WIDE, 1_000, "fan-out of 1 activity"),
    ],
)
def test_many_cost_less_than_each_alone(store: str, many: str, count: int, one: str) -> None:
    costs = read(store)
    for name in ("statements", "commits", "rows", "python calls"):
        assert total(costs[many], name) < count * total(costs[one], name)


# -- the ledger itself


@pytest.mark.parametrize("store", STORES)
def test_what_is_written_is_read(store: str) -> None:
    costs = read(store)
    assert render(store, costs).split("\n\n", 1)[1].count("\n    ") == sum(map(len, costs.values()))
    assert {line.of for line in LINES} <= set(read("postgres"))


@pytest.mark.parametrize(
    ("told", "counts"),
    [
        ("claim_work 1, read 20", {"claim_work": 1, "read": 20}),
        ("history +3, instances +1 ~2", {"history +": 3, "instances +": 1, "instances ~": 2}),
        ("asyncio and anyio 7", {"asyncio and anyio": 7}),
        ("104", {"": 104}),
        ("", {}),
    ],
)
def test_counts_are_read(told: str, counts: dict[str, int]) -> None:
    assert numbers(told) == counts


@pytest.mark.parametrize(
    ("name", "expected", "counted", "fits"),
    [
        ("statements", "read 1", "read 1", True),
        ("statements", "read 1", "read 2", False),
        ("statements", "read 2", "read 1", False),
        ("statements", "", "read 1", False),
        ("python calls", "kernel 100", "kernel 102", True),
        ("python calls", "kernel 100", "kernel 50, worker 50", True),
        ("python calls", "kernel 100", "kernel 104", False),
        ("python calls", "kernel 100", "kernel 100, worker 9", False),
        ("WAL bytes", "1000", "1100", True),
        ("WAL bytes", "1000", "1300", False),
    ],
)
def test_counts_are_exact_or_bounds(name: str, expected: str, counted: str, fits: bool) -> None:
    assert (differences({name: expected}, {name: counted}) == []) is fits
