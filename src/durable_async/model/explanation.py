"""Explanation: why an orchestration stands where it stands, as values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import PurePath

from durable_async.model.status import Status


class WaitKind(Enum):
    """What can be waited for."""

    ACTIVITY = "activity"
    TIMER = "timer"
    EVENT = "event"
    SUB_ORCHESTRATION = "sub-orchestration"
    ENTITY = "entity"
    LOCK = "lock"


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A line of the orchestrator's code.

    Attributes:
        file: The source file.
        line: Its number, from 1.
        function: The function that it is in.
        text: What stands there, if the file is here.
    """

    file: str
    line: int
    function: str
    text: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line} in {self.function}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """One thing that an orchestration has begun and that has not come.

    Attributes:
        kind: What it is.
        name: Of an activity, an event, a sub-orchestration, or an operation of an entity; empty of timers and locks.
        seq: Its number in the history; 0 of events, which a history does not know before they come.
        since: Since when, UTC.
        until: When it comes by itself, UTC: a timer's time, the next attempt of an activity; ``None`` if it does not.
        attempt: Of an activity: which attempt runs, or is next; 0 of anything else.
        is_queued: Of an activity: whether it is in the hub's queue, for any worker that registers it.
        worker: Of an activity: where the attempt runs; ``None`` if it is in the queue and not claimed, is tried again later, or no worker
            has the orchestration.
        target: Id of the sub-orchestration, or of the entity that is called or to be locked.
        status: Of a sub-orchestration: where it stands, ``None`` if there is none of this id.
        holder: Of an entity: the orchestration that has it locked.
        trouble: What keeps it from coming, if more is known: what it waits for is parked, the last attempt failed.
        line: The line of code that waits for it, if the code is here and a line waits for it itself.
    """

    kind: WaitKind
    name: str = ""
    seq: int = 0
    since: datetime
    until: datetime | None = None
    attempt: int = 0
    is_queued: bool = False
    worker: str | None = None
    target: str | None = None
    status: Status | None = None
    holder: str | None = None
    trouble: str | None = None
    line: SourceLine | None = None

    def __str__(self) -> str:
        trouble = "" if self.trouble is None else f": {self.trouble}"
        return f"{_subject(self)}{_standing(self)}, since {moment(self.since)}{_at(self.line)}{trouble}"


class ObstacleKind(Enum):
    """Why nothing happens at all, whatever is waited for."""

    ENDED = "ended"
    PARKED = "parked"
    SUSPENDED = "suspended"
    NOT_YET = "not yet"
    NO_WORKER = "no worker"
    NOT_TAKEN_UP = "not taken up"
    DAMAGED = "damaged"
    DIVERGENT = "divergent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """One reason why an orchestration does not go on, or will not.

    Attributes:
        kind: Which.
        text: A sentence.
        since: Since when, UTC, if that is known.
        until: When it is over by itself, UTC; ``None`` if somebody has to do something.
    """

    kind: ObstacleKind
    text: str
    since: datetime | None = None
    until: datetime | None = None

    def __str__(self) -> str:
        since = "" if self.since is None else f", since {moment(self.since)}"
        return f"{self.text}{since}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """Where one task of an orchestration stands in its code.

    Attributes:
        task: The task's name; that of the orchestrator itself is the instance's id.
        lines: From the outermost function to the line that waits.
        seqs: Numbers of the operations that it waits for itself; of those that others wait for along with it, none.
        events: Names of the external events that it waits for itself.
    """

    task: str
    lines: tuple[SourceLine, ...]
    seqs: tuple[int, ...] = ()
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What an orchestration waits for, since when, and what is in its way.

    Attributes:
        instance_id: The instance.
        name: Its orchestrator.
        version: The version it was started with.
        status: Where it stood.
        at: When that was, UTC.
        moved_at: When its last turn was, UTC; ``None`` if it has had none.
        owner: The worker that holds it, or ``None``.
        obstacles: Why nothing happens at all; none of an orchestration that only waits.
        waits: What it waits for, oldest first.
        holds: Entities that it has locked.
        stands: Where its code stands, one for each task that waits; none if the code is not here, or does not fit.
        code: Why there are no stands; ``None`` if there are, or if it has ended.
        unclaimed: Names of events that came and that nothing has taken, with how many.
        letters: How many letters lie in its mailbox, those events among them; a thousand stands for that many or more.
    """

    instance_id: str
    name: str
    version: str | None
    status: Status
    at: datetime
    moved_at: datetime | None
    owner: str | None
    obstacles: tuple[Obstacle, ...] = ()
    waits: tuple[Wait, ...] = ()
    holds: tuple[str, ...] = ()
    stands: tuple[Stand, ...] = ()
    code: str | None = None
    unclaimed: tuple[tuple[str, int], ...] = ()
    letters: int = 0

    @property
    def sentences(self) -> tuple[str, ...]:
        """All of it in words: obstacles first; many waits of one kind are one sentence."""
        return tuple(_sentences(self))

    def __str__(self) -> str:
        return "\n".join(self.sentences)


