"""Orders: orchestrations that the clients of a workload ask for, what they are told of each, and what became of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
import msgspec

from durable_async import (
    Client,
    FailureDetails,
    InstanceNotFoundError,
    InstanceParkedError,
    InvalidTransitionError,
    OrchestrationFailedError,
    OrchestrationHandle,
    OrchestrationState,
    OrchestrationTerminatedError,
    ReusePolicy,
    Status,
    TaskHub,
)
from durable_async.testing.simulation.stage import Stage, Unknown
from durable_async.testing.simulation.violations import StuckError, Violation

WITHOUT_REQUEST = 0.6
"""Share of starts that have no id of a request: only who starts one that way is told of its end by a worker of his process."""

LOOKED_AT = 0.7
"""Share of ends that clients hear of by the result."""

_OUTCOMES = (OrchestrationFailedError, OrchestrationTerminatedError, InstanceParkedError)
"""What else a client hears that waits for a result; its process tells of results only."""


class End(msgspec.Struct, frozen=True):
    """How an orchestration ended."""

    status: Status
    output: Any
    failure: FailureDetails | None


@dataclass(eq=False)
class Order:
    """One orchestration.

    Attributes:
        id: The instance.
        given: Its input.
        begun: When it was asked for.
        accepted: When that was acknowledged; infinity for never.
        ended: When a client was told of its end; infinity for never.
        told: Of which end.
        end: How it ended, as the store says afterwards; ``None`` if it never came to be.
        is_chased: Whether somebody asked to terminate it.
    """

    id: str
    given: Any
    begun: int
    accepted: float = math.inf
    ended: float = math.inf
    told: End | None = None
    end: End | None = None
    is_chased: bool = False


class Steering:
    """Terminates orchestrations and suspends them for a while, wherever they stand.

    Attributes:
        chased: Instances that somebody asked to terminate.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.chased: set[str] = set()
        self._suspended: dict[str, None] = {}

    async def terminate(self, client: Client, instance_id: str) -> None:
        """Terminate one, wherever it stands, if it is there yet."""
        self.chased.add(instance_id)
        await self._steer(lambda: client.terminate(instance_id))

    async def suspend(self, client: Client, instance_id: str, seconds: float) -> None:
        """Suspend one for a while."""
        self._suspended[instance_id] = None
        await self._steer(lambda: client.suspend(instance_id))
        await anyio.sleep(seconds)
        await self._steer(lambda: client.resume(instance_id))

    async def wind_up(self, client: Client) -> None:
        """Resume whatever a client that was killed may have left suspended."""
        for instance_id in self._suspended:
            await self._steer(lambda one=instance_id: client.resume(one))  # type: ignore[misc]

    async def _steer(self, verb: Callable[[], Any]) -> None:
        with suppress(InstanceNotFoundError, InvalidTransitionError):  # not there yet, or ended
            await self._stage.persist(verb)


class Orders:
    """All orders of one workload, in the order in which they were given.

    Attributes:
        steering: How to disturb them.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._orders: dict[str, Order] = {}
        self.steering = Steering(stage)

    def __iter__(self) -> Iterator[Order]:
        return iter(self._orders.values())

    async def carry_out(
        self, client: Client, orchestrator: Any, instance_id: str, given: Any
    ) -> None:
        """Start one, and wait for its end."""
        stage = self._stage
        order = Order(instance_id, given, stage.tick())
        self._orders[instance_id] = order
        handle = await self._start(client, orchestrator, instance_id, given)
        order.accepted = stage.tick()
        state = await self._hear_end(client, handle)
        order.told = End(state.status, state.output(), state.failure)
        order.ended = stage.tick()

    async def _start(
        self, client: Client, orchestrator: Any, instance_id: str, given: Any
    ) -> OrchestrationHandle[Any]:
        """Start one under the id of a request; or without, as most clients do, and only if that is not answered as if it had been there."""
        stage = self._stage
        begin = partial(client.start, orchestrator, given, instance_id=instance_id)
        if stage.chance("starts").random() < WITHOUT_REQUEST:
            handle = await stage.once(begin)
            if not isinstance(handle, Unknown):
                return handle
            begin = partial(begin, reuse=ReusePolicy.RETURN_EXISTING)
        request = stage.new_id()
        return await stage.persist(lambda: begin(request_id=request))

    async def _hear_end(
        self, client: Client, handle: OrchestrationHandle[Any]
    ) -> OrchestrationState:
        """Wait for the end of one: by its state, or by its result, which the worker of the same process tells, and then looks at it.

        Raises:
            Violation: What was told is not there (I18).
        """
        stage = self._stage
        if stage.chance("ends").random() < LOOKED_AT:
            with suppress(*_OUTCOMES):
                await stage.persist(lambda: client.wait(handle), repeats=False)
                state = await stage.persist(lambda: client.get(handle))
                if state is None or not state.is_ended:
                    what = "a client was told of an end that is not there"
                    raise Violation("I18", what, where=handle.instance_id, state=state)
                return state
        return await stage.persist(lambda: client.wait_for_end(handle), repeats=False)

    async def settle(self, hub: TaskHub) -> None:
        """Learn what became of all of them.

        Raises:
            Violation: What was accepted is lost (I2), or has not ended (I14); or a client was told of another end (I18); or it was
                terminated although nobody asked for that (I15).
        """
        for order in self:
            order.is_chased = order.id in self.steering.chased
            state = await hub.client.get(order.id)
            if state is None:
                if order.accepted < math.inf:
                    raise Violation("I2", "a start was accepted, and lost", where=order.id)
                continue
            if not state.is_ended:
                raise StuckError(
                    "it has not ended", where=order.id, state=state, parked=state.parked
                )
            order.end = End(state.status, state.output(), state.failure)
            if order.told is not None and order.told != order.end:
                what = "a client was told of another end"
                raise Violation("I18", what, where=order.id, told=order.told, end=order.end)
            if order.end.status is Status.TERMINATED and not order.is_chased:
                raise Violation("I15", "it was terminated by nobody", where=order.id)
