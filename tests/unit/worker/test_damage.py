"""A damaged row is one instance's trouble: what is beside it can be listed, and so can it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from durable_async import (
    OrchestrationContext,
    OrchestrationFailedError,
    Registry,
    Status,
    TaskHub,
)
from durable_async.backends.sqlite import SqliteBackend
from durable_async.testing import CALM, VirtualEnvironment, virtual_time

registry = Registry()


@registry.orchestrator
async def fails(ctx: OrchestrationContext) -> None:
    raise ValueError("no")


@asynccontextmanager
async def opened(env: VirtualEnvironment, path: Path) -> AsyncIterator[TaskHub]:
    backend = SqliteBackend(path, environment=env, inline=True)
    await backend.open()
    try:
        yield TaskHub(backend, registry=registry, environment=env)
    finally:
        await backend.close()


def damage(path: Path, table: str, column: str, value: Any) -> None:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute(f"update {table} set {column} = ?", (value,)).rowcount > 0
        connection.commit()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("failure", b"\xff"),
        ("failure", None),
        ("tags", "["),
        ("status", "lost"),
        ("created_at_us", 2**62 - 1),
        ("completed_at_us", -(2**63)),
    ],
)
@virtual_time
async def test_what_is_damaged_is_listed_with_the_others(
    env: VirtualEnvironment, column: str, value: Any, tmp_path: Path
) -> None:
    path = tmp_path / "hub.db"
    async with opened(env, path) as hub:
        async with hub.worker(settings=CALM):
            handle = await hub.client.start(fails, tags={"a": "b"}, instance_id="damaged")
            await hub.client.wait_for_end(handle, timeout=60)
        damage(path, "instances", column, value)
        await hub.client.start(fails, instance_id="sound")
        listed = {state.instance_id: state async for state in hub.client.query()}
        assert set(listed) == {"damaged", "sound"}
        assert sum((await hub.statistics()).by_status.values()) == 2
        if listed["damaged"].status is Status.FAILED:
            with pytest.raises(OrchestrationFailedError):
                await handle.wait(timeout=1)
