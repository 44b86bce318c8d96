"""Numbered migrations: in order, without gaps, printable."""

from __future__ import annotations

import pytest

from durable_async.backends import _migrations
from durable_async.backends._migrations import Migration, load_migrations, pending, render
from durable_async.errors import ConfigurationError, SchemaVersionError

from .test_sqlfile import FakeFile

STEPS = tuple(
    Migration(number=n, name=f"step{n}", sql=f"create {n};\n", serves=n) for n in (1, 2, 3)
)


def load(monkeypatch: pytest.MonkeyPatch, *names: str) -> tuple[Migration, ...]:
    files = [FakeFile(name, f"-- {name}") for name in names]
    monkeypatch.setattr(_migrations, "sql_files", lambda package, folder: files)
    return load_migrations("any")


def test_files_become_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = load(monkeypatch, "0001_initial.sql", "0002_more_of_it.sql")
    assert [(step.number, step.name) for step in steps] == [(1, "initial"), (2, "more_of_it")]


@pytest.mark.parametrize(
    "names",
    [
        ("0002_late.sql",),
        ("0001_a.sql", "0003_c.sql"),
        ("0001_a.sql", "0001_b.sql"),
        ("initial.sql",),
    ],
)
def test_gaps_doubles_and_strange_names_are_refused(
    monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigurationError):
        load(monkeypatch, *names)


def test_a_step_serves_the_releases_that_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [FakeFile("0001_a.sql", "-- any"), FakeFile("0002_b.sql", "-- why\n-- serves: 1\n")]
    monkeypatch.setattr(_migrations, "sql_files", lambda package, folder: files)
    assert [step.serves for step in load_migrations("any")] == [1, 1]
    assert [step.serves for step in load(monkeypatch, "0001_a.sql", "0002_b.sql")] == [1, 2]


@pytest.mark.parametrize("serves", [0, 3])
def test_a_step_cannot_serve_releases_that_do_not_exist(
    monkeypatch: pytest.MonkeyPatch, serves: int
) -> None:
    files = [FakeFile("0001_a.sql", ""), FakeFile("0002_b.sql", f"-- serves: {serves}\n")]
    monkeypatch.setattr(_migrations, "sql_files", lambda package, folder: files)
    with pytest.raises(ConfigurationError, match="cannot serve"):
        load_migrations("any")


def test_a_newer_store_that_serves_this_release_lacks_nothing() -> None:
    assert pending(STEPS, 4, 3) == ()
    assert pending(STEPS, 9, 2) == ()
    with pytest.raises(SchemaVersionError):
        pending(STEPS, 4, 4)


def test_an_error_says_what_to_do() -> None:
    assert "upgrade durable-async in this process" in str(SchemaVersionError(4, 3))
    assert "durable-async migrate apply" in str(SchemaVersionError(2, 3))
    assert "no schema yet" in str(SchemaVersionError(0, 3))
    assert str(SchemaVersionError(2, 3, "wait")).endswith("works with 3: wait")


def test_what_is_pending_follows_from_what_is_there() -> None:
    assert pending(STEPS, 0) == STEPS
    assert pending(STEPS, 2) == STEPS[2:]
    assert pending(STEPS, 3) == ()
    with pytest.raises(SchemaVersionError) as caught:
        pending(STEPS, 4)
    assert (caught.value.found, caught.value.wanted) == (4, 3)


def test_all_steps_can_be_printed_as_one_script() -> None:
    assert render(STEPS[:2]) == (
        "-- migration 0001 step1\n\ncreate 1;\n\n-- migration 0002 step2\n\ncreate 2;\n"
    )
