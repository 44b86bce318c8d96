"""Pages that tell of costs tell what was counted, and what the model makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.pages import PAGES, filled, tables


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_its_tables_are_those_of_the_programs(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert filled(text, tables()) == text, "python -m benchmarks.pages writes them anew"


def test_every_table_is_on_a_page() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [name for name in tables() if f"<!-- table: {name} -->" not in text] == []
