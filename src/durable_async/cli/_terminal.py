"""What is said to people: text that no terminal acts on, questions, and progress."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

import typer
from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from durable_async import ConfigurationError

WIDTH_OF_FILES = 160
"""What is piped or written to a file has no width of its own, and is not to be cut at that of a terminal from 1978."""

FOLDED_WIDTH = 16
"""Text that may be broken anywhere gets as many columns at least."""
GAP = 2
WIDTH_MAX = 1_000_000


def plain(text: str) -> str:
    r"""Return a text as it can be shown: what a terminal would act on, or would not show, is escaped, such as ``\x1b`` or ``\u202e``."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "backslashreplace").decode("ascii")


def plain_lines(text: str) -> str:
    """Return a text as it can be shown, with its line breaks."""
    return "\n".join(map(plain, text.split("\n")))


def words(text: str, style: str = "") -> Text:
    """Return a text for a table, as it can be shown."""
    return Text(plain(text), style=style)


def words_of_lines(text: str, style: str = "") -> Text:
    """Return a text of several lines, as it can be shown."""
    return Text(plain_lines(text), style=style)


_UNSAFE_IN_JSON = re.compile(
    "[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def plain_json(document: str) -> str:
    """Return a JSON document with what a terminal would act on escaped; it means the same."""
    return _UNSAFE_IN_JSON.sub(_escape, document)


def _escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))


def console() -> Console:
    """Return where answers go: standard output, in colours only if that is a terminal."""
    return _console(stderr=False)


def notes() -> Console:
    """Return where everything else goes: standard error."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    found = Console(stderr=stderr, highlight=False)
    if not found.is_terminal and "COLUMNS" not in os.environ:
        found.width = WIDTH_OF_FILES
    return found


def lay_out(table: Table) -> None:
    """Print a table, without columns in which nothing stands.

    Nothing is cut, for it is there to be read and copied: where the terminal is narrow, cells take several lines, and where it is narrower than their
    longest words, each row is one long line, which the terminal breaks.
    """
    found = console()
    table.columns[:] = [one for one in table.columns if any(map(str, one.cells))]
    boundless = found.options.update(width=WIDTH_MAX)
    for column in table.columns:
        column.min_width = _width(column, found, boundless)
    if sum(one.min_width or 0 for one in table.columns) + GAP * len(table.columns) > found.width:
        found.width = Measurement.get(found, boundless, table).maximum
    found.print(table)


def _width(column: Column, on: Console, boundless: ConsoleOptions) -> int:
    """Return how wide a column is at least: as its longest word, or as its longest line if it is not to wrap."""
    cells = [Measurement.get(on, boundless, one) for one in (column.header, *column.cells)]
    longest = max(one.maximum for one in cells)
    if column.overflow == "fold":
        return min(FOLDED_WIDTH, longest)
    return longest if column.no_wrap else max(one.minimum for one in cells)


def say(text: str, style: str = "") -> None:
    """Say a sentence on standard output; where it is too long, the terminal breaks it, and a file has it whole."""
    console().print(words_of_lines(text, style), soft_wrap=True)


def note(text: str, style: str = "") -> None:
    """Say a sentence on standard error."""
    notes().print(words_of_lines(text, style), soft_wrap=True)


def first_of(limit: int) -> str:
    """Return what is said where only so many are shown."""
    return f"The first {limit}; --limit shows more."


def say_more(text: str, *, aside: bool) -> None:
    """Say that this is not all; on standard error where the answer is for programs."""
    (note if aside else say)(text)


def make_sure(question: str, *, yes: bool) -> None:
    """Ask before something that cannot be undone; no answer means no.

    Raises:
        ConfigurationError: The answer is no, or nobody is there to give one.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError(f"{question} Nobody is there to answer: say --yes")
    if not typer.confirm(plain(question), default=False, err=True):
        raise ConfigurationError("nothing was done")


@contextmanager
def progress(what: str, total: int) -> Generator[Callable[[int], None]]:
    """Show how far long work has come, on standard error, if that is a terminal; yields what is told how much is done."""
    shown = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=notes(),
        transient=True,
        disable=not notes().is_terminal,
    )
    done = 0

    def tell(completed: int) -> None:
        nonlocal done
        done = completed
        shown.update(task, completed=completed)

    try:
        with shown:
            task = shown.add_task(what, total=total)
            yield tell
    except BaseException:
        note(f"{what} was stopped after {done:,} of {total:,}")
        raise
