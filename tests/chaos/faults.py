"""What was done to whom and when, and how long everything that was hit needed to go on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ledger import Entry, Ledger
from stories import Story


@dataclass
class Fault:
    """One blow.

    Attributes:
        at_us: When it fell.
        victims: The processes whose running activities it may have broken off.
        owned: Instances that the victims owned just before.
        healed_us: When work was possible again, if nobody could work in between; times are counted from there.
        until_us: When the victims knew that they had been taken over, if they went on.
        process: The number of the only victim, and
        identity: what it worked under, if it went on and must have written nothing meanwhile.
        is_due: Whether all that is owned had work due, whatever history says.
    """

    at_us: int
    victims: frozenset[int] = frozenset()
    owned: frozenset[str] = frozenset()
    healed_us: int | None = None
    until_us: int | None = None
    process: int | None = None
    identity: str | None = None
    is_due: bool = False

    def explains(self, earlier: Entry, later: Entry) -> bool:
        """Whether an activity began twice because of it: one of the two beginnings was that of a victim, which was broken off or is a zombie."""
        until_us = self.until_us or self.at_us
        by_victim = earlier.pid in self.victims and earlier.at_us <= until_us
        return self.at_us <= later.at_us and (by_victim or self.excuses(later))

    def excuses(self, entry: Entry) -> bool:
        """Whether it was a victim's, after the fault and before the victim could know of it."""
        until_us = self.until_us or self.at_us
        return entry.pid in self.victims and self.at_us <= entry.at_us <= until_us


@dataclass
class Times:
    """How long each instance that was hit and had work due needed until it was seen to go on.

    Attributes:
        seconds: One for each instance and fault.
        never: Those that never went on.
    """

    seconds: list[float] = field(default_factory=list)
    never: list[str] = field(default_factory=list)

    def quantile(self, share: float) -> float | None:
        """Return what this share of all stayed below."""
        if not self.seconds:
            return None
        ordered = sorted(self.seconds)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def times_to_resume(faults: list[Fault], stories: dict[str, Story], ledger: Ledger) -> Times:
    """Measure, from each fault, when each instance that it hit began its next recorded turn, or an activity of it began again.

    An instance counts if it had work due: it had never run, an activity of it was under way, or a timer fell due; from then it is counted.
    """
    times = Times()
    for fault in faults:
        for instance_id in sorted(fault.owned):
            story = stories.get(instance_id)
            due_us = None if story is None else _due_us(story, fault)
            if story is None or due_us is None:
                continue
            went_on = min(_progress(story, fault, ledger), default=None)
            if went_on is None:
                times.never.append(instance_id)
            else:
                times.seconds.append(max(went_on - due_us, 0) / 1e6)
    return times


def _due_us(story: Story, fault: Fault) -> int | None:
    """Return since when there was work that the fault kept from being done; ``None`` if it was waiting, or at its end."""
    from_us = fault.healed_us or fault.at_us
    if fault.is_due:
        return from_us
    if all(turn_us <= fault.at_us for turn_us in story.turns_us):
        return None
    if story.turns_us[0] > fault.at_us:
        # Never run, or not in this execution: what it waited for is not known any more.
        return from_us if story.state.execution == 1 else None
    if any(one.is_open_at(fault.at_us) for one in story.activities.values()):
        return from_us
    alarms = [one.fire_at_us for one in story.timers.values() if one.is_open_at(fault.at_us)]
    return max(min(alarms), from_us) if alarms else None


def _progress(story: Story, fault: Fault, ledger: Ledger) -> Iterator[int]:
    after_us = fault.healed_us or fault.at_us
    yield from (turn_us for turn_us in story.turns_us if turn_us > fault.at_us)
    for activity in story.activities.values():
        if not activity.is_open_at(fault.at_us):
            continue
        began = ledger.began.get(activity.key, ())
        if any(one.at_us <= fault.at_us and one.pid in fault.victims for one in began):
            # Begun again: somebody took over. A first beginning might be that of any worker that took it from the queue.
            yield from (one.at_us for one in began if one.at_us > after_us)
