"""Who counts trials: the store, and the invariants by themselves."""

from __future__ import annotations

import pytest

from durable_async.model.records import Abandon, CommitItem, Recount, Release
from durable_async.testing.simulation.invariants._calls import Call
from durable_async.testing.simulation.invariants.claims import LATER, Claims
from durable_async.testing.simulation.violations import Violation

ATTEMPTS_MAX = 5


def commit(*items: CommitItem) -> Call:
    return Call(node="w1", verb="commit", args=(None, items), options={}, answer=None, now_us=0)


TRIAL = commit(
    Recount(instance_id="a", attempts=4, execution=1), Abandon(instance_id="a", retry_at_us=0)
)


def test_what_is_tried_for_ever_is_found_although_the_count_is_set_back() -> None:
    claims = Claims(ATTEMPTS_MAX)
    for _ in range(ATTEMPTS_MAX + LATER):
        claims.see(TRIAL)
    with pytest.raises(Violation, match="tried for ever"):
        claims.see(TRIAL)


def test_who_came_through_begins_anew() -> None:
    claims = Claims(ATTEMPTS_MAX)
    for _ in range(3):
        for _ in range(ATTEMPTS_MAX + LATER):
            claims.see(TRIAL)
        claims.see(commit(Release(instance_id="a", wake_at_us=None)))
