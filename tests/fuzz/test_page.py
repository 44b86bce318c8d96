"""The page about fuzzing names every target."""

from __future__ import annotations

import re
from pathlib import Path

from .targets import TARGETS

PAGE = Path(__file__).parents[2] / "docs/internals/fuzzing.md"


def test_the_page_names_the_targets() -> None:
    rows = [
        line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")
    ]
    told = {name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])}
    there = {"compat-…" if name.startswith("compat-") else name for name in TARGETS}
    assert told == there
