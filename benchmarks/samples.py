"""Runs a benchmark as a process of its own, and collects its figures over interleaved rounds."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Series:
    """All rounds of one contender.

    Attributes:
        name: What the table calls it.
        command: How one round is run; its last line of output is a JSON object of figures.
    """

    name: str
    command: Sequence[str]
    rounds: list[dict[str, float]] = field(default_factory=list)

    def run(self) -> None:
        """Run one round."""
        done = subprocess.run(
            list(self.command), cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{self.name}: {done.stderr[-2000:]}")
        self.rounds.append(json.loads(done.stdout.strip().splitlines()[-1]))

    def figure(self, key: str) -> float:
        """Return the median of one figure."""
        return median(self.values(key))

    def values(self, key: str) -> list[float]:
        """Return one figure of every round."""
        return [figures[key] for figures in self.rounds if key in figures]


def interleave(series: Sequence[Series], rounds: int) -> None:
    """Run every contender once a round, so that a slow phase of the machine meets them all."""
    for _ in range(rounds):
        for one in series:
            one.run()


def paired_ratios(a: Series, b: Series, key: str) -> list[float]:
    """Return ``a / b`` round by round."""
    return [x / y for x, y in zip(a.values(key), b.values(key), strict=True)]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Render a table in Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def spread(values: Sequence[float], form: str = "{:,.0f}") -> str:
    """Render median [minimum to maximum]."""
    low, high = form.format(min(values)), form.format(max(values))
    return f"{form.format(median(values))} [{low} to {high}]"


def emit(figures: Mapping[str, float]) -> None:
    """Print a round's figures, as ``Series`` reads them."""
    print(json.dumps(dict(figures)), flush=True)  # a pipe would keep it, and whoever asked waits
