"""Counts workloads, each in a hub of its own."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .ledger import Lines, lines_of
from .meter import measure
from .stores import PostgresStore, SqliteStore, Store, counting_server
from .workloads import WORKLOADS

STORES = ("postgres", "sqlite")

NewStore = Callable[[], Store]


def workloads_on(store: str) -> list[str]:
    """Return the names of what is counted; processes in virtual time hear of each other on Postgres alone."""
    return [name for name, one in WORKLOADS.items() if store == "postgres" or not one.has_second]


def count(store: str, names: Iterable[str]) -> Iterator[tuple[str, Lines]]:
    """Count workloads."""
    with _STORES[store]() as new:
        for name in names:
            yield name, count_one(name, new())


def count_one(name: str, store: Store) -> Lines:
    """Count one workload."""
    return lines_of(measure(WORKLOADS[name], store))


@contextmanager
def _postgres() -> Generator[NewStore]:
    with counting_server() as lab:
        yield lambda: PostgresStore(lab, f"costs_{secrets.token_hex(4)}")


@contextmanager
def _sqlite() -> Generator[NewStore]:
    with tempfile.TemporaryDirectory() as folder:
        yield lambda: SqliteStore(Path(folder) / f"{secrets.token_hex(4)}.db")


_STORES = {"postgres": _postgres, "sqlite": _sqlite}
