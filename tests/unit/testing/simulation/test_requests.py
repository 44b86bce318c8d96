"""What the simulation says of requests that are repeated, also within one call."""

from __future__ import annotations

from durable_async.model.records import Outgoing
from durable_async.testing.simulation.invariants.requests import firsts


def letter(request_id: str | None) -> Outgoing:
    return Outgoing(instance_id="i", execution=None, letter=b"", request_id=request_id)


def test_of_a_request_that_comes_twice_in_one_call_the_first_counts() -> None:
    letters = [letter("a"), letter("b"), letter("a"), letter(None), letter(None)]
    found = list(firsts(letters, [1, 2, 3, 4, 5], {"b"}))
    assert [answer for _, answer in found] == [1, 4, 5]
