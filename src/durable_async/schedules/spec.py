"""What users say of a schedule: what to start, when, and what to do if that cannot be done in time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, TypedDict

from durable_async.model.policy import Seconds
from durable_async.registry import Orchestrator


class Overlap(Enum):
    """What happens at a tick while a run of the schedule is still going on, or parked or suspended."""

    SKIP = "skip"
    """Nothing: the tick is skipped, and counted."""
    BUFFER_ONE = "buffer_one"
    """It is started when that run has ended; ticks after it, until then, are skipped."""
    BUFFER_ALL = "buffer_all"
    """All wait, and are started one after the other; beyond 1,000 they are skipped."""
    ALLOW = "allow"
    """It is started all the same."""
    TERMINATE_PREVIOUS = "terminate_previous"
    """That run is terminated, and when it has ended the tick's is started. Of several that wait, only the last one is."""


class CatchUp(Enum):
    """What becomes of ticks at which no worker was there; in any case they must be no older than the schedule's window."""

    NONE = "none"
    """They are missed, but for one that is less than a minute old: nothing is punctual to the second."""
    LAST = "last"
    """The last of them is dealt with now; those before it are missed."""
    ALL = "all"
    """Each of them is dealt with now, in order."""


class IfExists(Enum):
    """What creating a schedule does when its id is taken."""

    REJECT = "reject"
    """Raise ``ScheduleExistsError``."""
    KEEP = "keep"
    """Leave the one that is there as it is."""
    UPDATE = "update"
    """Give the one that is there this specification; whether it is paused stays as it is. Where nothing differs, nothing happens."""


CATCH_UP_WINDOW = timedelta(days=365)
INSTANCE_ID = "{schedule}:{tick}"


class ScheduleOptions(TypedDict, total=False):
    """What can be said of a schedule, beside what it starts; exactly one of ``cron``, ``every`` and ``at``.

    Attributes:
        cron: Five fields, such as ``0 9 * * MON-FRI``, or six with seconds first, or ``@daily`` and the like. A tick that the clock leaps over
            in spring comes after the leap; one at an hour that there is twice in autumn comes once, unless it is for every hour.
        every: An interval, a tenth of a second or more; it is counted from ``start``, or else from when the schedule was created or the interval changed.
        at: A moment; there is one tick.
        time_zone: In which ``cron`` is meant, and naive datetimes: a name such as ``Europe/Berlin``.
        start: No tick before it.
        end: No tick after it.
        jitter: A run begins this much later than its tick at most; it is the same for one tick always.
        overlap: What happens at a tick while a run is still going on.
        catch_up: What becomes of ticks at which no worker was there.
        catch_up_window: How old they may be.
        version: What the runs see as ``ctx.version``; by default the ``default_version`` of the hub whose worker starts them, at that time.
        tags: To find the runs by, beside ``schedule``, which is the schedule's id.
        instance_id: That of a run; ``{schedule}`` stands for the schedule's id, ``{tick}``, which must be there, for the time.
    """

    cron: str | None
    every: Seconds | None
    at: datetime | None
    time_zone: str
    start: datetime | None
    end: datetime | None
    jitter: Seconds
    overlap: Overlap
    catch_up: CatchUp
    catch_up_window: Seconds
    version: str | None
    tags: Mapping[str, str]
    instance_id: str


class ScheduleChanges(ScheduleOptions, total=False):
    """What can be changed of a schedule.

    Attributes:
        orchestrator: What is started: the decorated function, or its name.
        input: Its input.
    """

    orchestrator: Orchestrator[Any, Any] | str
    input: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSpec:
    """A schedule as its user wants it. Datetimes are aware, UTC; the fields are those of `ScheduleOptions`.

    Attributes:
        orchestrator: The name of what is started.
        input: Its input, as plain JSON values.
    """

    orchestrator: str
    input: Any = None
    cron: str | None = None
    every: timedelta | None = None
    at: datetime | None = None
    time_zone: str = "UTC"
    start: datetime | None = None
    end: datetime | None = None
    jitter: timedelta = timedelta(0)
    overlap: Overlap = Overlap.SKIP
    catch_up: CatchUp = CatchUp.LAST
    catch_up_window: timedelta = CATCH_UP_WINDOW
    version: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    instance_id: str = INSTANCE_ID

    @property
    def timing(self) -> tuple[object, ...]:
        """All that decides when the ticks are."""
        return self.cron, self.every, self.at, self.time_zone, self.start, self.end
