"""The independent checker: promises against what customers heard, what the store tells, and what the ledger says."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise

from faults import Fault
from ledger import Ledger
from load import Acknowledged, Found, end_of
from stories import Story

from durable_async import DurableError, Status, TaskHub
from durable_async.model.records import HubStatistics

_AT_ONCE = 200
_END_SECONDS = 60.0
_IMPATIENT_SECONDS = 0.5
_QUIET_SECONDS = 30.0
_LOOK_SECONDS = 0.1
_CLOCKS_DIFFER_US = 20_000
"""A worker's estimate of the server's clock, by which turns are dated, is late by the way of an answer."""


@dataclass
class Verdict:
    """What was found; nothing may be in any of the lists.

    Attributes:
        repeats: Beginnings of activities that had begun before.
        by_zombies: Beginnings at a worker that had been taken over and could not know it yet; nothing of it was recorded.
        lost: Acknowledged, and not done, or with another result.
        stuck: Not ended, parked, or left over.
        doubled: An outcome that is recorded twice, or a child too many.
        repeated: An activity begun again after its outcome was recorded, or although nothing had happened to whom it ran at.
    """

    instances: int = 0
    events: int = 0
    activities: int = 0
    repeats: int = 0
    by_zombies: int = 0
    lost: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)

    @property
    def broken(self) -> tuple[list[str], ...]:
        """Whatever must not be."""
        return self.lost, self.stuck, self.doubled, self.repeated


async def await_ends(hub: TaskHub, acknowledged: Acknowledged, verdict: Verdict) -> None:
    """Wait until all that was acknowledged has ended, and look at the results."""
    verdict.instances = len(acknowledged.results)
    verdict.events = acknowledged.events
    verdict.lost += acknowledged.wrong
    verdict.stuck += acknowledged.stuck
    patience = _END_SECONDS
    ids = list(acknowledged.results)
    for at in range(0, len(ids), _AT_ONCE):
        some = ids[at : at + _AT_ONCE]
        ends = await asyncio.gather(*(_end(hub, instance, patience) for instance in some))
        for instance, end in zip(some, ends, strict=True):
            expected = acknowledged.results[instance]
            if isinstance(end, DurableError):
                patience = _IMPATIENT_SECONDS
                verdict.stuck.append(f"{instance}: {end!r}")
            elif end != expected:
                verdict.lost.append(f"{instance}: {end!r} instead of {expected!r}")


async def _end(hub: TaskHub, instance: str, patience: float) -> object:
    try:
        return await end_of(hub.client, instance, patience)
    except DurableError as error:
        return error


def check(
    verdict: Verdict,
    acknowledged: Acknowledged,
    stories: dict[str, Story],
    ledger: Ledger,
    faults: list[Fault],
) -> None:
    """Hold stories and ledger against each other."""
    _check_tree(verdict, acknowledged, stories)
    for instance_id, story in stories.items():
        if story.state.status is not acknowledged.status_of(instance_id) or story.state.parked:
            verdict.stuck.append(f"{instance_id}: {story.state.status.value} {story.state.parked}")
        verdict.doubled += (f"{instance_id}: {stray}" for stray in story.strays)
        for operation in story.operations():
            if len(operation.outcomes_us) > 1:
                verdict.doubled.append(f"{instance_id}: {operation}")
        for activity in story.activities.values():
            _check_activity(verdict, activity.key, activity.outcomes_us, ledger, faults)
    _check_repeats(verdict, ledger, faults)
    verdict.activities = len(ledger.began)
    verdict.repeats = ledger.executions - verdict.activities


def add_found(verdict: Verdict, found: Found) -> None:
    """Take in what customers found out."""
    verdict.lost += found.lost
    verdict.stuck += found.stuck
    verdict.doubled += found.doubled


async def check_leftovers(hub: TaskHub, verdict: Verdict) -> None:
    """Nothing lies in a mailbox or a queue after a while; what comes after an end, as the release of a lock, may take a moment."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_QUIET_SECONDS):
            while not _is_quiet(await hub.statistics()):
                await asyncio.sleep(_LOOK_SECONDS)
    statistics = await hub.statistics()
    if not _is_quiet(statistics):
        verdict.stuck.append(f"left over: {statistics}")


def _is_quiet(statistics: HubStatistics) -> bool:
    running = (statistics.by_status.get(one, 0) for one in Status if not one.is_terminal)
    left = (statistics.parked, statistics.letters, statistics.queued_activities, *running)
    return not any(left)


def _check_tree(verdict: Verdict, acknowledged: Acknowledged, stories: dict[str, Story]) -> None:
    """Roots and children that were asked for, and no others, each with its parent."""
    parents = {
        child.key: parent for parent, story in stories.items() for child in story.children.values()
    }
    for instance_id, story in stories.items():
        parent = story.state.parent_instance_id
        if parent != parents.get(instance_id):
            verdict.doubled.append(f"{instance_id}: a child of {parent}, which does not know it")
        elif parent is None and instance_id not in acknowledged.results:
            verdict.doubled.append(f"{instance_id}: nobody asked for it")
    missing = {*parents, *acknowledged.results} - set(stories)
    verdict.lost += (f"{instance_id}: does not exist" for instance_id in sorted(missing))


def _check_activity(
    verdict: Verdict, key: str, outcomes_us: list[int], ledger: Ledger, faults: list[Fault]
) -> None:
    began = ledger.began.get(key)
    if not began:
        verdict.lost.append(f"{key}: recorded, and never run")
    elif outcomes_us:
        late = [one for one in began[1:] if one.at_us > outcomes_us[0] + _CLOCKS_DIFFER_US]
        # Who was frozen on its way into an activity goes on there before it can know anything.
        zombies = [one for one in late if any(fault.excuses(one) for fault in faults)]
        verdict.by_zombies += len(zombies)
        if len(late) > len(zombies):
            verdict.repeated.append(f"{key}: began again after its outcome was recorded")


def _check_repeats(verdict: Verdict, ledger: Ledger, faults: list[Fault]) -> None:
    """Whatever began again was under way at a victim when the fault fell."""
    for key, began in ledger.repeated().items():
        for earlier, later in pairwise(began):
            if not any(fault.explains(earlier, later) for fault in faults):
                verdict.repeated.append(f"{key}: began again, and nothing had happened to it")
