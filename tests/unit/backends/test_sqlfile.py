"""Named statements: found, explained, put together."""

from __future__ import annotations

import pytest

from durable_async.backends import _sqlfile
from durable_async.backends._sqlfile import load_statements, parse_statements
from durable_async.errors import ConfigurationError

TEXT = """-- A file says what it is for.

-- name: one
-- Because.
select 1;

-- name: two
-- For this reason,
-- and that.
select a
from b -- remark
"""


def test_statements_are_split_by_name_and_freed_of_reasons() -> None:
    assert parse_statements(TEXT, "x.sql") == {
        "one": "select 1",
        "two": "select a\nfrom b -- remark",
    }


@pytest.mark.parametrize(
    "text",
    [
        "-- name: a\nselect 1",
        "-- name: a\n-- Why.\n",
        "-- name: a\n-- Why.\nselect 1\n-- name: a\n-- Why.\nselect 2",
    ],
)
def test_a_statement_must_say_why_have_a_body_and_be_alone(text: str) -> None:
    with pytest.raises(ConfigurationError, match="'a'"):
        parse_statements(text, "x.sql")


def test_fragments_are_included_wherever_they_are_defined(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [
        FakeFile("1.sql", "-- name: all\n-- Why.\nselect *\n-- include: source\nwhere a"),
        FakeFile("2.sql", "-- name: source\n-- Why.\nfrom\n-- include: table\n"),
        FakeFile("3.sql", "-- name: table\n-- Why.\nb"),
    ]
    monkeypatch.setattr(_sqlfile, "sql_files", lambda package, folder: files)
    assert load_statements("any")["all"] == "select *\nfrom\nb\nwhere a"


@pytest.mark.parametrize(
    "texts",
    [
        ["-- name: a\n-- Why.\n-- include: nothing\n"],
        ["-- name: a\n-- Why.\nselect 1", "-- name: a\n-- Why.\nselect 2"],
    ],
)
def test_mistakes_across_files_are_found(monkeypatch: pytest.MonkeyPatch, texts: list[str]) -> None:
    files = [FakeFile(f"{number}.sql", text) for number, text in enumerate(texts)]
    monkeypatch.setattr(_sqlfile, "sql_files", lambda package, folder: files)
    with pytest.raises(ConfigurationError):
        load_statements("any")


class FakeFile:
    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self._text = text

    def read_text(self, encoding: str) -> str:
        return self._text
