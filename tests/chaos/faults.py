"""What was done to whom and when, and how long everything that was hit needed to go on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ledger import Entry, Ledger
from stories import Operation, Story


@dataclass
class Fault:
    """One blow.

    Attributes:
        at_us: When it fell.
        victims: The processes whose running activities it may have broken off.
        owned: Instances, entities among them, that the victims owned just before.
        healed_us: When work was possible again, if nobody could work in between; times are counted from there.
        until_us: When the victims knew that they had been taken over, if they went on.
        shaken_us: How long after the fault, or its end, a victim may still lose its lease to it, if it went on.
        process: The number of the only victim, and
        identity: what it worked under, if it went on and must have written nothing meanwhile.
        is_due: Whether all that is owned had work due, whatever history says.
        kind: What it was; times are told apart by it.
        is_measured: Whether times are measured; if not, it only explains what was done twice.
    """

    at_us: int
    victims: frozenset[int] = frozenset()
    owned: frozenset[str] = frozenset()
    healed_us: int | None = None
    until_us: int | None = None
    shaken_us: int = 0
    process: int | None = None
    identity: str | None = None
    is_due: bool = False
    kind: str = ""
    is_measured: bool = True

    @property
    def from_us(self) -> int:
        """From when times are counted."""
        return self.healed_us or self.at_us

    def explains(self, earlier: Entry, later: Entry) -> bool:
        """Whether an activity began twice because of it: one of the two beginnings was that of a victim, which was broken off or is a zombie."""
        until_us = self.until_us or self.from_us + self.shaken_us
        by_victim = earlier.pid in self.victims and earlier.at_us <= until_us
        return self.at_us <= later.at_us and (by_victim or self.excuses(later))

    def excuses(self, entry: Entry) -> bool:
        """Whether it was a victim's, after the fault and before the victim could know of it."""
        until_us = self.until_us or self.at_us
        return entry.pid in self.victims and self.at_us <= entry.at_us <= until_us


@dataclass(frozen=True)
class Loss:
    """An answer that was lost.

    Attributes:
        process: The number of the worker process that did not get it.
        at_us: When.
    """

    process: int
    at_us: int


@dataclass
class Times:
    """How long everything that was hit and had work due needed until it was seen to go on.

    Attributes:
        by_kind: By the kind of fault: one for each instance, or activity, and fault.
        never: Those that never went on.
    """

    by_kind: dict[str, list[float]] = field(default_factory=dict)
    never: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> list[float]:
        """All of them."""
        return [one for seconds in self.by_kind.values() for one in seconds]

    def add(self, kind: str, what: str, due_us: int, went_on_us: Iterator[int]) -> None:
        """Take in when something was due, and when it was seen to go on."""
        first_us = min(went_on_us, default=None)
        if first_us is None:
            self.never.append(what)
        else:
            self.by_kind.setdefault(kind, []).append(max(first_us - due_us, 0) / 1e6)


def quantile(seconds: list[float], share: float) -> float | None:
    """Return what this share of all stayed below."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def times_to_resume(faults: list[Fault], stories: dict[str, Story], ledger: Ledger) -> Times:
    """Measure how long everything that a fault hit, and that had work due, took to be seen to go on.

    That is each instance that a victim owned, if it had never run, an activity of it was under way, or a timer fell due, until its next turn
    was recorded or that activity began again; each that had called, in a critical section, an entity that a victim owned, or was itself a victim's,
    until its next turn; and each activity that a victim ran for somebody else's instance, until it began again.
    """
    times = Times()
    faults = [one for one in faults if one.is_measured]
    for fault in faults:
        for instance_id in sorted(fault.owned | _callers(stories, fault)):
            story = stories.get(instance_id)
            due_us = None if story is None else _due_us(story, fault)
            if story is not None and due_us is not None:
                times.add(fault.kind, instance_id, due_us, _progress(story, fault, ledger))
    activities = {
        activity.key: (instance_id, activity)
        for instance_id, story in stories.items()
        for activity in story.activities.values()
    }
    for fault in faults:
        for key in ledger.begun_at(fault.victims, fault.at_us):
            instance_id, activity = activities.get(key, ("", None))
            if activity and instance_id not in fault.owned and activity.is_open_at(fault.at_us):
                times.add(fault.kind, key, fault.from_us, _next(activity, fault, ledger))
    return times


def _callers(stories: dict[str, Story], fault: Fault) -> set[str]:
    """Return whose section waits for an entity of a victim. Outside of a section it may be waiting for somebody else's lock."""
    return {
        instance_id
        for instance_id, story in stories.items()
        for call in story.calls.values()
        if call.section and call.key in fault.owned and call.is_open_at(fault.at_us)
    }


def _next(activity: Operation, fault: Fault, ledger: Ledger) -> Iterator[int]:
    yield from (one.at_us for one in ledger.began[activity.key] if one.at_us > fault.at_us)
    yield from (at_us for at_us in activity.outcomes_us if at_us > fault.at_us)


def _due_us(story: Story, fault: Fault) -> int | None:
    """Return since when there was work that the fault kept from being done; ``None`` if it was waiting, or at its end."""
    from_us = fault.from_us
    if fault.is_due:
        return from_us
    if all(turn_us <= fault.at_us for turn_us in story.turns_us):
        return None
    if story.turns_us[0] > fault.at_us:
        # Never run, or not in this execution: what it waited for is not known any more.
        return from_us if story.state.execution == 1 else None
    sections = (call for call in story.calls.values() if call.section)
    if any(one.is_open_at(fault.at_us) for one in (*story.activities.values(), *sections)):
        return from_us
    alarms = [one.fire_at_us for one in story.timers.values() if one.is_open_at(fault.at_us)]
    return max(min(alarms), from_us) if alarms else None


def _progress(story: Story, fault: Fault, ledger: Ledger) -> Iterator[int]:
    yield from (turn_us for turn_us in story.turns_us if turn_us > fault.at_us)
    for activity in story.activities.values():
        if not activity.is_open_at(fault.at_us):
            continue
        began = ledger.began.get(activity.key, ())
        if any(one.at_us <= fault.at_us and one.pid in fault.victims for one in began):
            # Begun again: somebody took over. A first beginning might be that of any worker that took it from the queue.
            yield from (one.at_us for one in began if one.at_us > fault.from_us)
