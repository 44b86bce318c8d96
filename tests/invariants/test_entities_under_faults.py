"""Whole workers, clients, entities and locks on a store that misbehaves, in virtual time; each story says itself what must hold.

CI plays a few hundred seeds. ``DURABLE_ASYNC_SEEDS=5000`` plays so many of each story, ``DURABLE_ASYNC_SEEDS=5000-6000`` others than those.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from .entity_bank import Bank
from .entity_life import Life
from .entity_stage import InFile, Simulation, run
from .entity_streams import Streams

SEEDS = {Streams: 140, Bank: 36, Life: 140}
SEEDS_IN_FILE = 6
CHUNK = 10


def seeds(few: int) -> range:
    """Return the seeds to play: a few, or those of the environment."""
    first, _, last = os.environ.get("DURABLE_ASYNC_SEEDS", str(few)).rpartition("-")
    return range(int(first or 0), int(last))


def chunks(which: range) -> list[range]:
    """Cut seeds into stretches, one for each test: most of what a short test costs is to report it."""
    return [which[at : at + CHUNK] for at in range(0, len(which), CHUNK)]


PLAYS = [(story, chunk) for story, few in SEEDS.items() for chunk in chunks(seeds(few))]


@pytest.mark.parametrize(
    ("story", "chunk"),
    [pytest.param(*play, id=f"{play[0].__name__}-{play[1][0]}") for play in PLAYS],
)
def test_whatever_fails_everybody_is_told_the_truth(
    story: Callable[[], Simulation], chunk: range
) -> None:
    for seed in chunk:
        with_seed(story, seed)


@pytest.mark.parametrize("story", SEEDS)
def test_it_is_no_different_on_a_file(story: Callable[[], Simulation], tmp_path: Path) -> None:
    for seed in seeds(SEEDS_IN_FILE):
        with_seed(story, seed, tmp_path / f"{seed}.db")


def with_seed(story: Callable[[], Simulation], seed: int, path: Path | None = None) -> None:
    try:
        run(story(), seed, None if path is None else InFile(path))
    except BaseException as error:
        error.add_note(f"{story.__name__} with seed {seed}")
        raise
