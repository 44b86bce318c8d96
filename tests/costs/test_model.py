"""The model of costs: what grows, grows, and a wall is where it says."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from benchmarks.costs.ledger import read
from benchmarks.model.figures import LARGE, SERVERS, constants, habits, load
from benchmarks.model.model import (
    Load,
    Server,
    commits_per_second,
    kept,
    largest,
    notifications_per_second,
    uses,
    workers_max,
)
from hypothesis import given, strategies as st

LEDGER = read("postgres")
COSTS, HABITS = constants(LEDGER), habits(LEDGER)

workers = st.integers(1, 2_000)
servers = st.sampled_from(SERVERS)


@given(workers, workers, servers)
def test_more_workers_use_no_less(one: int, other: int, server: Server) -> None:
    few, many = sorted((one, other))
    less, more = (uses(load(LEDGER, n), HABITS, server, COSTS) for n in (few, many))
    for a, b in zip(less, more, strict=True):
        assert a.what == b.what
        assert a.part <= b.part * (1 + 1e-9)


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_a_wall_is_where_one_worker_more_is_too_many(server: Server) -> None:
    for name, most in workers_max(partial(load, LEDGER), HABITS, server, COSTS).items():
        for count, fits in ((most, True), (most + 1, False)):
            if 0 < count <= 1_000_000:
                [part] = [
                    use.part
                    for use in uses(load(LEDGER, count), HABITS, server, COSTS)
                    if use.what == name
                ]
                assert (part <= 1) is fits, (name, count)


@given(workers, st.floats(0.01, 1e6), st.integers(0, 1_000), servers)
def test_what_gathers_is_bounded_by_what_there_is(
    many: int, starts: float, steps: int, server: Server
) -> None:
    given_load = Load(workers=many, starts=starts, steps=steps, notifications=3, calls_to_work=1)
    commits = commits_per_second(given_load, server)
    assert commits <= starts * (steps + 1) * (1 + 1e-9)
    assert commits <= server.commits
    assert commits <= many / server.sync_seconds * (1 + 1e-9)
    assert notifications_per_second(given_load, HABITS, server) <= 1 / server.notify_seconds


@given(st.integers(1, 10**9), st.integers(0, 1_000))
def test_what_is_kept_is_linear(instances: int, steps: int) -> None:
    one, ten = (kept(n, steps, 10, LARGE, COSTS) for n in (instances, 10 * instances))
    assert ten.bytes == pytest.approx(10 * one.bytes)
    assert ten.read_seconds == pytest.approx(10 * one.read_seconds)
    assert ten.drain_seconds == pytest.approx(10 * one.drain_seconds)
    assert one.index_levels <= ten.index_levels <= one.index_levels + 1


def test_more_cores_are_enough_for_more() -> None:
    small, large = (
        workers_max(partial(load, LEDGER), HABITS, replace(LARGE, cores=cores), COSTS)
        for cores in (8, 64)
    )
    assert all(small[name] <= large[name] for name in small)
    assert small["server CPU in all"] < large["server CPU in all"]


@given(st.integers(0, 10_000))
def test_the_largest_that_fits_is_found(bound: int) -> None:
    assert largest(lambda number: number <= bound, 10_000) == bound
