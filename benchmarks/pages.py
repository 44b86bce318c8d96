"""Tables that programs write into pages: each stands between two comments that name it.

python -m benchmarks.pages            writes them anew
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from benchmarks.costs import tables as costs
from benchmarks.costs.ledger import read
from benchmarks.model import tables as model
from benchmarks.samples import ROOT

PAGES = (ROOT / "docs" / "explanation" / "costs.md",)

_PLACE = re.compile(
    r"(?P<begin><!-- table: (?P<name>[\w-]+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL
)


def tables() -> Mapping[str, str]:
    """Return every table by its name."""
    postgres, sqlite = read("postgres"), read("sqlite")
    return {
        "costs-on-postgres": costs.on_postgres(postgres),
        "costs-on-sqlite": costs.on_sqlite(sqlite),
        "calls-by-floor": costs.by_floor(postgres),
        "model-used": model.used(postgres),
        "model-walls": model.walls(postgres),
        "model-amounts": model.amounts(postgres),
        "model-speeds": model.speeds(postgres),
    }


def filled(text: str, known: Mapping[str, str]) -> str:
    """Return a page's text with its tables as they should be."""
    return _PLACE.sub(
        lambda place: f"{place['begin']}\n{known[place['name']]}\n\n{place['end']}", text
    )


def fill(path: Path, known: Mapping[str, str]) -> None:
    """Write a page's tables anew."""
    path.write_text(filled(path.read_text(encoding="utf-8"), known), encoding="utf-8")


if __name__ == "__main__":
    for page in PAGES:
        fill(page, tables())
