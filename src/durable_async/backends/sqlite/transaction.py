"""One transaction, or one read: named statements on a connection, at one moment of the store's clock."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar

import orjson

from durable_async.backends._sqlfile import load_statements

from .states import KnownStates, Row

T = TypeVar("T")

STATEMENTS = load_statements("durable_async.backends.sqlite")


class Statements:
    """Named statements on one connection, in one hub.

    Attributes:
        hub: The hub's number in this file.
        now_us: The store's clock when this began; one moment for all that happens in it.
        known: What is known of instances in a transaction on this connection.
        brought_work: Whether somebody may now have work: an instance ready, a letter, an activity.
        changed: Ids of what ended, or changed its state, and of what was answered.
        progress: Ids of orchestrations whose status changed otherwise.
    """

    def __init__(
        self, connection: sqlite3.Connection, hub: int, now_us: int, known: KnownStates
    ) -> None:
        self.connection = connection
        self.hub = hub
        self.now_us = now_us
        self.known = known
        self.brought_work = False
        self.changed: set[str] = set()
        self.progress: set[str] = set()

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Hold the write lock for a block, then commit it, or roll back and know nothing if it raises."""
        execute = self.connection.execute
        execute("begin immediate")
        try:
            [version] = execute("pragma data_version").fetchone()
            self.known.begin(version)
            yield
            execute("commit")
        except BaseException:
            self.known.forget()
            if self.connection.in_transaction:
                execute("rollback")
            raise

    def rows(self, name: str, /, **values: Any) -> Iterator[Row]:
        """Run a statement and iterate over what it gives."""
        return self.connection.execute(STATEMENTS[name], values)

    def all(self, name: str, /, **values: Any) -> list[Row]:
        """Run a statement to its end."""
        return self.connection.execute(STATEMENTS[name], values).fetchall()

    def one(self, name: str, /, **values: Any) -> Row | None:
        """Run a statement that gives one row at most."""
        found: Row | None = self.connection.execute(STATEMENTS[name], values).fetchone()
        return found

    def count(self, name: str, /, **values: Any) -> int:
        """Run a writing statement and return how many rows it touched."""
        return self.connection.execute(STATEMENTS[name], values).rowcount

    def each(self, name: str, rows: Sequence[Row]) -> int:
        """Run a writing statement once for each row of values; return how many rows it touched in all."""
        if not rows:
            return 0
        return self.connection.executemany(STATEMENTS[name], rows).rowcount


@contextmanager
def atomic(connection: sqlite3.Connection) -> Generator[None]:
    """Hold the write lock for a block, then commit it, or roll back if it raises."""
    connection.execute("begin immediate")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:
            connection.execute("rollback")
        raise


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Generator[None]:
    """Let all reads of a block see the same moment."""
    connection.execute("begin")
    try:
        yield
    finally:
        connection.execute("commit")


def json_list(values: Iterable[Any]) -> str:
    """Return a list as the text that ``json_each`` takes apart."""
    return orjson.dumps(list(values)).decode()


def json_map(values: Mapping[str, str]) -> str:
    """Return a map as the text that ``json_each`` takes apart."""
    return orjson.dumps(dict(values)).decode()


Verb: TypeAlias = Callable[[Statements], T]
