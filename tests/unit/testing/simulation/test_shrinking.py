"""A plan that fails becomes as small as it can be while it still fails."""

from __future__ import annotations

from durable_async.testing.simulation.drawing import draw
from durable_async.testing.simulation.plan import Loss, Plan, Profile
from durable_async.testing.simulation.play import Report
from durable_async.testing.simulation.shrinking import shrink


def report(plan: Plan, invariant: str, losses: tuple[Loss, ...] = ()) -> Report:
    return Report(plan.seed, "", 0, 0.0, {}, {}, losses, invariant, invariant)


def test_only_what_is_needed_is_left() -> None:
    plan = draw(11)
    struck = tuple(Loss("w1", call, "before") for call in range(1, 40))
    needed = (plan.actions[2], plan.actions[-1])
    kill = next(strike for strike in plan.strikes if strike.kind == plan.strikes[0].kind)

    def player(tried: Plan) -> Report:
        losses = struck if tried.losses is None else tried.losses
        fails = (
            all(one in tried.actions for one in needed)
            and kill in tried.strikes
            and struck[20] in losses
        )
        return report(tried, "I7" if fails else "", losses)

    small = shrink(plan, player(plan), player)
    assert small.actions == needed
    assert small.strikes == (kill,)
    assert small.losses == (struck[20],)
    assert small.settings == {}
    assert small.profile == Profile()
    assert (small.workers, small.clients, small.residents) == (1, 1, 0)
    assert set(small.workloads) == {action.workload for action in needed}


def test_another_failure_is_not_taken_for_the_same() -> None:
    plan = draw(11)

    def player(tried: Plan) -> Report:
        return report(tried, "I7" if len(tried.actions) == len(plan.actions) else "I2")

    assert len(shrink(plan, player(plan), player).actions) == len(plan.actions)


def test_the_search_ends() -> None:
    plan = draw(11)
    tries = 0

    def player(tried: Plan) -> Report:
        nonlocal tries
        tries += 1
        return report(tried, "I7")

    shrink(plan, report(plan, "I7"), player, runs_max=5)
    assert tries == 5
