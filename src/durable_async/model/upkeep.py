"""What passes through the port where a hub is looked after: who works on it, and what has been kept for long enough."""

from __future__ import annotations

import msgspec

from durable_async.model.status import Status


class WorkerRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A worker that is registered, as the store knows it.

    Attributes:
        host: The name of its machine.
        pid: Its process there.
        registered_at_us: When it announced itself.
        lease_until_us: Until when it holds its lease, if it does not renew it.
        is_alive: Whether its lease stands by the store's clock, and its sign of life, where there is one: `WorkQueue.take_over` leaves it
            alone.
        instances: How many instances it owns: orchestrations and entities.
        activities: How many queued activities it has claimed; those that it runs for instances of its own are not among them.
        epoch: The number of its registration.
        commits: How many commits it has made.
    """

    worker_id: str
    host: str
    pid: int
    registered_at_us: int
    lease_until_us: int
    is_alive: bool
    instances: int
    activities: int
    epoch: int
    commits: int


class Expiry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Which orchestrations that have ended are old enough to be deleted: all conditions hold.

    Attributes:
        age_us: They ended so long ago, or longer, on the store's clock.
        statuses: They ended so.
        names: Of these orchestrators; of any if it is empty.
        other_than: Of none of these.
    """

    age_us: int
    statuses: tuple[Status, ...]
    names: tuple[str, ...] = ()
    other_than: tuple[str, ...] = ()


Place = tuple[int, str]
"""A place in the order of completion: when an orchestration ended, and its id."""


class Expired(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What was old enough among those that were looked at.

    Attributes:
        names: The orchestrator of each, by its id.
        place: The last one that was looked at, to go on after it; as it was given if there was none.
        more: Whether there may be more after it.
    """

    names: dict[str, str]
    place: Place | None
    more: bool
