"""OrchestrationContext: what orchestrator code sees of the engine."""

from __future__ import annotations

import logging
import random
import uuid
from collections.abc import MutableMapping
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Any, NoReturn, ParamSpec, Protocol, TypeVar, overload

from durable_async.errors import (
    LimitExceededError,
    PayloadTooLargeError,
    ValidationError,
    shown,
)
from durable_async.model.history import ParentLink
from durable_async.model.identity import (
    check_instance_id,
    check_name,
    check_orchestrator_name,
    check_version,
)
from durable_async.model.moments import EPOCH
from durable_async.model.policy import (
    DEFAULT_ACTIVITY_OPTIONS,
    ActivityOptions,
    ReusePolicy,
    Seconds,
)
from durable_async.serialization.signatures import Signature
from durable_async.telemetry.logs import about

from .entity_calls import EntityCalls
from .futures import (
    ActivityFuture,
    DurableFuture,
    EventFuture,
    SubOrchestrationFuture,
    TimerFuture,
    activity_future,
)
from .journal import MICROSECONDS, Journal, exact
from .program import Payloads
from .seeds import Streams
from .times import due_us

P = ParamSpec("P")
R = TypeVar("R", covariant=True)
T = TypeVar("T")
In = TypeVar("In", contravariant=True)

CUSTOM_STATUS_BYTES_MAX = 64 * 1024
DEPTH_MAX = 32
"""How deep sub-orchestrations may be below the orchestration that a client started."""

_REUSES_OF_CHILDREN = (ReusePolicy.REJECT, ReusePolicy.REPLACE_TERMINAL)

current_context: ContextVar[OrchestrationContext] = ContextVar("durable_async_orchestration")


class ActivityReference(Protocol[P, R]):
    """An activity as the context needs it; ``@activity`` makes one."""

    @property
    def name(self) -> str:
        """The registered name."""
        ...

    @property
    def options(self) -> ActivityOptions:
        """How it is run."""
        ...

    @property
    def result_type(self) -> Any:
        """The annotation of its result."""
        ...

    @property
    def signature(self) -> Signature:
        """How a call's arguments become one payload."""
        ...

    @property
    def input_place(self) -> str:
        """What that payload is called in errors."""
        ...

    def encode_input(self, payloads: Payloads, *args: P.args, **kwargs: P.kwargs) -> bytes:
        """Return the call's arguments as one payload; tells type checkers what they are."""
        ...

    def _result(self) -> R: ...


class OrchestratorReference(Protocol[In, R]):
    """An orchestrator as the context needs it; ``@orchestrator`` makes one."""

    @property
    def name(self) -> str:
        """The registered name."""
        ...

    @property
    def result_type(self) -> Any:
        """The annotation of its result."""
        ...

    def encode_input(self, payloads: Payloads, value: Any) -> bytes:
        """Return the input as a payload."""
        ...

    def _signature(self, value: In) -> R: ...


class ContinueAsNew(BaseException):
    """Unwinds the code of an execution that goes on as a new one; never leaves the kernel."""


class ContinueRequest:
    """What the next execution begins with."""

    __slots__ = ("keep_events", "payload", "version")

    def __init__(self, payload: bytes | None, version: str | None, keep_events: bool) -> None:
        self.payload = payload
        self.version = version
        self.keep_events = keep_events


