"""A soak's figures, for people, for machines, and for the README."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from slopes import Slope
from verdict import MEMORY_MIB_AN_HOUR, MULTIXACTS_MAX, Verdict


def as_json(verdict: Verdict) -> dict[str, Any]:
    """Return everything."""
    return {
        "broken": verdict.broken,
        "idle": verdict.idle,
        "memory_mib": {name: _finite(slope) for name, slope in verdict.memory.items()},
        "grown": {name: _finite(slope) for name, slope in verdict.grown.items()},
        **verdict.figures,
    }


def as_markdown(verdict: Verdict) -> str:
    """Return the figures as a table."""
    rows = [("figure", "measured", "limit"), ("---", "---", "---")]
    for name, slope in verdict.memory.items():
        measured = f"{slope.hourly:+.2f} ± {slope.error:.2f} MiB an hour, at {slope.mean:.0f} MiB"
        rows.append((f"memory of {name}", measured, f"{MEMORY_MIB_AN_HOUR:g} MiB an hour"))
    grown = ", ".join(verdict.grown) or "nothing"
    rows.append(("what grew otherwise", grown, "nothing"))
    for name, value in verdict.figures.items():
        limit = f"{MULTIXACTS_MAX:g}" if name.startswith("multixacts") else ""
        rows.append((name.replace("_", " "), _cell(value), limit))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_cell(one)}" for name, one in value.items())
    if isinstance(value, list):
        return " to ".join(_cell(one) for one in value)
    if isinstance(value, tuple):
        return " ± ".join(_cell(one) for one in value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def _finite(slope: Slope) -> dict[str, float | None]:
    return {
        name: round(value, 3) if math.isfinite(value) else None
        for name, value in asdict(slope).items()
    }
