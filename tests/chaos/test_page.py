"""The page about chaos says how much of each fault a run brings; this is what it brings."""

from __future__ import annotations

import runpy
from pathlib import Path

HERE = Path(__file__).parent
POSTGRES: dict[str, int] = runpy.run_path(str(HERE / "everything/quotas.py"))["POSTGRES"]
"""Read as a file: the programs beside have plain module names, which are not for this process."""

PAGE = HERE.parent.parent / "docs/internals/chaos.md"
NAMES = {"slow connections": "slow-seconds", "pinned xmin": "pinned-seconds"}
APART = {"fenced", "operations"}
"""Which are no faults, and stand in the text."""


def test_the_page_tells_the_quotas() -> None:
    text = PAGE.read_text(encoding="utf-8").partition("| fault | in ten minutes |")[2]
    told: dict[str, int] = {}
    for line in text.partition("\n\n")[0].splitlines()[2:]:
        name, number, *_ = (cell.strip() for cell in line.strip("|").split("|"))
        if number != "always":
            told[NAMES.get(name, name)] = int(number.removesuffix(" s"))
    wanted = {name: number for name, number in POSTGRES.items() if name not in APART}
    assert {_plain(name): number for name, number in told.items()} == {
        _plain(name): number for name, number in wanted.items()
    }


def _plain(name: str) -> str:
    return name.replace(" ", "").replace("-", "")
