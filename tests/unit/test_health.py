"""Health: what a process says of itself, within a bounded time, and what it never says."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from durable_async import BackendError, BackendUnavailableError, Registry, TaskHub
from durable_async.backends.memory import MemoryBackend
from durable_async.model.health import Health
from durable_async.model.records import InstanceRecord
from durable_async.testing import VirtualEnvironment, virtual_time
from durable_async.worker._health import LOOP_SECONDS_MAX
from durable_async.worker._session import Session

registry = Registry()


class Moody(MemoryBackend):
    """A store that may hang, or refuse."""

    hangs_seconds = 0.0
    error: Exception | None = None

    async def read(
        self, instance_ids: Sequence[str], *, payloads: bool
    ) -> list[InstanceRecord | None]:
        await anyio.sleep(self.hangs_seconds)
        if self.error is not None:
            raise self.error
        return await super().read(instance_ids, payloads=payloads)


def hub_on(env: VirtualEnvironment) -> tuple[TaskHub, Moody]:
    backend = Moody(environment=env)
    return TaskHub.at(backend, registry=registry, environment=env), backend


@virtual_time
async def test_a_hub_is_ready_while_it_is_open_and_its_workers_hold_their_leases(
    env: VirtualEnvironment,
) -> None:
    hub, _ = hub_on(env)
    before = await hub.health()
    assert (before.is_live, before.is_ready) == (True, False)
    assert before.problems == ("the hub is not open",)
    async with hub:
        assert (await hub.health()).is_ready, (
            "a process without workers has to reach the store only"
        )
        async with hub.worker() as worker:
            health = await hub.health()
            assert (health.is_live, health.is_ready, health.problems) == (True, True, ())
            [told] = health.details["workers"]
            assert told["worker_id"] == worker.worker_id
            json.dumps(health.details)
        assert (await hub.health()).details["workers"] == []
    assert not (await hub.health()).is_ready


@virtual_time
async def test_a_store_that_does_not_answer_is_not_waited_for(env: VirtualEnvironment) -> None:
    hub, backend = hub_on(env)
    async with hub:
        backend.hangs_seconds = 100
        began_at = env.monotonic()
        health = await hub.health(timeout=1.5)
        assert env.monotonic() - began_at == pytest.approx(1.5)
        assert (health.is_live, health.is_ready) == (True, False)
        assert health.problems == ("the store does not answer: no answer in time",)


@pytest.mark.parametrize("error", [BackendUnavailableError, BackendError])
@virtual_time
async def test_the_words_of_an_error_stay_in_the_log(
    error: type[BackendError], env: VirtualEnvironment
) -> None:
    """A probe may be open to anybody."""
    hub, backend = hub_on(env)
    async with hub:
        backend.error = error("of host db.internal, as user ada")
        health = await hub.health()
    assert (health.is_live, health.is_ready) == (True, False)
    assert error.__name__ in health.problems[0]
    assert "ada" not in str(health)


@virtual_time
async def test_a_worker_without_its_lease_is_not_ready(env: VirtualEnvironment) -> None:
    hub, _ = hub_on(env)
    async with hub, hub.worker(lease_seconds=15) as worker:
        session: Any = worker._session
        session._rhythm._renewed_at -= 20
        health = await hub.health()
        assert health.problems == ("a worker has not renewed its lease in time",)
        assert not health.is_ready
        assert health.is_live


@virtual_time
async def test_a_worker_that_is_about_to_stop_gets_no_more(env: VirtualEnvironment) -> None:
    """So that whoever routes requests has heard of it before the process is gone."""
    hub, _ = hub_on(env)
    begun = anyio.Event()
    stay = Registry()

    @stay.activity
    async def stays() -> None:
        begun.set()
        await anyio.sleep(3)

    @stay.orchestrator
    async def waits(ctx: Any) -> None:
        await ctx.call_activity(stays)

    async with hub, anyio.create_task_group() as group:
        worker = await hub.worker(stay).__aenter__()
        await hub.client.start(waits)
        await begun.wait()
        group.start_soon(worker.stop)
        await anyio.sleep(0.1)
        health = await hub.health()
        assert health.problems == ("a worker is about to stop",)
        await worker.__aexit__(None, None, None)


@virtual_time
async def test_a_worker_that_ended_with_an_exception_is_remembered(
    env: VirtualEnvironment, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A server may go on when the lifespan of its application has broken down, and may say nothing of it."""

    async def breaks(_: object) -> None:
        await anyio.sleep(5)
        raise KeyError("of ada")

    hub = TaskHub.at("memory://", registry=registry, environment=env)
    seen: list[Health] = []
    with monkeypatch.context() as patched:
        patched.setattr(Session, "_sweep_forever", breaks)
        with pytest.RaisesGroup(KeyError, flatten_subgroups=True):
            async with hub.lifespan():
                assert (await hub.health()).is_live
                try:
                    await anyio.sleep(60)
                finally:
                    with anyio.CancelScope(shield=True):
                        seen.append(await hub.health())
    seen.append(await hub.health())
    for health in seen:
        assert (health.is_live, health.is_ready) == (False, False)
        assert health.problems[0] == "a worker ended with an exception: KeyError"
        assert "ada" not in str(health)
    assert seen[1].problems[1:] == ("the hub is not open",)
    (record,) = [one for one in caplog.records if one.levelname == "ERROR"]
    assert record.exc_info is not None
    async with hub.lifespan():
        assert (await hub.health()).is_ready
    assert (await hub.health()).is_live


@virtual_time
async def test_another_worker_takes_the_place_of_one_that_failed(
    env: VirtualEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(_: object) -> None:
        raise KeyError("of ada")

    async with TaskHub.open("memory://", registry=registry, environment=env) as hub:
        with monkeypatch.context() as patched:
            patched.setattr(Session, "_sweep_forever", breaks)
            with pytest.RaisesGroup(KeyError, flatten_subgroups=True):
                async with hub.worker():
                    await anyio.sleep(60)
        assert not (await hub.health()).is_live
        async with hub.worker():
            assert (await hub.health()).is_ready


async def test_an_event_loop_that_hardly_turns_is_not_alive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("durable_async.worker._health.LOOP_SECONDS_MAX", 0.05)
    assert LOOP_SECONDS_MAX == 5.0

    async def block() -> None:
        time.sleep(0.1)

    async with (
        TaskHub.open("memory://", registry=registry) as hub,
        anyio.create_task_group() as group,
    ):
        group.start_soon(block)
        health = await hub.health()
    assert not health.is_live
    assert "blocked" in health.problems[0]
