"""Claims go by kind: in the order of one line, and past what is for others without a look at it."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

import durable_async.backends.sqlite as package
from durable_async.backends.sqlite.claims import Fetch
from durable_async.backends.sqlite.states import KnownStates
from durable_async.backends.sqlite.transaction import Statements
from durable_async.model.records import Fence, Work

SCHEMA = Path(package.__file__).parent / "sql" / "schema" / "0001_initial.sql"
HUB = 1
NOW_US = 1_000
MINE = ("a", "b")
STRANGER = "not mine"


class Store:
    """A schema in memory, with a worker, and rows as they come."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.executescript(SCHEMA.read_text(encoding="utf-8"))
        self.connection.execute("insert into workers values (?, 'w', 1, 0, 0, 0, 0)", [HUB])
        self._number = 0

    def add_ready(
        self, instance_id: str, name: str, version: str | None, at_us: int, *, ending: bool = False
    ) -> None:
        self.connection.execute(
            "insert into instances (hub, id, name, status, execution, version, ready_at_us, start_at_us, ending, created_at_us, updated_at_us)"
            " values (?, ?, ?, 'pending', 1, ?, ?, 0, ?, 0, 0)",
            [HUB, instance_id, name, version, at_us, ending],
        )

    def queue(self, name: str) -> None:
        self.connection.execute(
            "insert into queued_activities (hub, key, execution, seq, attempt, name, input, options)"
            " values (?, (select min(key) from instances), 1, 0, 1, ?, x'00', x'00')",
            [HUB, name],
        )

    def fetch(self, **fields: Any) -> Work:
        self._number += 1
        fields = {
            "instances": 5,
            "activities": 5,
            "names": frozenset(MINE),
            "activity_names": frozenset(MINE),
            "passed_over": frozenset(),
            **fields,
        }
        fetch = Fetch(
            Fence(worker_id="w", epoch=1, seq=0), number=self._number, history_bytes_max=1, **fields
        )
        return fetch.run(Statements(self.connection, HUB, NOW_US, KnownStates()))

    def steps(self, **fields: Any) -> int:
        """Return how many instructions SQLite runs for a fetch."""
        count = 0

        def step() -> int:
            nonlocal count
            count += 1
            return 0

        self.connection.set_progress_handler(step, 1)
        self.fetch(**fields)
        self.connection.set_progress_handler(None, 0)
        return count


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store()
    yield store
    store.connection.close()


ready = st.tuples(
    st.sampled_from([*MINE, STRANGER]),
    st.sampled_from([None, "", "1", "2"]),
    st.integers(NOW_US - 3, NOW_US + 1),
    st.booleans(),
)
kinds = st.frozensets(
    st.tuples(st.sampled_from([*MINE, STRANGER]), st.sampled_from(["", "1", "2"])), max_size=3
)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(ready, max_size=12),
    passed_over=kinds,
    names=st.sampled_from([None, frozenset(MINE), frozenset({"b"}), frozenset[str]()]),
    limit=st.integers(1, 4),
)
def test_claims_are_those_of_one_line_of_all_that_is_for_the_worker(
    rows: list[tuple[str, str | None, int, bool]],
    passed_over: frozenset[tuple[str, str]],
    names: frozenset[str] | None,
    limit: int,
) -> None:
    store = Store()
    line = []
    for n, (name, version, at_us, ending) in enumerate(rows):
        instance_id = f"{n * 5 % 12:02}"
        store.add_ready(instance_id, name, version, at_us, ending=ending)
        is_mine = (names is None or name in names) and (name, version or "") not in passed_over
        if at_us <= NOW_US and (ending or is_mine):
            line.append((at_us, instance_id))
    expected = [instance_id for _, instance_id in sorted(line)]
    claimed: list[str] = []
    while work := store.fetch(names=names, passed_over=passed_over, instances=limit).claimed:
        assert len(work) == min(limit, len(expected) - len(claimed))
        claimed += [one.instance_id for one in work]
    assert claimed == expected
    store.connection.close()


@given(
    queue=st.lists(st.sampled_from([*MINE, STRANGER]), max_size=12),
    names=st.sampled_from([None, frozenset(MINE), frozenset({"b"}), frozenset[str]()]),
    limit=st.integers(1, 4),
)
@settings(max_examples=60, deadline=None)
def test_activities_are_those_of_one_line_of_all_that_is_for_the_worker(
    queue: list[str], names: frozenset[str] | None, limit: int
) -> None:
    store = Store()
    store.add_ready("owner", STRANGER, None, NOW_US + 1)
    for name in queue:
        store.queue(name)
    expected = [n for n, name in enumerate(queue, 1) if names is None or name in names]
    claimed: list[int] = []
    while work := store.fetch(activity_names=names, activities=limit).activities:
        assert len(work) == min(limit, len(expected) - len(claimed))
        claimed += [one.item_id for one in work]
    assert claimed == expected
    store.connection.close()


@pytest.mark.parametrize("has_own", [False, True])
def test_what_is_for_others_costs_nothing_however_much_it_is(store: Store, has_own: bool) -> None:
    def fill(count: int) -> None:
        for n in range(count):
            store.add_ready(f"{STRANGER} {count} {n}", STRANGER, None, 0)
            store.queue(STRANGER)

    def cost() -> int:
        if has_own:
            store.add_ready(f"mine {store.connection.total_changes}", "a", "1", 1)
            store.queue("a")
        return store.steps()

    fill(10)
    cost()
    few = cost()
    fill(500)
    assert cost() == few


def test_what_is_passed_over_costs_nothing_however_much_it_is(store: Store) -> None:
    store.add_ready("x", "a", "1", 0)
    passed_over = frozenset({("a", "1")})
    few = store.steps(passed_over=passed_over)
    for n in range(500):
        store.add_ready(f"x{n}", "a", "1", 0)
    assert store.steps(passed_over=passed_over) == few


def test_how_many_names_there_are_is_nothing_to_a_worker_that_takes_any(store: Store) -> None:
    names = map(str, itertools.count())

    def cost(count: int) -> int:
        for name in itertools.islice(names, count):
            store.add_ready(name, name, None, 0)
            store.queue(name)
        return store.steps(names=None, activity_names=None)

    cost(10)
    few = cost(10)
    assert cost(500) == few
