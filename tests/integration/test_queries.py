"""Queries: by status, name, time, tags, prefix, parent; page by page, nothing twice and nothing left out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from durable_async import (
    OrchestrationContext,
    QueryOrder,
    Registry,
    Status,
    TaskHub,
    ValidationError,
)
from durable_async.testing import VirtualEnvironment, virtual_time

from .worlds import HOUR, World

registry = Registry()
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@registry.orchestrator
async def done(ctx: OrchestrationContext, number: int) -> int:
    return number


@registry.orchestrator
async def failed(ctx: OrchestrationContext, number: int) -> int:
    raise ValueError(number)


@registry.orchestrator
async def waits(ctx: OrchestrationContext, number: int) -> None:
    await ctx.wait_for_external_event("never")


@registry.orchestrator
async def parent(ctx: OrchestrationContext) -> int:
    return await ctx.call_sub_orchestrator(done, 1, instance_id="child-of-parent")


async def populate(hub: TaskHub) -> None:
    """One an hour of each kind, for three hours."""
    for hour in range(3):
        tags = {"hour": str(hour), "kind": "test"}
        for kind in (done, failed, waits):
            await hub.client.start(kind, hour, instance_id=f"{kind.name}-{hour}", tags=tags)
        await hub.client.start(done, hour, instance_id=f"late-{hour}", start_at=10 * HOUR)
        await anyio.sleep(HOUR)


async def ids(hub: TaskHub, **filters: Any) -> list[str]:
    return [state.instance_id async for state in hub.client.query(**filters)]


def hours(kind: str, *which: int) -> list[str]:
    return [f"{kind}-{hour}" for hour in which or (0, 1, 2)]


CASES: list[tuple[dict[str, Any], list[str]]] = [
    ({"statuses": [Status.COMPLETED]}, hours("done")),
    ({"statuses": [Status.FAILED]}, hours("failed")),
    ({"statuses": [Status.PENDING]}, hours("late")),
    ({"statuses": [Status.FAILED, Status.RUNNING]}, sorted(hours("failed") + hours("waits"))),
    ({"statuses": [Status.TERMINATED]}, []),
    ({"names": ["failed"]}, hours("failed")),
    ({"names": ["failed", "waits"]}, sorted(hours("failed") + hours("waits"))),
    ({"names": ["unknown"]}, []),
    ({"id_prefix": "wai"}, hours("waits")),
    ({"id_prefix": "%"}, []),
    ({"id_prefix": "do_e"}, []),
    ({"tags": {"hour": "1"}}, ["done-1", "failed-1", "waits-1"]),
    ({"tags": {"hour": "1", "kind": "test"}, "names": ["done"]}, ["done-1"]),
    ({"tags": {"hour": "7"}}, []),
    ({"created_from": BEGIN + timedelta(hours=2)}, sorted(f"{k}-2" for k in ("done", "failed", "late", "waits"))),
    ({"created_to": BEGIN + timedelta(hours=1)}, sorted(f"{k}-0" for k in ("done", "failed", "late", "waits"))),
    ({"created_from": (BEGIN + timedelta(hours=1)).replace(tzinfo=None), "created_to": BEGIN + timedelta(hours=2), "names": ["waits"]}, ["waits-1"]),
    ({"completed_from": BEGIN + timedelta(hours=1), "names": ["done"]}, hours("done", 1, 2)),
    ({"completed_to": BEGIN + timedelta(hours=1)}, ["done-0", "failed-0"]),
    ({"parked": True}, []),
    ({"parked": False, "names": ["waits"]}, hours("waits")),
]  # fmt: skip


@virtual_time
async def test_each_condition(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        await populate(hub)
        for filters, expected in CASES:
            assert sorted(await ids(hub, **filters)) == expected, filters


@virtual_time
async def test_by_parent(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        handle = await hub.client.start(parent)
        await handle.wait()
        assert await ids(hub, parent=handle) == ["child-of-parent"]


@pytest.mark.parametrize("page_size", [1, 2, 7, 12, 1000])
@virtual_time
async def test_pages(env: VirtualEnvironment, world: World, page_size: int) -> None:
    async with world.running(env, registry) as hub:
        await populate(hub)
        whole = await ids(hub)
        assert len(whole) == len(set(whole)) == 12
        assert await ids(hub, page_size=page_size) == whole
        pages, token = [], None
        while True:
            states, token = await hub.client.query_page(limit=page_size, page=token)
            pages.append([state.instance_id for state in states])
            if token is None:
                break
        assert [one for page in pages for one in page] == whole
        assert all(len(page) <= page_size for page in pages)


@virtual_time
async def test_what_starts_meanwhile_moves_no_page(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        await hub.client.start_many(
            done, list(range(10)), instance_ids=[f"i{n}" for n in range(10)]
        )
        seen = []
        async for state in hub.client.query(page_size=3, id_prefix="i"):
            seen.append(state.instance_id)
            if len(seen) < 5:
                await anyio.sleep(1)
                await hub.client.start(done, 0, instance_id=f"i-new-{len(seen)}")
        assert sorted(seen[:10]) == [f"i{n}" for n in range(10)]
        assert len(seen) == len(set(seen))


@pytest.mark.parametrize("page_size", [1, 3, 1000])
@virtual_time
async def test_in_order_of_completion(
    env: VirtualEnvironment, world: World, page_size: int
) -> None:
    """Only those that have ended, whenever they began."""
    order = QueryOrder.COMPLETED
    async with world.running(env, registry) as hub:
        await populate(hub)
        everybody = [state async for state in hub.client.query()]
        ended = sorted(
            (state.completed_at, state.instance_id)
            for state in everybody
            if state.completed_at is not None
        )
        wanted = [instance_id for _, instance_id in ended]
        assert len(wanted) == 6
        assert await ids(hub, order=order, page_size=page_size) == wanted
        assert await ids(hub, order=order, names=["done"]) == hours("done")
        await hub.client.terminate("waits-0")
        await hub.client.wait_for_end("waits-0")
        assert await ids(hub, order=order) == [*wanted, "waits-0"]


@virtual_time
async def test_a_token_is_good_for_its_order_only(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        await populate(hub)
        _, token = await hub.client.query_page(limit=1)
        with pytest.raises(ValidationError, match="page"):
            await hub.client.query_page(page=token, order=QueryOrder.COMPLETED)
        with pytest.raises(ValidationError, match="order: must be a QueryOrder, not 'completed'"):
            await hub.client.query_page(order="completed")  # type: ignore[arg-type]


@virtual_time
async def test_payloads_come_on_request(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        await (await hub.client.start(done, 7)).wait()
        async for state in hub.client.query():
            assert state.output() is None
        async for state in hub.client.query(payloads=True):
            assert (state.input(int), state.output(int)) == (7, 7)


@virtual_time
async def test_bad_limits_and_tokens_are_refused(env: VirtualEnvironment, world: World) -> None:
    async with world.hub(env, registry) as hub:
        for limit in (0, -1):
            with pytest.raises(ValidationError, match="limit"):
                await hub.client.query_page(limit=limit)
        for token in ("nonsense", "", "\0", "[1,2,3]"):
            with pytest.raises(ValidationError, match="page"):
                await hub.client.query_page(page=token)


@virtual_time
async def test_statistics(env: VirtualEnvironment, world: World) -> None:
    async with world.running(env, registry) as hub:
        await populate(hub)
        counts = (await hub.statistics()).by_status
        assert [counts.get(status, 0) for status in Status] == [3, 3, 0, 3, 3, 0]
