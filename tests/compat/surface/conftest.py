"""The table and what it speaks of, read once."""

from __future__ import annotations

from typing import Any

import pytest

from .surfaces import read_ours
from .table import Entry, Table, entries, load_snapshot, load_table


@pytest.fixture(scope="session")
def table() -> Table:
    return load_table()


@pytest.fixture(scope="session")
def snapshot() -> dict[str, Any]:
    return load_snapshot()


@pytest.fixture(scope="session")
def names(table: Table, snapshot: dict[str, Any]) -> list[Entry]:
    return list(entries(table, snapshot["modules"]))


@pytest.fixture(scope="session")
def ours(snapshot: dict[str, Any]) -> dict[str, Any]:
    return read_ours(snapshot)
