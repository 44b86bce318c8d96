"""Hunt faults that were planted: play one seed after the other until it is found, and say after how many, and by what."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator

import msgspec

from .drawing import draw
from .many import COLLECT_EVERY, spread
from .plan import StoreKind
from .planted import PLANTED
from .play import play

SEEDS_MAX = 500


class Catch(msgspec.Struct, frozen=True):
    """What a hunt came to.

    Attributes:
        name: The fault.
        seed: The first that found it; ``None`` if none did.
        invariant: What noticed it.
        words: What it noticed.
    """

    name: str
    seed: int | None = None
    invariant: str = ""
    words: str = ""

    @property
    def is_news(self) -> bool:
        """Whether it was not found although it was before."""
        return self.seed is None and PLANTED[self.name].first_seed is not None

    @property
    def line(self) -> str:
        """Say it in a line."""
        if self.seed is None:
            return f"{self.name}: NOT FOUND"
        first, _, _ = self.words.partition("\n")
        return f"{self.name}: seed {self.seed}, {first}"


def hunt(name: str, seeds: Iterable[int] = range(SEEDS_MAX), store: StoreKind = "memory") -> Catch:
    """Play seeds until one finds a fault; one that fails without it as well has found something else."""
    for seed in seeds:
        plan = draw(seed, store=store)
        report = play(plan, planted=name)
        if seed % COLLECT_EVERY == 0:
            gc.collect()  # it rests while a seed plays
        if report.violation and not play(plan).violation:
            return Catch(name, seed, report.invariant, report.violation)
    return Catch(name)


def hunt_all(names: Iterable[str], *, seeds: int = SEEDS_MAX, jobs: int = 1) -> Iterator[Catch]:
    """Hunt one after the other, in so many processes."""
    return spread(_job, [(name, seeds) for name in names], jobs)


def names_of(asked: str) -> list[str]:
    """Return the faults that are asked for: one by name, several with commas between, or all.

    Raises:
        ValueError: There is no such fault.
    """
    if asked == "all":
        return list(PLANTED)
    names = asked.split(",")
    if unknown := [name for name in names if name not in PLANTED]:
        raise ValueError(f"no such fault: {', '.join(unknown)}; there are {', '.join(PLANTED)}")
    return names


def table() -> str:
    """Return all faults as a table of the page about them."""
    lines = [
        "| fault | what it breaks | rule | noticed by | first seed |",
        "|---|---|---|---|---|",
    ]
    for one in sorted(PLANTED.values(), key=lambda one: one.name):
        noticed = ", ".join(one.caught_by)
        lines.append(
            f"| `{one.name}` | {one.breaks} | {one.rule} | {noticed} | {'not found' if one.first_seed is None else one.first_seed} |"
        )
    return "\n".join(lines) + "\n"


def _job(task: tuple[str, int]) -> Catch:
    name, seeds = task
    return hunt(name, range(seeds))
