"""Crash sweep: small stories without chance, and in each a crash at every call to the store, one run for each.

A run without any crash counts the calls of each process until its story has been told. Then, for each of these calls, the process
is gone right before the store carries it out, or right after, or does nothing for longer than its lease from then on. Whoever told the
story tells it again a while later, so that each run shows a story that came to its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from .plan import Action, Loss, LossKind, Plan, StoreKind
from .play import Report, play
from .workloads.stories import STORIES, Stories

CRASHES: tuple[LossKind, ...] = ("kill_before", "kill_after", "freeze")
FREEZE_SECONDS = 4.0
AGAIN_SECONDS = 8.0
SETTINGS: dict[str, Any] = {
    "lease_seconds": 1.5,
    "heartbeat_seconds": 0.5,
    "sweep_seconds": 0.5,
    "poll_seconds": 0.75,
}


class Crash(NamedTuple):
    """One run of the sweep."""

    story: str
    loss: Loss
    plan: Plan


def plan_of(story: str, store: StoreKind = "memory", losses: tuple[Loss, ...] = ()) -> Plan:
    """Return the plan of a story."""
    return Plan(
        seed=0,
        store=store,
        workers=2,
        clients=1,
        workloads=(Stories.name,),
        settings=SETTINGS,
        actions=tuple(
            Action(at, 1, Stories.name, story, {"id": f"story-{story}"})
            for at in (0.5, AGAIN_SECONDS)
        ),
        losses=losses,
    )


def crashes(story: str, calls: dict[str, int], store: StoreKind = "memory") -> Iterator[Crash]:
    """Go through all crashes of a story whose processes make so many calls."""
    for node, count in sorted(calls.items()):
        for call in range(1, count + 1):
            for kind in CRASHES:
                loss = Loss(node, call, kind, FREEZE_SECONDS if kind == "freeze" else 0.0)
                yield Crash(story, loss, plan_of(story, store, (loss,)))


def all_crashes(
    stories: Iterable[str] = tuple(STORIES),
    *,
    store: StoreKind = "memory",
    planted: str | None = None,
) -> Iterator[Crash]:
    """Go through all crashes of stories.

    Raises:
        AssertionError: One fails without any crash.
    """
    for story in stories:
        quiet = plan_of(story, store)
        report = play(msgspec.structs.replace(quiet, actions=quiet.actions[:1]), planted=planted)
        if report.violation:
            raise AssertionError(f"{story} fails without any crash: {report.violation}")
        yield from crashes(story, report.calls, store)


def try_crash(crash: Crash, planted: str | None = None) -> tuple[Crash, Report]:
    """Play one run of the sweep."""
    return crash, play(crash.plan, planted=planted)
