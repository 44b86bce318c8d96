"""Client: everything that can be asked of orchestrations and entities, from any process."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar, overload

from durable_async.errors import InstanceExistsError, ValidationError, shown
from durable_async.model.arguments import check_several
from durable_async.model.history import ExecutionStarted
from durable_async.model.identity import (
    check_instance_id,
    check_orchestrator_name,
    check_tags,
    check_version,
)
from durable_async.model.moments import microseconds
from durable_async.model.policy import SECONDS_MAX, ReusePolicy, Seconds, seconds_of
from durable_async.model.records import NewInstance, StartOutcome
from durable_async.registry import Orchestrator
from durable_async.serialization.events import encode_events

from . import _lineage
from ._connection import IdOrHandle, id_of
from ._entities.upkeep import EntityUpkeep
from ._handle import OrchestrationHandle, Since
from ._steering import Steering
from ._waiters import News

In = TypeVar("In")
R = TypeVar("R")
T = TypeVar("T")


class Client(Steering, EntityUpkeep):
    """Starts, watches and steers the orchestrations of one task hub, signals, calls and reads its entities.

    Every call that changes something carries a request id, so that it is repeated safely when the store did not answer.
    Calls made at the same time share round trips.
    """

    @overload
    def handle(self, instance_id: str, result_type: type[T], /) -> OrchestrationHandle[T]: ...
    @overload
    def handle(self, instance_id: str, result_type: Any = ..., /) -> OrchestrationHandle[Any]: ...
    def handle(self, instance_id: str, result_type: Any = Any, /) -> OrchestrationHandle[Any]:
        """Return a handle for an id; the store is not asked."""
        return OrchestrationHandle(self, id_of(instance_id), result_type)

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
        /,
        input: In,
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
        /,
        input: Any = ...,
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
        /,
        input: Any = None,
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
            version: What it sees as ``ctx.version``; an empty one is none. By default the hub's ``default_version``.
            tags: To find it by.
            start_at: Not to begin before a time, or before a duration has passed.
            reuse: What to do if the id is taken.
            request_id: Repeating a call with the same one gives the same answer and starts nothing more.

        Raises:
            InstanceExistsError: The id is taken.
            OverloadedError: As many as the hub was opened for are pending (``pending_max``); nothing was written.
            ValidationError: An argument is refused; nothing was written.
            EncodeError: The input cannot be stored.
        """
        new = self._new(
            orchestrator, input, instance_id, version, tags, start_at, reuse, request_id
        )
        # What is asked again may have been answered, and be over, long ago.
        news = self._instances.news(new.instance_id) if request_id is None else None
        outcome = await self._create_one(new)
        return self._started(new, outcome, orchestrator, news)

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

        Args:
            orchestrator: The decorated function, or its name.
            inputs: One for each.
            instance_ids: As many ids; 32 random hex digits each by default.
            version: As for `start`, like all others.
            tags: To find them by.
            start_at: When they begin.
            reuse: What to do if an id is taken.

        Raises:
            InstanceExistsError: An id is taken; the others were started.
            OverloadedError: With these, more than the hub was opened for would be pending; none was started.
        """
        inputs = check_several(inputs, "inputs", "inputs")
        if instance_ids is not None:
            instance_ids = check_several(instance_ids, "instance_ids", "ids")
        if instance_ids is not None and len(instance_ids) != len(inputs):
            raise ValidationError(
                "instance_ids", f"{len(instance_ids)} ids for {len(inputs)} inputs"
            )
        ids = instance_ids or [self._environment.new_id() for _ in inputs]
        new = [
            self._new(orchestrator, value, instance_id, version, tags, start_at, reuse, None)
            for value, instance_id in zip(inputs, ids, strict=True)
        ]
        news = [self._instances.news(one.instance_id) for one in new]
        outcomes = await self._create_all(new) if new else []
        return [
            self._started(one, outcome, orchestrator, heard)
            for one, outcome, heard in zip(new, outcomes, news, strict=True)
        ]

    async def _create_one(self, new: NewInstance) -> StartOutcome:
        """Create one, in a commit that is shared with other callers."""
        await self._admit(1)
        if self._teller is None:
            return await self._persist(lambda: self._create.ask(new))
        (outcome,) = await self._teller.create([new], self._ask_for_each)
        return outcome

    async def _ask_for_each(self, new: Sequence[NewInstance]) -> Sequence[StartOutcome]:
        return [await self._persist(functools.partial(self._create.ask, one)) for one in new]

    async def _create_all(self, new: Sequence[NewInstance]) -> Sequence[StartOutcome]:
        """Create several, in one commit of their own."""
        await self._admit(len(new))
        if self._teller is None:
            return await self._ask_for_all(new)
        return await self._teller.create(new, self._ask_for_all)

    async def _ask_for_all(self, new: Sequence[NewInstance]) -> Sequence[StartOutcome]:
        return await self._persist(lambda: self._backend.create(new))

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
            name = check_orchestrator_name(orchestrator)
            payload = self._input(name, value)
        elif isinstance(orchestrator, Orchestrator):
            name = orchestrator.name
            payload = orchestrator.encode_input(self._payloads, value)
        else:
            raise ValidationError(
                "orchestrator", f"{shown(orchestrator)} is not one: decorate it with @orchestrator"
            )
        if not isinstance(reuse, ReusePolicy):
            raise ValidationError("reuse", f"must be a ReusePolicy, not {shown(reuse)}")
        version = self.default_version if version is None else check_version(version)
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
            tags={} if tags is None else check_tags(tags),
            reuse=reuse,
            request_id=self._request_id(request_id),
        )

    def _input(self, name: str, value: Any) -> bytes | None:
        """By name, no input is nothing at all, so that the worker's code takes its parameter's default."""
        if value is None:
            return None
        return self._payloads.encode(value, f"orchestrator {name!r} input")

    def _start_us(self, start_at: datetime | Seconds | None) -> int:
        if start_at is None:
            return 0
        now_us = self._backend.now_us()
        if isinstance(start_at, datetime):
            start_us = max(microseconds(start_at), 0)
        else:
            start_us = now_us + round(seconds_of(start_at, "start_at") * 1e6)
        if start_us - now_us >= SECONDS_MAX * 1e6:
            raise ValidationError("start_at", f"lies 1,000 years ahead, or more: {shown(start_at)}")
        return start_us

    def _started(
        self, new: NewInstance, outcome: StartOutcome, orchestrator: Any, news: News | None
    ) -> OrchestrationHandle[Any]:
        if not outcome.created and new.reuse is not ReusePolicy.RETURN_EXISTING:
            raise InstanceExistsError(new.instance_id, outcome.status.value)
        result_type = getattr(orchestrator, "result_type", Any)
        return OrchestrationHandle(
            self,
            new.instance_id,
            result_type,
            created=outcome.created,
            since=Since(outcome.execution, news) if outcome.created and news is not None else None,
        )

    async def restart(
        self, instance: IdOrHandle, *, instance_id: str | None = None
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
        news = self._instances.news(new.instance_id)
        outcome = await self._create_one(new)
        return self._started(new, outcome, instance, news)
