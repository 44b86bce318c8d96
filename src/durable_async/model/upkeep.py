"""What passes through the port where a hub is looked after: who works on it."""

from __future__ import annotations

import msgspec


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
