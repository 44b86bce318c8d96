"""Waiting for an instance: hints first, looking again as the guarantee."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from durable_async.backend import Backend
from durable_async.environment import Environment
from durable_async.errors import InstanceNotFoundError, WaitTimeoutError
from durable_async.model.records import InstanceRecord
from durable_async.model.status import Status

from ._gathering import Gatherer

POLL_SECONDS_FIRST = 0.25
POLL_SECONDS_MAX = 30.0
POLL_SHARE = 0.25
"""A waiter looks again after this share of the time that it has waited already: ten thousand of them must not be a load."""


class Waiters:
    """Those who wait for instances, in this process."""

    def __init__(
        self,
        backend: Backend,
        environment: Environment,
        read: Gatherer[str, InstanceRecord | None],
    ) -> None:
        self._environment = environment
        self._read = read
        self._by_id: dict[str, set[anyio.Event]] = {}
        self.close = backend.listen(lambda: None, self._on_changed)

    async def wait(
        self,
        instance_id: str,
        reached: Callable[[InstanceRecord], bool],
        what: str,
        timeout: float | None,
    ) -> InstanceRecord:
        """Return the instance's record once ``reached`` holds for it.

        Raises:
            InstanceNotFoundError: There is no such instance.
            WaitTimeoutError: It was not reached in time.
        """
        seen: list[InstanceRecord] = []
        with anyio.move_on_after(timeout):
            return await self._wait(instance_id, reached, seen)
        standing = _standing(seen[0]) if seen else ""
        raise WaitTimeoutError(instance_id, what, timeout or 0.0, standing)

    async def _wait(
        self,
        instance_id: str,
        reached: Callable[[InstanceRecord], bool],
        seen: list[InstanceRecord],
    ) -> InstanceRecord:
        began = self._environment.monotonic()
        while True:
            changed = anyio.Event()  # before the query: what changes after it is heard
            waiting = self._by_id.setdefault(instance_id, set())
            waiting.add(changed)
            try:
                record = await self._read.ask(instance_id)
                if record is None:
                    raise InstanceNotFoundError(instance_id)
                if reached(record):
                    return record
                seen[:] = [record]
                waited = self._environment.monotonic() - began
                with anyio.move_on_after(self._pause(waited)):
                    await changed.wait()
            finally:
                waiting.discard(changed)
                if not waiting and self._by_id.get(instance_id) is waiting:
                    del self._by_id[instance_id]

    def _pause(self, waited: float) -> float:
        pause = min(max(waited * POLL_SHARE, POLL_SECONDS_FIRST), POLL_SECONDS_MAX)
        return pause * (0.75 + 0.5 * self._environment.random().random())

    def _on_changed(self, instance_ids: frozenset[str] | None) -> None:
        if instance_ids is None:
            chosen = list(self._by_id.values())
        else:
            chosen = [self._by_id[key] for key in instance_ids if key in self._by_id]
        for waiting in chosen:
            for event in waiting:
                event.set()


def _standing(record: InstanceRecord) -> str:
    """Return where an instance stands that did not get there, and what might help."""
    if record.parked is not None:
        return f"it is parked, until its code is corrected and unpark is called: {record.parked}"
    match record.status:
        case Status.PENDING if record.start_at_us:
            return "it is pending, and was started with start_at"
        case Status.PENDING:
            return f"it is pending; is a worker running that registers {record.name!r}?"
        case Status.SUSPENDED:
            return "it is suspended, until resume is called"
        case _:
            return f"it is {record.status.value}"
