from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from rich.table import Table

from durable_async import ConfigurationError, ValidationError
from durable_async.cli._options import moment_of, payload_of, span_of, tags_of
from durable_async.cli._terminal import (
    lay_out,
    make_sure,
    plain,
    plain_json,
    plain_lines,
    progress,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("order-1", "order-1"),
        ("größe 漢字 😀", "größe 漢字 😀"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\u202egnp", "\\u202egnp"),
        ("\x9b", "\\x9b"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_a_terminal_would_act_on_is_escaped(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_lines_stay_lines() -> None:
    assert plain_lines("a\n\x1bb") == "a\n\\x1bb"


@pytest.mark.parametrize("text", ["\x7f", "\x9b2J", "\u202e", "a\u200fb", "\U000e0041", "plain"])
def test_json_means_the_same(text: str) -> None:
    document = plain_json(json.dumps(text, ensure_ascii=False))
    assert json.loads(document) == text
    assert document.isprintable()


def test_a_question_needs_somebody() -> None:
    make_sure("Purge?", yes=True)
    with pytest.raises(ConfigurationError, match=r"Purge\?.*--yes"):
        make_sure("Purge?", yes=False)


def test_no_is_what_an_empty_answer_means(monkeypatch: pytest.MonkeyPatch) -> None:
    class Person(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Person("\n"))
    with pytest.raises(ConfigurationError, match="nothing was done"):
        make_sure("Purge?", yes=False)
    monkeypatch.setattr("sys.stdin", Person("y\n"))
    make_sure("Purge?", yes=False)


def test_times_are_dates_or_spans() -> None:
    assert span_of("15m") == timedelta(minutes=15)
    assert span_of("1.5h") == timedelta(minutes=90)
    assert moment_of("2026-01-31T12:00", "--at") == datetime(2026, 1, 31, 12, tzinfo=UTC)
    now = datetime.now(UTC)
    ago, ahead = moment_of("2d", "--at"), moment_of("2d", "--at", ahead=True)
    assert ago is not None
    assert ahead is not None
    assert ago < now < ahead
    for text in ("soon", "", "15 m", "9999999w"):
        with pytest.raises(ValidationError, match="--at"):
            moment_of(text, "--at")


@pytest.mark.parametrize("text", ["Ada", "{", "", "\ud800"])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="--input: is not JSON"):
        payload_of(text)


def test_tags_are_pairs() -> None:
    assert tags_of(["a=b", "c=d=e", "f="]) == {"a": "b", "c": "d=e", "f": ""}
    for text in ("a", "=b", ""):
        with pytest.raises(ValidationError, match="KEY=VALUE"):
            tags_of([text])


def test_what_is_interrupted_says_how_far_it_has_come(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), progress("purging", 3_000) as tell:
        tell(1_500)
        raise KeyboardInterrupt
    assert capsys.readouterr().err == "purging was stopped after 1,500 of 3,000\n"


def a_table(*remarks: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("id", "created", "remarks"):
        table.add_column(column)
    table.columns[0].no_wrap = True
    table.columns[2].overflow = "fold"
    for remark in remarks:
        table.add_row("order number 1", "2026-01-31 12:00:00", remark)
    return table


def laid_out(table: Table, columns: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setenv("COLUMNS", str(columns))
    lay_out(table)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_a_column_in_which_nothing_stands_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert laid_out(a_table("", ""), 80, monkeypatch) == [
        "id              created",
        "order number 1  2026-01-31 12:00:00",
        "order number 1  2026-01-31 12:00:00",
    ]


REMARK = "parked for a reason which is long"


def test_cells_take_several_lines_where_the_terminal_is_narrow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = laid_out(a_table(REMARK), 48, monkeypatch)
    assert max(map(len, lines)) <= 48
    words = " ".join(lines).split()
    assert sorted(words) == sorted(
        f"id created remarks order number 1 2026-01-31 12:00:00 {REMARK}".split()
    )


def test_rows_are_lines_where_the_terminal_is_narrower_than_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert laid_out(a_table(REMARK), 20, monkeypatch) == [
        "id              created              remarks",
        f"order number 1  2026-01-31 12:00:00  {REMARK}",
    ]
