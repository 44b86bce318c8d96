"""Telling: what this client asks for, told to whoever listens. There is a teller only where somebody does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec

from durable_async.environment import Environment
from durable_async.model.history import Origin
from durable_async.model.records import NewInstance, StartOutcome
from durable_async.serialization.events import decode_start, encode_events
from durable_async.telemetry import (
    ClientCall,
    ClientVerb,
    Ongoing,
    Outcome,
    Signals,
    incoming_trace,
)

T = TypeVar("T")


class _Asked:
    """A call that is under way."""

    def __init__(self, ongoing: Ongoing | None, teller: ClientTeller) -> None:
        self._ongoing = ongoing
        self._clock = teller.clock
        self._begun_at = teller.clock()
        header = incoming_trace() if ongoing is None else ongoing.traceparent
        self.origin = Origin(header, teller.now_us())

    def ended(self, error: BaseException | None = None) -> None:
        """Tell that the store answered, or that it could not be asked."""
        if self._ongoing is None:
            return
        seconds = self._clock() - self._begun_at
        if error is None:
            outcome = Outcome(status="completed", seconds=seconds)
        else:
            is_ours = isinstance(error, Exception)
            kind = f"{type(error).__module__}.{type(error).__qualname__}"
            outcome = Outcome(
                status="failed" if is_ours else "cancelled", seconds=seconds, error=kind
            )
        self._ongoing.ended(outcome)
        self._ongoing.recorded()


class ClientTeller:
    """What one client tells.

    Attributes:
        clock: Seconds, to measure with.
        now_us: The store's clock.
    """

    def __init__(
        self, signals: Signals, environment: Environment, now_us: Callable[[], int], hub: str
    ) -> None:
        self.clock = environment.monotonic
        self.now_us = now_us
        self._signals = signals
        self._hub = hub

    async def around(
        self,
        verb: ClientVerb,
        name: str,
        instance_id: str,
        do: Callable[[Origin], Awaitable[T]],
        *,
        operation: str = "",
    ) -> T:
        """Do what is asked for, with what it belongs to, and tell of it."""
        asked = self._ask(verb, name, instance_id, operation)
        try:
            result = await do(asked.origin)
        except BaseException as error:
            asked.ended(error)
            raise
        asked.ended()
        return result

    async def create(
        self,
        instances: Sequence[NewInstance],
        create: Callable[[Sequence[NewInstance]], Awaitable[Sequence[StartOutcome]]],
    ) -> Sequence[StartOutcome]:
        """Create instances, with what they belong to, and tell of it."""
        asked = [self._ask("start", new.name, new.instance_id) for new in instances]
        try:
            outcomes = await create(
                [_belonging(new, one.origin) for new, one in zip(instances, asked, strict=True)]
            )
        except BaseException as error:
            for one in reversed(asked):
                one.ended(error)
            raise
        for one in reversed(asked):  # each may have put something into the context
            one.ended()
        return outcomes

    def _ask(self, verb: ClientVerb, name: str, instance_id: str, operation: str = "") -> _Asked:
        tell = self._signals.client_call_began
        ongoing = None
        if tell is not None:
            call = ClientCall(
                hub=self._hub,
                begun_us=self.now_us(),
                verb=verb,
                name=name,
                instance_id=instance_id,
                operation=operation,
            )
            ongoing = tell(call)
        return _Asked(ongoing, self)


def _belonging(new: NewInstance, origin: Origin) -> NewInstance:
    started = msgspec.structs.replace(decode_start(new.instance_id, new.events), origin=origin)
    return msgspec.structs.replace(new, events=encode_events([started]))
