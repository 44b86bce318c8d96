"""What things cost is what is written in ``expected``; nothing is timed. ``./dev bench costs --accept`` writes it anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.costs.counting import count_one, workloads_on
from benchmarks.costs.ledger import Lines, differences, read, render
from benchmarks.costs.stores import NotCountingError, PostgresStore, SqliteStore, counting_server

from durable_async.testing.postgres import PostgresLab


@pytest.fixture(scope="module")
def counting_lab() -> Iterator[PostgresLab]:
    try:
        with counting_server() as lab:
            yield lab
    except NotCountingError as error:
        pytest.skip(str(error))


def check(store: str, name: str, counted: Lines) -> None:
    expected = read(store)[name]
    changed = differences(expected, counted)
    assert not changed, "\n".join(
        [
            "what this costs is not what is written:",
            *changed,
            "",
            f"counted: {render(store, {name: counted})}",
            f"expected: {render(store, {name: expected})}",
            "./dev bench costs --accept writes it down, if it is meant",
        ]
    )


@pytest.mark.parametrize("name", workloads_on("postgres"))
def test_costs_on_postgres(name: str, counting_lab: PostgresLab, fresh_name: str) -> None:
    check("postgres", name, count_one(name, PostgresStore(counting_lab, fresh_name)))


@pytest.mark.parametrize("name", workloads_on("sqlite"))
def test_costs_on_sqlite(name: str, tmp_path: Path) -> None:
    check("sqlite", name, count_one(name, SqliteStore(tmp_path / "hub.db")))


@pytest.mark.parametrize("store", ["postgres", "sqlite"])
def test_what_is_written_is_of_what_is_counted(store: str) -> None:
    assert list(read(store)) == workloads_on(store)
