"""Faults that are planted: each changes the engine for as long as it is there, those that are quickly found are found, and the page tells of all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from durable_async.backends.memory.state import HubState
from durable_async.testing.simulation.hunting import Catch, hunt, names_of, table
from durable_async.testing.simulation.planted import PLANTED, _planting, lifted, planted

PAGE = Path(__file__).parents[4] / "docs" / "internals" / "simulation.md"
QUICK_SEEDS = 8
"""What was found within so many seeds is found again within some more, also when code changes have shifted them."""
ENOUGH = 80
QUICK = [one.name for one in PLANTED.values() if one.first_seed in range(QUICK_SEEDS)]


def chunk(number: int, of: int) -> list[str]:
    return QUICK[number::of]


@pytest.mark.parametrize("number", range(4))
def test_what_is_quickly_found_is_found(number: int) -> None:
    seeds = range(int(os.environ.get("DURABLE_ASYNC_SEEDS", ENOUGH)))
    missed = [catch.name for name in chunk(number, 4) if (catch := hunt(name, seeds)).seed is None]
    assert missed == []


@pytest.mark.parametrize("name", PLANTED)
def test_a_fault_is_there_and_then_gone(name: str) -> None:
    def state() -> list[object]:
        return [vars(owner).get(attribute) for owner, attribute in places]

    with planted(name):
        (patch,) = _planting._in_place
        places = [(owner, attribute) for owner, attribute, _, _ in patch._put]
        with_it = state()
        assert places
        with lifted():
            without = state()
        assert state() == with_it
        assert without != with_it
    assert state() == without


def test_nothing_is_planted_without_a_name() -> None:
    before = dict(vars(HubState))
    with planted(None):
        assert dict(vars(HubState)) == before


def test_each_was_found_within_500_seeds() -> None:
    assert len(PLANTED) >= 40
    assert [one.name for one in PLANTED.values() if one.first_seed not in range(500)] == []


def test_the_page_tells_of_all() -> None:
    assert table() in PAGE.read_text(encoding="utf-8"), "write hunting.table() into the page"


def test_a_hunt_says_what_came_of_it() -> None:
    assert hunt("timers-early", ()) == Catch("timers-early")
    assert Catch("timers-early").line == "timers-early: NOT FOUND"
    assert Catch("x", 3, "I1", "I1 at i: other\nmore").line == "x: seed 3, I1 at i: other"
    assert names_of("all") == list(PLANTED)
    assert names_of("no-fence,own-clock") == ["no-fence", "own-clock"]
