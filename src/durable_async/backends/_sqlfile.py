"""Named statements out of ``.sql`` files, so that SQL is read, reviewed and planned as SQL.

A file holds statements like this, each with the reason why it is as it is::

    -- name: count_letters
    -- Bounded: nobody needs to know how far over the limit a mailbox is.
    select count(*) from ...

``-- include: NAME`` stands for the text of another statement, which may be a mere fragment. This is the only place where
statements are put together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

from durable_async.errors import ConfigurationError

_NAME = re.compile(r"-- name: (\w+)$")
_INCLUDE = re.compile(r"-- include: (\w+)$")


def load_statements(package: str, folder: str = "sql/queries") -> dict[str, str]:
    """Return the statements of all ``.sql`` files in a package's folder by name.

    Raises:
        ConfigurationError: A name stands twice, a statement gives no reason, or an include leads nowhere.
    """
    texts: dict[str, str] = {}
    for file in sql_files(package, folder):
        for name, text in parse_statements(file.read_text(encoding="utf-8"), file.name).items():
            if name in texts:
                raise ConfigurationError(f"{file.name}: the statement {name!r} stands twice")
            texts[name] = text
    return {name: included(text, texts) for name, text in texts.items()}


def sql_files(package: str, folder: str) -> list[Traversable]:
    """List the ``.sql`` files of a package's folder in order of their names."""
    place = files(package).joinpath(*folder.split("/"))
    found = [file for file in place.iterdir() if file.name.endswith(".sql")]
    return sorted(found, key=lambda file: file.name)


def parse_statements(text: str, source: str) -> dict[str, str]:
    """Split a file's text into its named statements, comments taken out.

    Raises:
        ConfigurationError: A statement gives no reason, is empty, or stands twice.
    """
    statements: dict[str, str] = {}
    for name, lines in _sections(text):
        reasons = [line for line in lines if line.startswith("-- ") and not _INCLUDE.match(line)]
        body = "\n".join(line for line in lines if line.strip() and line not in reasons)
        if name in statements or not reasons or not body:
            raise ConfigurationError(
                f"{source}: the statement {name!r} stands twice, is empty or does not say why"
            )
        statements[name] = body.rstrip().rstrip(";")
    return statements


def _sections(text: str) -> Iterator[tuple[str, list[str]]]:
    name: str | None = None
    lines: list[str] = []
    for line in text.splitlines():
        start = _NAME.match(line)
        if start is None:
            lines.append(line)
            continue
        if name is not None:
            yield name, lines
        name, lines = start[1], []
    if name is not None:
        yield name, lines


def included(text: str, texts: Mapping[str, str]) -> str:
    """Return a text in which each ``-- include: NAME`` is replaced.

    Raises:
        ConfigurationError: An include leads nowhere.
    """
    lines: list[str] = []
    for line in text.splitlines():
        include = _INCLUDE.match(line.strip())
        if include is None:
            lines.append(line)
        elif include[1] in texts:
            lines.append(included(texts[include[1]], texts))
        else:
            raise ConfigurationError(f"no statement {include[1]!r} to include")
    return "\n".join(lines)