class OrchestrationContext(EntityCalls):
    """One execution of an orchestration, from the inside.

    Durable calls are recorded when they are made and return a ``DurableFuture``; await it in ``async def`` orchestrators, yield it in generators.
    Everything here gives the same answers in every replay.

    Attributes:
        instance_id: The instance.
        execution: Which generation it is, from 1; ``continue_as_new`` begins the next.
        name: The orchestrator's registered name.
        version: The version it was started with, or ``None``.
    """

    def __init__(
        self,
        journal: Journal,
        payloads: Payloads,
        *,
        name: str,
        version: str | None,
        execution: int,
        parent: ParentLink | None,
    ) -> None:
        super().__init__(journal, payloads)
        self.instance_id = journal.instance_id
        self.execution = execution
        self.name = name
        self.version = version
        self._parent = parent
        self._streams: Streams | None = None
        self._status: bytes | None = None
        self._continue: ContinueRequest | None = None

    def __repr__(self) -> str:
        return f"<OrchestrationContext {self.name} {self.instance_id!r} execution {self.execution}>"

    @property
    def parent_instance_id(self) -> str | None:
        """The orchestration that started this one, or ``None`` at top level."""
        return None if self._parent is None else self._parent.instance_id

    @property
    def is_replaying(self) -> bool:
        """Whether the code is being taken through what it did before."""
        return self._journal.replaying

    # -- time and chance

    def now(self) -> datetime:
        """Return orchestrator time, aware, UTC: that of the turn, or of the timer that fired."""
        journal = self._journal
        loop_us = journal.start_us + round(journal.loop.seconds * MICROSECONDS)
        return EPOCH + timedelta(microseconds=max(journal.clock_us, loop_us))

    @property
    def current_utc_datetime(self) -> datetime:
        """Orchestrator time as a naive datetime in UTC, as Durable Task has it."""
        return self.now().replace(tzinfo=None)

    def random(self, name: str = "") -> random.Random:
        """Return a random stream that every replay repeats; each name has its own."""
        return self._seeds().random(name)

    def uuid4(self, name: str = "") -> uuid.UUID:
        """Return an id that every replay repeats; each name has its own series."""
        return self._seeds().uuid4(name)

    def logger(self, logger: logging.Logger) -> logging.LoggerAdapter[logging.Logger]:
        """Return an adapter of a logger that is silent in a replay."""
        return ReplaySilentLogger(logger, self)

    def _seeds(self) -> Streams:
        if self._streams is None:
            self._streams = Streams(self.instance_id, self.execution)
        return self._streams

    # -- durable calls

    @overload
    def call_activity(
        self, activity: ActivityReference[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> DurableFuture[R]: ...
    @overload
    def call_activity(
        self,
        activity: str,
        /,
        input: Any = None,
        *,
        result_type: type[T],
        options: ActivityOptions | None = None,
    ) -> DurableFuture[T]: ...
    @overload
    def call_activity(
        self,
        activity: str,
        /,
        input: Any = None,
        *,
        result_type: Any = ...,
        options: ActivityOptions | None = None,
    ) -> DurableFuture[Any]: ...
    def call_activity(self, activity: Any, /, *args: Any, **kwargs: Any) -> DurableFuture[Any]:
        """Run an activity.

        By reference the arguments are those of the function. By name there is one input, and ``result_type`` and ``options`` are keywords.

        Raises:
            EncodeError: An argument cannot be stored. Nothing was scheduled.
            ActivityFailedError: Through the future, when it failed for good.
        """
        journal = self._journal
        if hasattr(activity, "__durable_activity__"):
            future = activity_future(
                journal,
                activity.name,
                activity.signature.encode(self._payloads, args, kwargs, activity.input_place),
                activity.result_type,
                activity.options,
            )
        elif isinstance(activity, str):
            future = self._named_activity(activity, *args, **kwargs)
        else:
            raise ValidationError(
                "activity", f"{shown(activity)} is not an activity: decorate it with @activity"
            )
        if not journal.evicting:
            journal.schedule_activity(future)
        return future

    def _named_activity(
        self,
        name: str,
        input: Any = None,
        *,
        result_type: Any = Any,
        options: ActivityOptions | None = None,
    ) -> ActivityFuture[Any]:
        name = check_name(name, "activity")
        payload = self._payloads.encode(input, f"activity {name!r} input")
        options = options or DEFAULT_ACTIVITY_OPTIONS
        return activity_future(self._journal, name, payload, result_type, options)

    def create_timer(
        self, due: Seconds | datetime, *, may_change: bool = False
    ) -> DurableFuture[None]:
        """Wait until a time or for a duration.

        Args:
            due: Seconds or a ``timedelta`` from now, or a ``datetime``; a naive one is UTC. What is past fires at once.
            may_change: Whether another release may ask for another time here: a replay does not mind then, and the timer that was
                created keeps its own.

        Raises:
            ValidationError: It is not a number, or more than 1,000 years ahead.
        """
        journal = self._journal
        loop = journal.loop
        future = TimerFuture(loop, loop.next_order(), journal)
        if journal.evicting:
            return future
        future.fire_at_us = due_us(due, journal.clock_us)
        journal.create_timer(future, any_time=may_change)
        return future

    @overload
    def wait_for_external_event(self, name: str, type: type[T], /) -> DurableFuture[T]: ...
    @overload
    def wait_for_external_event(self, name: str, type: Any = ..., /) -> DurableFuture[Any]: ...
    def wait_for_external_event(self, name: str, type: Any = Any, /) -> DurableFuture[Any]:
        """Wait for an event that a client or another orchestration raises.

        Events are kept until somebody waits for them, first come first served among events and among waiters of a name.
        """
        journal = self._journal
        loop = journal.loop
        future: EventFuture[Any] = EventFuture(loop, loop.next_order(), journal)
        if not journal.evicting:
            future.name = check_name(name, "event name")
            future.into = type
            journal.wait_for_event(future)
        return future

    @overload
    def call_sub_orchestrator(
        self,
        orchestrator: OrchestratorReference[Any, R],
        /,
        input: Any = None,
        *,
        instance_id: str | None = None,
        version: str | None = None,
        default_version: str | None = None,
        reuse: ReusePolicy = ...,
    ) -> DurableFuture[R]: ...
    @overload
    def call_sub_orchestrator(
        self,
        orchestrator: str,
        /,
        input: Any = None,
        *,
        instance_id: str | None = None,
        version: str | None = None,
        default_version: str | None = None,
        reuse: ReusePolicy = ...,
        result_type: Any = ...,
    ) -> DurableFuture[Any]: ...
    def call_sub_orchestrator(
        self,
        orchestrator: Any,
        /,
        input: Any = None,
        *,
        instance_id: str | None = None,
        version: str | None = None,
        default_version: str | None = None,
        reuse: ReusePolicy = ReusePolicy.REJECT,
        result_type: Any = Any,
    ) -> DurableFuture[Any]:
        """Start a child and wait for its result.

        Args:
            orchestrator: The decorated function, or its name.
            input: Its input.
            instance_id: Its id; by default one that is derived from this instance's.
            version: What the child sees as ``ctx.version``.
            default_version: The same where ``version`` is not given, ``""`` for none. It may change between releases, and a replay does not
                mind: a child that was started keeps its own.
            reuse: Whether it may begin anew under the id of one that has ended: ``REPLACE_TERMINAL``, whosever it was. By default, and as long as
                that one has not ended, an id that is taken is refused.
            result_type: With a name: what the result is decoded into.

        Raises:
            ValidationError: An argument is refused.
            LimitExceededError: This one is the child of a child, and so on, 32 times already.
            SubOrchestrationFailedError: Through the future: it failed, was terminated, or its id was taken.
        """
        journal = self._journal
        loop = journal.loop
        future: SubOrchestrationFuture[Any] = SubOrchestrationFuture(
            loop, loop.next_order(), journal
        )
        if journal.evicting:
            return future
        if isinstance(orchestrator, str):
            future.name = check_orchestrator_name(orchestrator)
            future.into = result_type
            payload = self._payloads.encode(input, f"orchestrator {orchestrator!r} input")
        elif not hasattr(orchestrator, "__durable_orchestrator__"):
            raise ValidationError(
                "orchestrator", f"{shown(orchestrator)} is not one: decorate it with @orchestrator"
            )
        else:
            future.name = orchestrator.name
            future.into = orchestrator.result_type
            payload = orchestrator.encode_input(self._payloads, input)
        if instance_id is not None:
            instance_id = check_instance_id(instance_id)
        version, default = check_version(version), check_version(default_version)
        self._check_depth()
        if reuse not in _REUSES_OF_CHILDREN:
            raise ValidationError(
                "reuse", f"must be REJECT or REPLACE_TERMINAL, not {shown(reuse)}"
            )
        journal.schedule_child(
            future,
            instance_id,
            version or default,
            payload,
            reuse,
            any_version=version is None and default_version is not None,
        )
        return future

    def _check_depth(self) -> None:
        depth = 1 if self._parent is None else self._parent.depth + 1
        if depth > DEPTH_MAX:
            advice = "let it start others by an activity that calls the client"
            raise LimitExceededError("depth of sub-orchestrations", depth, DEPTH_MAX, advice)

    def send_event(self, instance_id: str, name: str, payload: Any = None) -> None:
        """Raise an event on another orchestration; nothing happens if it is absent or has ended."""
        instance_id = check_instance_id(instance_id)
        name = check_name(name, "event name")
        data = self._payloads.encode(payload, f"event {name!r} payload")
        if not self._journal.evicting:
            self._journal.send_event(instance_id, name, data)

    def set_custom_status(self, value: Any) -> None:
        """Publish something that clients can read while the orchestration runs; ``None`` takes it back.

        Raises:
            EncodeError: It cannot be stored.
            PayloadTooLargeError: It is over 64 KiB: it comes along whenever somebody looks.
        """
        self._journal.check_inside()
        data = b"" if value is None else self._payloads.encode(value, "custom status")
        if len(data) > CUSTOM_STATUS_BYTES_MAX:
            raise PayloadTooLargeError("custom status", len(data), CUSTOM_STATUS_BYTES_MAX)
        self._status = exact(data)

    def continue_as_new(
        self, input: Any = None, *, version: str | None = None, keep_events: bool = True
    ) -> NoReturn:
        """End this execution and begin the next one, of the same instance, with a fresh history.

        The code is unwound from here: ``finally`` blocks and context managers run and may still await durable calls.

        Args:
            input: What the next execution gets.
            version: Its version; by default this one's.
            keep_events: Whether events that nobody has waited for yet are kept for it.
        """
        self._request_continue(input, version=version, keep_events=keep_events)
        raise ContinueAsNew

    def _request_continue(self, input: Any, *, version: str | None, keep_events: bool) -> None:
        """Note that the execution goes on as a new one when the code ends; the first request counts."""
        payload = self._payloads.encode(input, "continue_as_new input")
        version = check_version(version)
        if not isinstance(keep_events, bool):
            raise ValidationError("keep_events", f"must be True or False, not {shown(keep_events)}")
        if self._continue is None:
            self._continue = ContinueRequest(payload, version or self.version, keep_events)


class ReplaySilentLogger(logging.LoggerAdapter[logging.Logger]):
    """Passes records on unless the orchestration is replaying; adds its id and execution to each."""

    def __init__(self, logger: logging.Logger, context: OrchestrationContext) -> None:
        super().__init__(logger, about(context.instance_id, context.execution))
        self._context = context

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the name is logging's
        """Tell whether a record of this level would be passed on now."""
        return not self._context.is_replaying and super().isEnabledFor(level)

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the instance's id and execution to the record."""
        kwargs["extra"] = {**(self.extra or {}), **kwargs.get("extra", {})}
        return msg, kwargs
