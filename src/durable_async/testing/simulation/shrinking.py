"""Make a plan that fails smaller: less and less of it, as long as the same promise is broken.

First single faults are written down, so that they can be taken out one by one. Then actions, strikes and losses are taken out in
ever smaller pieces (delta debugging), then processes, settings and what the profile says of hints and latency.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from .plan import Plan, Profile
from .play import Report

T = TypeVar("T")

RUNS_MAX = 1_500

Player = Callable[[Plan], Report]


class _Search:
    """Tries smaller plans, and keeps the smallest that fails in the same way."""

    def __init__(self, plan: Plan, invariant: str, player: Player, runs_max: int) -> None:
        self.plan = plan
        self._invariant = invariant
        self._player = player
        self.runs_left = runs_max

    def accepts(self, plan: Plan) -> bool:
        """Take over a plan if it fails in the same way."""
        if self.runs_left <= 0 or plan == self.plan:
            return False
        self.runs_left -= 1
        if self._player(plan).invariant != self._invariant:
            return False
        self.plan = plan
        return True

    def change(self, **fields: Any) -> bool:
        """Take over a plan that differs in some fields, if it fails in the same way."""
        return self.accepts(msgspec.structs.replace(self.plan, **fields))

    def thin_out(self, field: str) -> bool:
        """Take out of a list whatever is not needed; tells whether anything was."""
        before: Sequence[Any] = getattr(self.plan, field) or ()
        size = len(before)
        piece = size
        while piece:
            at = 0
            while at < len(kept := getattr(self.plan, field) or ()):
                if not self.change(**{field: kept[:at] + kept[at + piece :]}):
                    at += piece
            piece //= 2
        return len(getattr(self.plan, field) or ()) < size


def shrink(
    plan: Plan,
    report: Report,
    player: Player,
    *,
    runs_max: int = RUNS_MAX,
    say: Callable[[str], None] = lambda text: None,
) -> Plan:
    """Return a smaller plan that breaks the same promise.

    Args:
        plan: It fails.
        report: So.
        player: Plays a plan.
        runs_max: How many plans may be tried.
        say: Told how it goes on.
    """
    search = _Search(plan, report.invariant, player, runs_max)
    if plan.losses is None and not search.change(losses=report.losses):
        say("it does not fail with its losses written down; they stay rates")
    is_smaller = True
    while is_smaller and search.runs_left > 0:
        is_smaller = False
        for field in ("actions", "strikes", "losses"):
            is_smaller |= search.thin_out(field)
        is_smaller |= _simplify(search)
        now = search.plan
        say(
            f"{len(now.actions)} actions, {len(now.strikes)} strikes, "
            f"{len(now.losses or ())} losses; {search.runs_left} more tries"
        )
    return search.plan


def _simplify(search: _Search) -> bool:
    """Leave out whatever else is not needed; tells whether anything was."""
    is_simpler = False
    for fields in _simplifications(search):
        is_simpler |= search.change(**fields)
    return is_simpler


def _simplifications(search: _Search) -> Iterator[dict[str, Any]]:
    """Go through what may be simpler, each time than the plan is by then."""
    yield {"profile": Profile()}
    for name in Profile.__struct_fields__:
        yield {"profile": msgspec.structs.replace(search.plan.profile, **{name: 0.0})}
    yield {"settings": {}}
    for name in tuple(search.plan.settings):
        yield {"settings": {k: value for k, value in search.plan.settings.items() if k != name}}
    named = {action.workload for action in search.plan.actions}
    yield {"workloads": tuple(name for name in search.plan.workloads if name in named)}
    yield {"is_trusting": True}
    yield {"residents": 0}
    yield {"clients": 1}
    for workers in range(1, search.plan.workers):
        if workers < search.plan.workers:
            yield {"workers": workers}
