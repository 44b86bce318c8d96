"""What becomes of a call is a matter of its number, and can be written down."""

from __future__ import annotations

from durable_async.testing.simulation.fates import Fate, Fates, HintFate
from durable_async.testing.simulation.plan import Loss, Plan, Profile

ROUGH = Profile(before=0.1, after=0.1, reset=0.1, late=0.1, latency=0.5, hints_lost=0.5)
PLAN = Plan(seed=3, profile=ROUGH)
CALLS = range(1, 400)


def test_a_call_has_its_fate_whatever_others_do() -> None:
    fates, others = Fates(PLAN), Fates(PLAN)
    all_of_them = [fates.of_call("w1", call) for call in CALLS]
    assert [others.of_call("w1", call) for call in reversed(CALLS)] == all_of_them[::-1]
    assert {fate.loss for fate in all_of_them} == {None, "before", "after", "reset", "late"}


def test_what_was_lost_can_be_listed_instead_of_drawn() -> None:
    drawn = Fates(PLAN)
    fates = [drawn.of_call("w1", call) for call in CALLS]
    listed = Fates(Plan(seed=3, profile=ROUGH, losses=tuple(drawn.struck)))
    assert [listed.of_call("w1", call) for call in CALLS] == fates
    fewer = Fates(Plan(seed=3, profile=ROUGH, losses=(Loss("w1", 7, "kill_before"),)))
    assert [one.call for one in _struck(fewer)] == [7]


def _struck(fates: Fates) -> list[Loss]:
    for call in CALLS:
        fates.of_call("w1", call)
    return fates.struck


def test_nothing_is_lost_once_it_is_calm() -> None:
    fates = Fates(PLAN)
    fates.is_calm = True
    assert {fates.of_call("w1", call) for call in CALLS} == {Fate(None, 0.0, 0.0, 0.0, 0.0)}
    assert {fates.of_hint("w1", number) for number in CALLS} == {HintFate(1, 0.0)}


def test_hints_are_lost_as_often_as_the_profile_says() -> None:
    fates = Fates(PLAN)
    heard = sum(fates.of_hint("w1", number).times for number in range(1_000))
    assert 400 < heard < 600
