"""Waiting for an instance: hints first, looking again as the guarantee."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from durable_async.backend import Backend
from durable_async.environment import Environment
from durable_async.errors import InstanceNotFoundError, WaitTimeoutError
from durable_async.model.records import InstanceRecord
from durable_async.model.status import Status

from ._looking import Lookout, Waiter

FEW = 20
"""So many waiters may as well read at once when anything may have changed."""


class Waiters:
    """Those who wait for instances, in this process."""

    def __init__(
        self,
        backend: Backend,
        environment: Environment,
        read: Callable[[str], Awaitable[InstanceRecord | None]],
    ) -> None:
        self._environment = environment
        self._read = read
        self._lookout = Lookout(backend, environment)
        self._by_id: dict[str, set[Waiter]] = {}
        self.close = backend.listen(lambda: None, self._on_changed)

    async def wait(
        self,
        instance_id: str,
        reached: Callable[[InstanceRecord], bool],
        what: str,
        timeout: float | None,
    ) -> InstanceRecord:
        """Return the instance's record once ``reached`` holds for it; records without payloads are shown to ``reached``, too.

        Raises:
            InstanceNotFoundError: There is no such instance.
            WaitTimeoutError: It was not reached in time.
            BackendUnavailableError: The store is silent, and has been for a while.
        """
        waiter = Waiter(instance_id, reached, self._environment.monotonic())
        seen: list[InstanceRecord] = []
        self._by_id.setdefault(instance_id, set()).add(waiter)
        try:
            with anyio.move_on_after(timeout):
                return await self._wait(waiter, seen)
        finally:
            waiting = self._by_id[instance_id]
            waiting.discard(waiter)
            if not waiting:
                del self._by_id[instance_id]
        standing = _standing(seen[0]) if seen else ""
        raise WaitTimeoutError(instance_id, what, timeout or 0.0, standing)

    async def _wait(self, waiter: Waiter, seen: list[InstanceRecord]) -> InstanceRecord:
        while True:
            waiter.is_told = False  # before the query: what changes after it is heard
            record = await self._read(waiter.instance_id)
            if record is None:
                raise InstanceNotFoundError(waiter.instance_id)
            if waiter.reached(record):
                return record
            seen[:] = [record]
            await self._lookout.wait(waiter)

    def _on_changed(self, instance_ids: frozenset[str] | None) -> None:
        if instance_ids is None and len(self._by_id) > FEW:
            self._lookout.hurry()
            return
        for instance_id in self._by_id if instance_ids is None else instance_ids:
            for waiter in self._by_id.get(instance_id, ()):
                waiter.tell()


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
