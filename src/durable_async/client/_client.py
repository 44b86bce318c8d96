"""Client: one method a verb."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar, overload

import anyio

from durable_async.backend import Backend
from durable_async.environment import Environment
from durable_async.errors import (
    BackendUnavailableError,
    InstanceExistsError,
    InstanceNotFoundError,
    InvalidTransitionError,
    OrchestrationFailedError,
    OrchestrationTerminatedError,
    OverloadedError,
    ValidationError,
)
from durable_async.model.history import (
    EventRaised,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    HistoryEvent,
    Letter,
)
from durable_async.model.identity import check_instance_id, check_name, check_tags
from durable_async.model.policy import ReusePolicy, Seconds, seconds_of
from durable_async.model.records import (
    Delivery,
    InstanceFilter,
    InstanceRecord,
    NewInstance,
    Outgoing,
    StartOutcome,
)
from durable_async.model.status import Status
from durable_async.registry import Orchestrator
from durable_async.serialization import DataConverter
from durable_async.serialization.events import decode_events, encode_events, encode_letter

from . import _lineage
from ._gathering import Gatherer
from ._handle import OrchestrationHandle
from ._state import OrchestrationState, microseconds
from ._waiting import Waiters

In = TypeVar("In")
R = TypeVar("R")
T = TypeVar("T")
A = TypeVar("A")

Instance = str | OrchestrationHandle[Any]
"""An instance: its id, or the handle of a start."""

RETRY_SECONDS = 15.0
HISTORY_PAGE_BYTES = 4 * 1024 * 1024


class Client:
    """Starts, watches and steers the orchestrations of one task hub.

    Every call that changes something carries a request id, so that it is repeated safely when the store did not answer.
    Calls made at the same time share round trips.
    """

    def __init__(self, backend: Backend, environment: Environment, payloads: DataConverter) -> None:
        self._backend = backend
        self._environment = environment
        self._payloads = payloads
        self._create: Gatherer[NewInstance, StartOutcome] = Gatherer(backend.create)
        self._send: Gatherer[Outgoing, Delivery] = Gatherer(backend.send)
        self._read: Gatherer[str, InstanceRecord | None] = Gatherer(
            lambda ids: backend.read(ids, payloads=True)
        )
        self._waiters = Waiters(backend, environment, self._read)

    def close(self) -> None:
        """Stop listening to the backend."""
        self._waiters.close()

    @overload
    def handle(self, instance_id: str, result_type: type[T], /) -> OrchestrationHandle[T]: ...
    @overload
    def handle(self, instance_id: str, result_type: Any = ..., /) -> OrchestrationHandle[Any]: ...
    def handle(self, instance_id: str, result_type: Any = Any, /) -> OrchestrationHandle[Any]:
        """Return a handle for an id; the store is not asked."""
        return OrchestrationHandle(self, check_instance_id(instance_id), result_type)

    # -- start

    @overload
    async def start(
        self,
        orchestrator: Orchestrator[None, R],
        /,
        *,
        instance_id: str | None = ...,
        version: str | None = ...,
        tags: Mapping[str, str] | None = ...,
        start_at: datetime | Seconds | None = ...,
        reuse: ReusePolicy = ...,
        request_id: str | None = ...,
    ) -> OrchestrationHandle[R]: ...
    @overload
    async def start(
        self,
        orchestrator: Orchestrator[In, R],
        input: In,
        /,
        *,
        instance_id: str | None = ...,
        version: str | None = ...,
        tags: Mapping[str, str] | None = ...,
        start_at: datetime | Seconds | None = ...,
        reuse: ReusePolicy = ...,
        request_id: str | None = ...,
    ) -> OrchestrationHandle[R]: ...
    @overload
    async def start(
        self,
        orchestrator: str,
        input: Any = ...,
        /,
        *,
        instance_id: str | None = ...,
        version: str | None = ...,
        tags: Mapping[str, str] | None = ...,
        start_at: datetime | Seconds | None = ...,
        reuse: ReusePolicy = ...,
        request_id: str | None = ...,
    ) -> OrchestrationHandle[Any]: ...
    async def start(
        self,
        orchestrator: Any,
        input: Any = None,
        /,
        *,
        instance_id: str | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
        start_at: datetime | Seconds | None = None,
        reuse: ReusePolicy = ReusePolicy.REJECT,
        request_id: str | None = None,
    ) -> OrchestrationHandle[Any]:
        """Start an orchestration; it is durable when this returns.

        Args:
            orchestrator: The decorated function, or its name.
            input: Its input.
            instance_id: Its id; 32 random hex digits by default.
            version: What it sees as ``ctx.version``.
            tags: To find it by.
            start_at: Not to begin before a time, or before a duration has passed.
            reuse: What to do if the id is taken.
            request_id: Repeating a call with the same one gives the same answer and starts nothing more.

        Raises:
            InstanceExistsError: The id is taken.
            ValidationError: An argument is refused; nothing was written.
            EncodeError: The input cannot be stored.
        """
        new = self._new(
            orchestrator, input, instance_id, version, tags, start_at, reuse, request_id
        )
        outcome = await self._persist(lambda: self._create.ask(new))
        return self._started(new, outcome, orchestrator)

    async def start_many(
        self,
        orchestrator: Orchestrator[In, R] | str,
        inputs: Sequence[In],
        /,
        *,
        instance_ids: Sequence[str] | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
        start_at: datetime | Seconds | None = None,
        reuse: ReusePolicy = ReusePolicy.REJECT,
    ) -> list[OrchestrationHandle[R]]:
        """Start one orchestration for each input, in one commit.

        Raises:
            InstanceExistsError: An id is taken; the others were started.
        """
        if instance_ids is not None and len(instance_ids) != len(inputs):
            raise ValidationError(
                "instance_ids", f"{len(instance_ids)} ids for {len(inputs)} inputs"
            )
        ids = instance_ids or [self._environment.new_id() for _ in inputs]
        new = [
            self._new(orchestrator, value, instance_id, version, tags, start_at, reuse, None)
            for value, instance_id in zip(inputs, ids, strict=True)
        ]
        outcomes = await self._persist(lambda: self._backend.create(new)) if new else []
        return [
            self._started(one, outcome, orchestrator)
            for one, outcome in zip(new, outcomes, strict=True)
        ]

    def _new(
        self,
        orchestrator: Any,
        value: Any,
        instance_id: str | None,
        version: str | None,
        tags: Mapping[str, str] | None,
        start_at: datetime | Seconds | None,
        reuse: ReusePolicy,
        request_id: str | None,
    ) -> NewInstance:
        if isinstance(orchestrator, str):
            name = check_name(orchestrator, "orchestrator")
            payload = self._payloads.encode(value, f"orchestrator {name!r} input")
        elif isinstance(orchestrator, Orchestrator):
            name = orchestrator.name
            payload = orchestrator.encode_input(self._payloads, value)
        else:
            raise ValidationError(
                "orchestrator", f"{orchestrator!r} is not one: decorate it with @orchestrator"
            )
        if version is not None:
            check_name(version, "version")
        start_us = self._start_us(start_at)
        started = ExecutionStarted(name, version, payload, None, start_us)
        return NewInstance(
            instance_id=self._environment.new_id()
            if instance_id is None
            else check_instance_id(instance_id),
            name=name,
            version=version,
            events=encode_events([started]),
            created_at_us=self._backend.now_us(),
            start_at_us=start_us,
            tags=check_tags(dict(tags)) if tags else {},
            reuse=reuse,
            request_id=request_id or self._environment.new_id(),
        )

    def _start_us(self, start_at: datetime | Seconds | None) -> int:
        if start_at is None:
            return 0
        if isinstance(start_at, datetime):
            return max(microseconds(start_at), 0)
        return self._backend.now_us() + round(seconds_of(start_at, "start_at") * 1e6)

    def _started(
        self, new: NewInstance, outcome: StartOutcome, orchestrator: Any
    ) -> OrchestrationHandle[Any]:
        if not outcome.created and new.reuse is not ReusePolicy.RETURN_EXISTING:
            raise InstanceExistsError(new.instance_id, outcome.status.value)
        result_type = getattr(orchestrator, "result_type", Any)
        return OrchestrationHandle(self, new.instance_id, result_type, created=outcome.created)

    # -- watch

    async def get(self, instance: Instance, *, payloads: bool = True) -> OrchestrationState | None:
        """Return an instance's state, or ``None`` if there is no such instance."""
        instance_id = _id(instance)
        if payloads:
            record = await self._read.ask(instance_id)
        else:
            (record,) = await self._backend.read([instance_id], payloads=False)
        return None if record is None else OrchestrationState(record, self._payloads)

    @overload
    async def wait(
        self, instance: OrchestrationHandle[R], /, *, timeout: float | None = ...
    ) -> R: ...
    @overload
    async def wait(
        self, instance: Instance, result_type: type[T], /, *, timeout: float | None = ...
    ) -> T: ...
    @overload
    async def wait(
        self, instance: Instance, result_type: Any = ..., /, *, timeout: float | None = ...
    ) -> Any: ...
    async def wait(
        self, instance: Instance, result_type: Any = None, /, *, timeout: float | None = None
    ) -> Any:
        """Wait until an orchestration has ended, and return its result.

        Args:
            instance: An id or a handle.
            result_type: What the result is read into; a handle of a start knows it.
            timeout: Seconds to wait at most; ``None`` for ever. The orchestration goes on regardless.

        Raises:
            OrchestrationFailedError: It failed.
            OrchestrationTerminatedError: It was terminated.
            WaitTimeoutError: It has not ended in time.
            InstanceNotFoundError: There is no such instance.
        """
        state = await self.wait_for_end(instance, timeout=timeout)
        known = instance.result_type if isinstance(instance, OrchestrationHandle) else Any
        into = known if result_type is None else result_type
        match state.status:
            case Status.FAILED:
                assert state.failure is not None
                subject = f"orchestration {state.name!r} ({state.instance_id})"
                raise OrchestrationFailedError(subject, state.failure)
            case Status.TERMINATED:
                raise OrchestrationTerminatedError(state.instance_id, state.output())
            case _:
                return state.output(into)

    async def wait_for_end(
        self, instance: Instance, *, timeout: float | None = None
    ) -> OrchestrationState:
        """Wait until an orchestration has ended, in whichever way, and return its state."""
        record = await self._waiters.wait(
            _id(instance), lambda record: record.status.is_terminal, "end", timeout
        )
        return OrchestrationState(record, self._payloads)

    async def wait_for_start(
        self, instance: Instance, *, timeout: float | None = None
    ) -> OrchestrationState:
        """Wait until an orchestration has begun to run, and return its state."""
        record = await self._waiters.wait(
            _id(instance), lambda record: record.status is not Status.PENDING, "start", timeout
        )
        return OrchestrationState(record, self._payloads)

    async def history(self, instance: Instance) -> list[HistoryEvent]:
        """Return the events of an instance's current execution, in order."""
        instance_id = _id(instance)
        events: list[HistoryEvent] = []
        after = -1
        execution: int | None = None
        while True:
            page = await self._backend.read_history(
                instance_id, execution=execution, after_turn=after, bytes_max=HISTORY_PAGE_BYTES
            )
            for row in page.rows:
                events.extend(decode_events(instance_id, row.events))
                after = row.turn
            if not page.more:
                return events
            execution = page.execution

    async def query(
        self,
        *,
        statuses: Sequence[Status] = (),
        names: Sequence[str] = (),
        id_prefix: str = "",
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        completed_from: datetime | None = None,
        completed_to: datetime | None = None,
        tags: Mapping[str, str] | None = None,
        parent: Instance | None = None,
        parked: bool | None = None,
        payloads: bool = False,
        page_size: int = 100,
    ) -> AsyncIterator[OrchestrationState]:
        """Go through the instances that meet all conditions, oldest first, page by page.

        Times from are inclusive, times to exclusive; naive ones are UTC.
        """
        where = InstanceFilter(
            statuses=tuple(statuses),
            names=tuple(names),
            id_prefix=id_prefix,
            created_from_us=_us(created_from),
            created_to_us=_us(created_to),
            completed_from_us=_us(completed_from),
            completed_to_us=_us(completed_to),
            tags=dict(tags or {}),
            parent_id=None if parent is None else _id(parent),
            parked=parked,
        )
        page: str | None = None
        while True:
            found, page = await self.query_page(
                where, limit=page_size, page=page, payloads=payloads
            )
            for state in found:
                yield state
            if page is None:
                return

    async def query_page(
        self,
        where: InstanceFilter,
        *,
        limit: int = 100,
        page: str | None = None,
        payloads: bool = False,
    ) -> tuple[list[OrchestrationState], str | None]:
        """Return one page of instances, oldest first, and what to pass for the next one; ``None`` after the last."""
        if limit < 1:
            raise ValidationError("limit", f"must be 1 or more, not {limit}")
        found = await self._backend.query(where, limit=limit, page=page, payloads=payloads)
        return [OrchestrationState(item, self._payloads) for item in found.items], found.next_page

    # -- steer

    async def raise_event(
        self, instance: Instance, name: str, payload: Any = None, *, request_id: str | None = None
    ) -> bool:
        """Raise an event; it is kept until the orchestration waits for it.

        Returns ``False``, and does nothing, if the orchestration has ended.

        Raises:
            InstanceNotFoundError: There is no such instance.
            OverloadedError: Its mailbox is full.
        """
        return await self._deliver(instance, self._event(name, payload), request_id=request_id)

    async def raise_events(self, events: Sequence[tuple[Instance, str, Any]]) -> list[bool]:
        """Raise many events in one commit: ``(instance, name, payload)`` each. Returns which were delivered."""
        letters = [
            Outgoing(
                instance_id=_id(instance),
                execution=None,
                letter=encode_letter(self._event(name, payload)),
                request_id=self._environment.new_id(),
            )
            for instance, name, payload in events
        ]
        deliveries = await self._persist(lambda: self._backend.send(letters)) if letters else []
        return [delivery is Delivery.DELIVERED for delivery in deliveries]

    def _event(self, name: str, payload: Any) -> EventRaised:
        check_name(name, "event name")
        return EventRaised(name, self._payloads.encode(payload, f"event {name!r} payload"))

    async def suspend(self, instance: Instance, reason: str | None = None) -> None:
        """Stop an orchestration where it stands; what arrives is kept until it is resumed. Twice is once.

        Raises:
            InvalidTransitionError: It has ended.
            InstanceNotFoundError: There is no such instance.
        """
        if not await self._deliver(instance, ExecutionSuspended(reason), urgent=True):
            raise InvalidTransitionError(_id(instance), "suspend", "ended", "running")

    async def resume(self, instance: Instance, reason: str | None = None) -> None:
        """Let a suspended orchestration go on. Twice is once.

        Raises:
            InvalidTransitionError: It has ended.
            InstanceNotFoundError: There is no such instance.
        """
        if not await self._deliver(instance, ExecutionResumed(reason), urgent=True):
            raise InvalidTransitionError(_id(instance), "resume", "ended", "suspended")

    async def terminate(
        self, instance: Instance, output: Any = None, *, recursive: bool = True
    ) -> None:
        """End an orchestration from outside; its code is not asked, its running activities are cancelled.

        Nothing happens if it has ended already.

        Args:
            instance: An id or a handle.
            output: What is kept as its output.
            recursive: Whether its sub-orchestrations are terminated too.

        Raises:
            InstanceNotFoundError: There is no such instance.
        """
        data = None if output is None else self._payloads.encode(output, "terminate output")
        await self._deliver(instance, ExecutionTerminated(data, recursive), urgent=True)

    async def _deliver(
        self,
        instance: Instance,
        letter: Letter,
        *,
        urgent: bool = False,
        request_id: str | None = None,
    ) -> bool:
        instance_id = _id(instance)
        outgoing = Outgoing(
            instance_id=instance_id,
            execution=None,
            letter=encode_letter(letter),
            urgent=urgent,
            request_id=request_id or self._environment.new_id(),
        )
        delivery = await self._persist(lambda: self._send.ask(outgoing))
        match delivery:
            case Delivery.NOT_FOUND:
                raise InstanceNotFoundError(instance_id)
            case Delivery.FULL:
                raise OverloadedError(f"the mailbox of instance {instance_id!r}", 10_000)
            case Delivery.TERMINAL:
                return False
            case Delivery.DELIVERED:
                return True

    async def restart(
        self, instance: Instance, *, instance_id: str | None = None
    ) -> OrchestrationHandle[Any]:
        """Start an orchestration that has ended once more, with the same name, input, version and tags.

        Args:
            instance: An id or a handle.
            instance_id: Another id for it; by default the same.

        Raises:
            InvalidTransitionError: It has not ended.
            InstanceNotFoundError: There is no such instance.
        """
        record = await self._ended(instance, "restart")
        new = _lineage.again(
            record, instance_id, self._backend.now_us(), self._environment.new_id()
        )
        outcome = await self._persist(lambda: self._create.ask(new))
        return self._started(new, outcome, instance)

    async def rewind(self, instance: Instance, reason: str | None = None) -> None:
        """Let a failed orchestration go on: what failed is done again, what succeeded is kept.

        Failed sub-orchestrations are rewound with it. With corrected code deployed first, an orchestration that
        failed by an error of its own goes on from there, too.

        Raises:
            InvalidTransitionError: It has not failed.
            InstanceNotFoundError: There is no such instance.
        """
        record = await self._record(instance)
        if record.status is not Status.FAILED:
            raise InvalidTransitionError(
                record.instance_id, "rewind", record.status.value, "failed"
            )
        rewrites = await _lineage.rewrites(self._backend, self.history, record, reason)
        if not await self._persist(lambda: self._backend.rewrite(rewrites)):
            raise InvalidTransitionError(record.instance_id, "rewind", "changing", "failed")

    async def purge(self, instance: Instance, *, recursive: bool = True) -> int:
        """Delete an orchestration that has ended, with its history; returns how many instances went.

        Nothing happens, and 0 is returned, if it has not ended or does not exist.
        """
        instance_id = _id(instance)
        ids = [instance_id]
        if recursive:
            ids += await _lineage.descendants(self._backend, instance_id)
        (first,) = await self._backend.read([instance_id], payloads=False)
        if first is None or not first.status.is_terminal:
            return 0
        return len(await self._persist(lambda: self._backend.purge(ids)))

    async def purge_where(self, where: InstanceFilter, *, batch: int = 500) -> int:
        """Delete all orchestrations that meet the conditions and have ended; returns how many."""
        count = 0
        page: str | None = None
        while True:
            found = await self._backend.query(where, limit=batch, page=page, payloads=False)
            ids = [item.instance_id for item in found.items if item.status.is_terminal]
            if ids:
                count += len(await self._backend.purge(ids))
            page = found.next_page
            if page is None:
                return count

    async def unpark(self, instance: Instance) -> bool:
        """Put a parked orchestration back; ``False`` if it was not parked."""
        instance_id = _id(instance)
        return bool(await self._persist(lambda: self._backend.unpark([instance_id])))

    async def _record(self, instance: Instance) -> InstanceRecord:
        instance_id = _id(instance)
        (record,) = await self._backend.read([instance_id], payloads=True)
        if record is None:
            raise InstanceNotFoundError(instance_id)
        return record

    async def _ended(self, instance: Instance, verb: str) -> InstanceRecord:
        record = await self._record(instance)
        if not record.status.is_terminal:
            raise InvalidTransitionError(record.instance_id, verb, record.status.value, "ended")
        return record

    async def _persist(self, call: Callable[[], Awaitable[A]]) -> A:
        """Repeat a call whose outcome is unknown: its request ids make that harmless."""
        deadline = self._environment.monotonic() + RETRY_SECONDS
        pause = 0.05
        while True:
            try:
                return await call()
            except BackendUnavailableError:
                if self._environment.monotonic() + pause > deadline:
                    raise
            await anyio.sleep(pause * (0.5 + self._environment.random().random()))
            pause = min(pause * 2, 1.0)


def _id(instance: Instance) -> str:
    if isinstance(instance, OrchestrationHandle):
        return instance.instance_id
    return check_instance_id(instance)


def _us(at: datetime | None) -> int | None:
    return None if at is None else microseconds(at)
