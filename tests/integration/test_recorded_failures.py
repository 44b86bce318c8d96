"""Failures whose layer above says what is recorded of them: the same for activities, orchestrators, entities, and in every replay."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from durable_async import (
    ActivityFailedError,
    Entity,
    EntityOperationFailedError,
    FailureDetails,
    OrchestrationContext,
    OrchestrationFailedError,
    RetryPolicy,
)
from durable_async.testing import VirtualEnvironment, virtual_time

from .worlds import Styles, World, doomed, ran, until_recorded

DECLINED = FailureDetails(
    "shop.Declined",
    "no cover",
    "their stack",
    FailureDetails("bank.Error", "51"),
    non_retryable=True,
    properties={"code": 51, "limits": [1, 2.5], "nested": {"why": None}},
)

styles = Styles()


class LayerError(Exception):
    recorded_as = DECLINED


@styles.activity(retry=RetryPolicy(max_attempts=3))
async def charge() -> None:
    ran.append("charge")
    raise LayerError("not to be seen")


@styles.entity
class Account(Entity[int]):
    def charge(self) -> None:
        raise LayerError("not to be seen")


def tell(error: ActivityFailedError | EntityOperationFailedError) -> Any:
    return [error.failure.message, error.failure.properties]


@styles.in_async("caller")
async def caller(ctx: OrchestrationContext) -> Any:
    try:
        await ctx.call_activity(charge)
    except ActivityFailedError as error:
        told = [tell(error)]
    try:
        await ctx.call_entity(Account.entity_id("a"), Account.charge)
    except EntityOperationFailedError as error:
        told.append(tell(error))
    await ctx.wait_for_external_event("go on")
    return told


@styles.in_generator("caller")
def caller_generator(ctx: OrchestrationContext) -> Generator[Any, Any, Any]:
    try:
        yield ctx.call_activity(charge)
    except ActivityFailedError as error:
        told = [tell(error)]
    try:
        yield ctx.call_entity(Account.entity_id("a"), Account.charge)
    except EntityOperationFailedError as error:
        told.append(tell(error))
    yield ctx.wait_for_external_event("go on")
    return told


@styles.in_async("failing")
async def failing(ctx: OrchestrationContext) -> None:
    raise LayerError


@styles.in_generator("failing")
def failing_generator(ctx: OrchestrationContext) -> Generator[Any, Any, None]:
    yield ctx.create_timer(1)
    raise LayerError


@virtual_time
async def test_orchestrators_see_what_was_recorded(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.hub(env, styles[style]) as hub:
        handle = await hub.client.start("caller")
        async with doomed(hub):
            await until_recorded(hub, handle, "EntityCallFailed")
        async with hub.worker():
            await hub.client.raise_event(handle, "go on")
            assert await handle.wait() == [[DECLINED.message, DECLINED.properties]] * 2
        failures = [
            event.failure for event in await hub.client.history(handle) if hasattr(event, "failure")
        ]
    assert failures == [DECLINED, DECLINED]
    assert ran == ["charge"]


@virtual_time
async def test_clients_see_what_was_recorded(
    env: VirtualEnvironment, world: World, style: str
) -> None:
    async with world.running(env, styles[style]) as hub:
        handle = await hub.client.start("failing")
        with pytest.raises(OrchestrationFailedError) as caught:
            await handle.wait()
        assert caught.value.failure == DECLINED
        with pytest.raises(EntityOperationFailedError) as refused:
            await hub.client.call_entity(Account.entity_id("b"), Account.charge)
        assert refused.value.failure == DECLINED