def moment(at: datetime) -> str:
    """Return a moment as sentences have it."""
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")


SINGLE_MAX = 3
"""So many waits of one kind and name are told one by one; more are summed up."""


def _sentences(one: Explanation) -> Iterator[str]:
    yield from map(str, one.obstacles)
    yield from _of_waits(one.waits)
    for entity in one.holds:
        yield f"it has {entity!r} locked"
    for name, count in one.unclaimed:
        times = "once" if count == 1 else f"{count:,} times"
        yield f"event {name!r} came {times}, and nothing has taken it"
    if not one.obstacles and not one.waits:
        yield _nothing_else(one)


def _nothing_else(one: Explanation) -> str:
    if one.letters:
        return f"{one.letters:,} letters lie in its mailbox, for its next turn"
    if one.code is not None:
        return "nothing that its history knows is under way: it waits for an external event"
    return "it is about to have a turn"


def _of_waits(waits: Iterable[Wait]) -> Iterator[str]:
    groups: dict[tuple[WaitKind, str, bool], list[Wait]] = {}
    for wait in waits:
        is_later = wait.until is not None and wait.kind is WaitKind.ACTIVITY
        groups.setdefault((wait.kind, wait.name, is_later), []).append(wait)
    for group in groups.values():
        if len(group) <= SINGLE_MAX:
            yield from map(str, group)
        else:
            yield _sum(group)


def _sum(group: list[Wait]) -> str:
    first = group[0]
    name = f" {first.name!r}" if first.name else ""
    ends = [wait.until for wait in group if wait.until is not None]
    until = f", the next one due at {moment(min(ends))}" if ends else ""
    troubled = sum(wait.trouble is not None for wait in group)
    trouble = f", {troubled:,} of them in trouble" if troubled else ""
    waiting = sum(wait.is_queued and wait.worker is None for wait in group)
    queued = f", {waiting:,} of them in the queue" if waiting else ""
    since = moment(min(wait.since for wait in group))
    at = _at(first.line) if all(wait.line == first.line for wait in group) else ""
    what = f"{len(group):,} {_PLURALS[first.kind]}{name}{queued}"
    return f"{what}, the oldest since {since}{until}{at}{trouble}"


_PLURALS = {
    WaitKind.ACTIVITY: "activities",
    WaitKind.TIMER: "timers",
    WaitKind.EVENT: "waits for the event",
    WaitKind.SUB_ORCHESTRATION: "sub-orchestrations",
    WaitKind.ENTITY: "calls of entities",
    WaitKind.LOCK: "locks of entities",
}


def _at(line: SourceLine | None) -> str:
    return "" if line is None else f", at {PurePath(line.file).name}:{line.line}"


def _subject(wait: Wait) -> str:
    match wait.kind:
        case WaitKind.ACTIVITY:
            return f"activity {wait.name!r} (#{wait.seq})"
        case WaitKind.TIMER:
            return f"timer #{wait.seq}"
        case WaitKind.EVENT:
            return f"external event {wait.name!r}"
        case WaitKind.SUB_ORCHESTRATION:
            return f"sub-orchestration {wait.name!r} {wait.target!r} (#{wait.seq})"
        case WaitKind.ENTITY:
            return f"operation {wait.name!r} of entity {wait.target!r} (#{wait.seq})"
        case WaitKind.LOCK:
            return f"lock of entity {wait.target!r} (#{wait.seq})"


def _place(wait: Wait) -> str:
    if wait.worker is not None:
        return f" on worker {wait.worker}"
    if wait.is_queued:
        return ", in the queue for any worker that registers it"
    return ""


def _standing(wait: Wait) -> str:
    match wait.kind:
        case WaitKind.ACTIVITY if wait.until is not None:
            return f", attempt {wait.attempt} at {moment(wait.until)}"
        case WaitKind.ACTIVITY:
            return f", attempt {wait.attempt}{_place(wait)}"
        case WaitKind.TIMER if wait.until is not None:
            return f", due at {moment(wait.until)}"
        case WaitKind.SUB_ORCHESTRATION:
            return ", not there" if wait.status is None else f", {wait.status.value}"
        case _ if wait.holder is not None:
            return f", which {wait.holder!r} has locked"
        case _:
            return ""
