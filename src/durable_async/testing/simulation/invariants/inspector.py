"""Inspector: looks at every call that the store of a run carries out, and at all that is left at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from durable_async._kernel.entities.instance import EntityInstance
from durable_async.backends.memory.state import HubState
from durable_async.hub import TaskHub
from durable_async.testing.simulation.violations import Violation
from durable_async.worker import Worker, WorkerSettings

from ._calls import Call
from .bounds import Bounds
from .caches import check_warm, check_warm_entity
from .chronicle import Chronicle
from .claims import Claims, check_claims, check_parks
from .executions import Execution
from .fences import Fences, check_owners
from .liveness import Rest, check_queue
from .locks import Locks
from .mailboxes import Mailboxes
from .refinement import check_refinement
from .requests import Requests
from .rows import Change, Rows
from .touched import touched

READS = frozenset(
    {"read", "query", "read_entities", "query_entities", "read_letters", "read_fence", "statistics"}
    | {"unwanted_activities", "withdraw", "read_workers", "read_queued"}
)
"""Verbs that change nothing, and tell nothing that is looked at."""

STRAY_CALLS = 64
"""After so many calls that change something, all rows are looked at, and not only those that a call was about."""

UNRULY = ("poison",)
"""What names begin with of code that does what it must not; it is not carried out again."""


class Inspector:
    """Follows one run, call by call; on a store in memory it also looks at its rows.

    Args:
        clock: The store's clock.
        settings: Those of the workers.
        letters_max: How many letters a mailbox takes from clients.
        memory: The hub in memory, or ``None`` on another store.

    Attributes:
        calls: How many calls there were.
    """

    def __init__(
        self,
        clock: Callable[[], int],
        settings: WorkerSettings,
        letters_max: int,
        memory: HubState | None = None,
    ) -> None:
        self.calls = 0
        self._clock = clock
        self._settings = settings
        self._fences = Fences()
        self._requests = Requests()
        self._claims = Claims(settings.attempts_max)
        self._bounds = Bounds(settings, letters_max)
        self._mailboxes = Mailboxes()
        self._rows = None if memory is None else Rows(memory)
        self._locks = None if self._rows is None else Locks(self._rows)
        self._chronicle = Chronicle(self._requests)
        self._excused = self._chronicle.excused
        self._changing_calls = 0

    def excuse(self, instance_id: str) -> None:
        """Look at an instance no more: a test has laid hands on its rows."""
        self._excused.add(instance_id)

    def is_deposed(self, node: str) -> bool:
        """Tell whether a process is a worker whose lease is over, so that it must not begin anything."""
        return self._fences.is_deposed(node, self._clock())

    def applied(
        self, node: str, verb: str, args: tuple[Any, ...], options: dict[str, Any], answer: Any
    ) -> None:
        """Take in a call that took effect.

        Raises:
            Violation: An invariant does not hold any more.
        """
        self.calls += 1
        if verb in READS:
            return
        call = Call(node, verb, args, options, answer, self._clock())
        self._fences.see(call)
        repeated = self._requests.see(call)
        self._claims.see(call)
        self._bounds.see(call)
        changes: dict[str, Change] = {}
        if self._rows is not None:
            changes = self._look(call, self._rows, repeated)
        self._chronicle.follow(call, changes, repeated)

    # -- rows in memory

    def _look(self, call: Call, rows: Rows, repeated: set[str]) -> dict[str, Change]:
        items = rows.look_at_items()
        changes = {
            instance_id: change
            for instance_id, change in rows.look(list(touched(call, rows))).items()
            if instance_id not in self._excused
        }
        check_owners(call, changes, rows.hub)
        self._mailboxes.see(call, changes, items, repeated)
        check_parks(call, changes)
        check_queue(rows.hub, changes)
        self._bounds.check_mailboxes(call, changes)
        if call.verb == "fetch":
            check_claims(call, changes, items)
        elif call.verb in {"take_over", "retire_worker"}:
            self._fences.forget_those_taken_over(rows.hub)
        if self._locks is not None:
            self._locks.see(changes)
        self._changing_calls += 1
        if self._changing_calls % STRAY_CALLS == 0:
            self._check_strays(rows)
        return changes

    def _check_strays(self, rows: Rows) -> None:
        strays = [one for one in rows.strays() if one[0] not in self._excused]
        if strays:
            instance_id, then, now = strays[0]
            raise Violation(
                "I2",
                "changed by a call that was not about it",
                where=instance_id,
                then=then,
                now=now,
            )

    # -- the end

    def check_workers(self, workers: Iterable[Worker]) -> None:
        """See that workers keep to their bounds; at any moment.

        Raises:
            Violation: One does not.
        """
        for worker in workers:
            self._bounds.check_session(worker._session)

    async def settled(self, hub: TaskHub, workers: Iterable[Worker]) -> None:
        """Look at what is left when the faults are over and everything has settled, with a worker that is alive.

        Args:
            hub: A sound way to the store, with everything registered.
            workers: Those that are alive.

        Raises:
            Violation: Something is not as it must be.
        """
        self._check_refinement(hub)
        if self._rows is None:
            return
        self._check_strays(self._rows)
        if self._locks is not None:
            self._locks.check_all_free()
        patience_us = round(2 * self._settings.poll_seconds * 1e6)
        rows = [row for row in self._rows.all() if row.instance_id not in self._excused]
        Rest(rows, self._chronicle.executions, self._clock(), patience_us).check()
        for worker in workers:
            self._check_caches(worker, self._rows, hub)

    def _check_refinement(self, hub: TaskHub) -> None:
        for (instance_id, _), execution in self._chronicle.executions.items():
            if instance_id not in self._excused and not _is_unruly(execution):
                check_refinement(execution, _programs(hub))

    def _check_caches(self, worker: Worker, rows: Rows, hub: TaskHub) -> None:
        session = worker._session
        tools = getattr(session, "_tools", None)
        self._bounds.check_session(session)
        for slot in () if tools is None else tools.slots:
            row = rows.get(slot.instance_id)
            if not slot.is_idle or slot.instance_id in self._excused or row is None:
                continue
            if slot.execution < row.execution:
                continue  # replaced or purged, which its owner learns when it wants to commit
            if (row.owner, row.execution) != (worker.worker_id, slot.execution):
                raise Violation(
                    "I20",
                    "warm, and another's",
                    where=slot.instance_id,
                    row=row,
                    worker=worker.worker_id,
                )
            if isinstance(slot.instance, EntityInstance):
                check_warm_entity(slot.instance, row.state)
            elif not row.name.startswith(UNRULY):
                check_warm(slot.instance, row.history, _programs(hub)(row.name))


def _is_unruly(execution: Execution) -> bool:
    return execution.started.name.startswith(UNRULY)


def _programs(hub: TaskHub) -> Callable[[str], Any]:
    def program(name: str) -> Any:
        orchestrator = hub.registry.find_orchestrator(name)
        assert orchestrator is not None, name
        return orchestrator.program(hub.payloads)

    return program
