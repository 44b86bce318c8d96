"""WorkerState: a worker as the store knew it when the client looked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from durable_async.model.moments import instant
from durable_async.model.upkeep import WorkerRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerState:
    """A worker that is registered with the hub, in whichever process.

    A worker that lost its lease goes on under a new id, so that one process may have been several.

    Attributes:
        worker_id: Its id; what it holds bears it as `OrchestrationState.owner`.
        host: The name of its machine.
        pid: Its process there.
        registered_at: When it announced itself.
        lease_until: Until when it holds its lease, if it does not renew it; others take over after that.
        is_alive: Whether its lease stands by the store's clock and its process shows that it lives. What is not is taken over by others
            within a second or two, and is gone then.
        instances: How many orchestrations and entities it holds, at work or warm.
        activities: How many activities of the hub's queue it has claimed. Those that it runs for what it holds are not among them: they
            need no queue.
        epoch: The number of its registration.
        commits: How many commits it has made.
    """

    worker_id: str
    host: str
    pid: int
    registered_at: datetime
    lease_until: datetime
    is_alive: bool
    instances: int
    activities: int
    epoch: int
    commits: int


def worker_state(record: WorkerRecord) -> WorkerState:
    """Return what a client is shown of a worker."""
    return WorkerState(
        worker_id=record.worker_id,
        host=record.host,
        pid=record.pid,
        registered_at=instant(record.registered_at_us),
        lease_until=instant(record.lease_until_us),
        is_alive=record.is_alive,
        instances=record.instances,
        activities=record.activities,
        epoch=record.epoch,
        commits=record.commits,
    )
