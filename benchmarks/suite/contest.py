"""A contest: one workload, those who run it, and what is told of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import median

from benchmarks.samples import ROOT, spread, table

from .environments import interpreter

SECONDS_MAX = 240.0


@dataclass(frozen=True)
class Contender:
    """Somebody who runs the workload, in a process of its own for each round.

    Attributes:
        name: What the table calls it.
        arguments: What its interpreter is given: ``-m benchmarks.ours.x 100``, or a file and its arguments.
        peer: The environment that it runs in; ``None`` for our own.
    """

    name: str
    arguments: tuple[str, ...]
    peer: str | None = None

    def run(self) -> dict[str, float]:
        """Run one round, and return its figures.

        Raises:
            RuntimeError: It failed.
        """
        python, env = sys.executable, dict(os.environ)
        if self.peer is not None:
            python = str(interpreter(self.peer))
            env.pop(
                "PYTHONPATH", None
            )  # it may lead to our own modules, which have names of theirs
        done = subprocess.run(
            [python, *self.arguments],
            cwd=ROOT,
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS_MAX,
        )
        if done.returncode:
            raise RuntimeError(f"{self.name}: {done.stderr[-2000:]}")
        return _last_object(done.stdout)


def _last_object(output: str) -> dict[str, float]:
    """Return what a program printed last; a peer's log may follow it on the same line."""
    line = [line for line in output.splitlines() if line.lstrip().startswith("{")][-1]
    figures: dict[str, float]
    figures, _ = json.JSONDecoder().raw_decode(line.lstrip())
    return figures


@dataclass(frozen=True)
class Figure:
    """A column: a figure of each contender, and how it is written."""

    title: str
    key: str
    form: str = "{:,.0f}"


@dataclass(frozen=True)
class Goal:
    """A ratio of a figure of ours to another's, round by round, and the bound that it is to keep.

    Attributes:
        told: What is compared, as the report says it.
        key: The figure.
        ours: Name of one contender.
        other: Name of the other; ``None`` to judge the figure itself.
        at_least: Lower bound, or ``None``.
        at_most: Upper bound, or ``None``.
    """

    told: str
    key: str
    ours: str
    other: str | None = None
    at_least: float | None = None
    at_most: float | None = None

    def judge(self, rounds: dict[str, list[dict[str, float]]]) -> str:
        """Return one line: the median, its spread, and whether it keeps the bound."""
        pairs = zip(rounds[self.ours], rounds[self.other or self.ours], strict=False)
        values = [
            mine[self.key] / (1 if self.other is None else theirs[self.key])
            for mine, theirs in pairs
            if self.key in mine and self.key in theirs
        ]
        if not values:
            return f"{self.told}: not measured"
        middle = median(values)
        kept = (self.at_least is None or middle >= self.at_least) and (
            self.at_most is None or middle <= self.at_most
        )
        bound = f"at least {self.at_least:g}" if self.at_least is not None else ""
        bound += f"at most {self.at_most:g}" if self.at_most is not None else ""
        return f"{self.told}: {spread(values, '{:,.3g}')} ({bound}: {'kept' if kept else 'MISSED'})"


@dataclass(frozen=True)
class Contest:
    """One workload.

    Attributes:
        key: ``S1`` and so on.
        title: What is done.
        contenders: Who does it.
        figures: What is told of each.
        goals: What is judged.
        needs_postgres: Whether a server runs meanwhile, whose DSN is in the environment.
        server_settings: Settings of that server beside Postgres's own.
        surroundings: Environment variables of the contenders, made for the contest; for a slow disk and the like.
        at_once: Whether all contenders of a round run at the same time: they only wait, and do not disturb each other.
        rounds_max: Most rounds, where one is long and the figures hardly move.
    """

    key: str
    title: str
    contenders: Sequence[Contender]
    figures: Sequence[Figure]
    goals: Sequence[Goal] = ()
    needs_postgres: bool = True
    server_settings: dict[str, str] = field(default_factory=dict)
    surroundings: Callable[[], dict[str, str]] = dict
    at_once: bool = False
    rounds_max: int | None = None


@dataclass
class Result:
    """What came out.

    Attributes:
        contest: The contest.
        rounds: Figures by contender, a dictionary a round.
        failures: Who failed, and how.
        seconds: How long all of it took.
    """

    contest: Contest
    rounds: dict[str, list[dict[str, float]]]
    failures: dict[str, str]
    seconds: float = 0.0

    def report(self) -> str:
        """Return the table and the goals in Markdown; a contender that failed is told of, and not left out."""
        contest = self.contest
        rows = [
            [one.name, *(self._cell(one.name, figure) for figure in contest.figures)]
            for one in contest.contenders
        ]
        lines = [f"## {contest.key}: {contest.title}", ""]
        lines.append(table(["", *(figure.title for figure in contest.figures)], rows))
        lines += ["", *(f"- {goal.judge(self.rounds)}" for goal in contest.goals)]
        lines += [f"- {name} failed: {why}" for name, why in self.failures.items()]
        lines.append(f"- took {self.seconds:.0f} s")
        return "\n".join(lines) + "\n"

    def _cell(self, name: str, figure: Figure) -> str:
        values = [figures[figure.key] for figures in self.rounds[name] if figure.key in figures]
        return spread(values, figure.form) if values else "-"


def play(contest: Contest, rounds: int) -> Result:
    """Run every contender once a round, so that a slow phase of the machine meets them all."""
    result = Result(contest, {one.name: [] for one in contest.contenders}, {})
    before, began = dict(os.environ), time.monotonic()
    os.environ.update(contest.surroundings())
    try:
        for _ in range(min(rounds, contest.rounds_max or rounds)):
            with ThreadPoolExecutor(len(contest.contenders) if contest.at_once else 1) as pool:
                list(pool.map(lambda one: _play_one(one, result), contest.contenders))
    finally:
        os.environ.clear()
        os.environ.update(before)
    result.seconds = time.monotonic() - began
    return result


def _play_one(contender: Contender, result: Result) -> None:
    try:
        result.rounds[contender.name].append(contender.run())
    except (RuntimeError, subprocess.SubprocessError, ValueError) as error:
        result.failures[contender.name] = str(error).strip().splitlines()[-1][:300]
