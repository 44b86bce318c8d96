"""Who holds a lease, as calls and answers have told."""

from __future__ import annotations

from typing import Any

from durable_async.model.records import Fence
from durable_async.testing.simulation.invariants._calls import Call
from durable_async.testing.simulation.invariants.fences import Fences

SECOND = 1_000_000
FENCE = Fence(worker_id="one", epoch=1, seq=0)


def call(verb: str, *args: Any, at: int, answer: Any = None) -> Call:
    return Call("w1.1", verb, args, {}, answer, at * SECOND)


def test_a_worker_whose_lease_is_over_may_not_begin_anything() -> None:
    fences = Fences()
    assert not fences.is_deposed("w1.1", 0)  # it is no worker
    fences.see(call("register_worker", "one", 3.0, at=0, answer=FENCE))
    assert not fences.is_deposed("w1.1", 3 * SECOND - 1)
    assert fences.is_deposed("w1.1", 3 * SECOND)
    fences.see(call("renew_lease", FENCE, 3.0, at=2))
    assert not fences.is_deposed("w1.1", 3 * SECOND)
    assert fences.is_deposed("w1.1", 5 * SECOND)
    assert not fences.is_deposed("c1.1", 5 * SECOND)


def test_nor_may_one_that_has_retired_unless_it_comes_again() -> None:
    fences = Fences()
    fences.see(call("register_worker", "one", 3.0, at=0, answer=FENCE))
    fences.see(call("retire_worker", FENCE, at=1))
    assert fences.is_deposed("w1.1", SECOND)
    other = Fence(worker_id="two", epoch=1, seq=0)
    fences.see(call("register_worker", "two", 3.0, at=2, answer=other))
    assert not fences.is_deposed("w1.1", 2 * SECOND)
