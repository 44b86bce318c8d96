"""A hub has one name, whoever says it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import signature
from pathlib import Path
from typing import Any, get_type_hints

import anyio
import pytest

from durable_async import (
    BackendError,
    BackendUnavailableError,
    ConfigurationError,
    EntityId,
    OrchestrationContext,
    Registry,
    Status,
    TaskHub,
    ValidationError,
    WorkerSettings,
)
from durable_async.backend import Backend
from durable_async.backends.memory import MemoryBackend
from durable_async.backends.offload import MemoryPayloads
from durable_async.backends.postgres import PostgresBackend
from durable_async.backends.sqlite import SqliteBackend
from durable_async.environment import SystemEnvironment
from durable_async.hub._options import HubOptions
from durable_async.testing import VirtualEnvironment, virtual_time
from durable_async.worker.settings import WorkerChanges

Make = Callable[[str], Backend]

registry = Registry()


@pytest.fixture(params=["sqlite", "postgres"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    if request.param == "sqlite":
        path, environment = tmp_path / "hub.db", SystemEnvironment()
        return lambda hub: SqliteBackend(path, hub=hub, environment=environment)
    server = request.getfixturevalue("postgres_server")
    schema = request.getfixturevalue("fresh_name")
    return lambda hub: PostgresBackend(server.dsn, hub=hub, schema=schema)


async def test_a_backend_has_said_the_name(make: Make) -> None:
    async with TaskHub.open(make("billing")) as hub:
        assert hub.name == "billing"
    async with TaskHub.open(make("billing"), hub="billing") as hub:
        assert hub.name == "billing"


async def test_another_name_is_refused(make: Make) -> None:
    with pytest.raises(ConfigurationError, match=r"for the hub 'billing'.*'default'"):
        async with TaskHub.open(make("billing"), hub="default"):
            pass


async def test_a_url_says_no_name() -> None:
    async with TaskHub.open("memory://") as hub:
        assert hub.name == "default"
    with pytest.raises(ValidationError, match="hub"):
        async with TaskHub.open("memory://", hub=""):
            pass


async def test_large_payloads_go_to_the_store_that_is_given(tmp_path: Path) -> None:
    payloads = MemoryPayloads(threshold_bytes=100)
    async with TaskHub.open(
        f"sqlite:///{tmp_path / 'hub.db'}", hub="billing", payload_store=payloads
    ) as hub:
        await hub.client.start("nobody", "x" * 200, instance_id="i")
        state = await hub.client.get("i")
        assert state is not None
        assert state.input() == "x" * 200
    assert list(payloads.kept.values()) == [b'"' + b"x" * 200 + b'"']


@registry.activity
async def greet(name: str) -> str:
    return f"Hello, {name}"


@registry.orchestrator
async def greeting(ctx: OrchestrationContext, name: str) -> str:
    return await ctx.call_activity(greet, name)


async def test_a_hub_that_is_described_is_opened_as_often_as_it_is_needed(tmp_path: Path) -> None:
    hub = TaskHub.at(f"sqlite:///{tmp_path / 'hub.db'}", registry=registry)
    for number in range(2):
        async with hub, hub.worker():
            handle = await hub.client.start(greeting, "Ada", instance_id=f"i-{number}")
            assert await handle.wait(timeout=10) == "Hello, Ada"
    async with hub:
        assert await hub.client.get("i-0") is not None
        with pytest.raises(ConfigurationError, match="open already"):
            async with hub:
                pass
    assert "not open" in repr(hub)


async def test_of_two_who_open_a_hub_at_once_one_is_refused(tmp_path: Path) -> None:
    hub = TaskHub.at(f"sqlite:///{tmp_path / 'hub.db'}", registry=registry)
    outcomes: list[str] = []

    async def use() -> None:
        try:
            async with hub:
                await anyio.sleep(0.1)
                await hub.client.start(greeting, "Ada")
                outcomes.append("used")
        except ConfigurationError as error:
            outcomes.append(str(error))

    async with anyio.create_task_group() as group:
        group.start_soon(use)
        group.start_soon(use)
    assert outcomes == ["the hub 'default' is open already, in this process", "used"]


class Obstinate(MemoryBackend):
    """A store that cannot be opened at first, and takes down what becomes of it."""

    opens = 0
    closes = 0

    async def open(self) -> None:
        self.opens += 1
        if self.opens == 1:
            raise BackendUnavailableError("not yet")
        await super().open()

    async def close(self) -> None:
        self.closes += 1
        await super().close()


async def test_a_hub_that_could_not_be_opened_may_be_opened_again() -> None:
    hub = TaskHub.at(Obstinate(environment=SystemEnvironment()))
    with pytest.raises(BackendUnavailableError):
        async with hub:
            pass
    async with hub:
        assert await hub.client.get("i") is None


async def test_a_store_is_closed_whatever_its_client_says(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Obstinate(environment=SystemEnvironment())
    backend.opens = 1

    def fail() -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        async with TaskHub.at(backend) as hub:
            monkeypatch.setattr(hub.client, "close", fail)
    assert backend.closes == 1


@virtual_time
async def test_who_waits_is_told_at_once_that_the_hub_is_closed(env: VirtualEnvironment) -> None:
    """However long ago it began, so that it would be long before it looked again."""
    told: list[BackendError] = []

    async with anyio.create_task_group() as group:
        async with TaskHub.open("memory://", registry=registry, environment=env) as hub:
            handle = await hub.client.start(greeting, "Ada")
            client = hub.client

            async def wait(waiting: Awaitable[object]) -> None:
                with pytest.raises(BackendError, match="not open") as closed:
                    await waiting
                told.append(closed.value)

            group.start_soon(wait, handle.wait())
            group.start_soon(wait, client.call_entity(EntityId("nobody", "a"), "do"))
            await anyio.sleep(3_600)
        began = env.monotonic()
    assert len(told) == 2
    assert env.monotonic() - began < 1


async def test_a_hub_that_is_not_open_says_so() -> None:
    hub = TaskHub.at("memory://")
    for use in (lambda: hub.client, lambda: hub.backend, hub.worker):
        with pytest.raises(ConfigurationError, match="'default' is not open"):
            use()


@pytest.mark.parametrize("url", ["mysql://host/database", "sqlite:", "orders.db"])
def test_a_hub_is_not_described_with_a_url_that_nobody_knows(url: str) -> None:
    with pytest.raises(ConfigurationError):
        TaskHub.at(url)


def test_a_url_is_no_backend() -> None:
    with pytest.raises(ConfigurationError, match=r"TaskHub\.at"):
        TaskHub("memory://")  # type: ignore[arg-type]


async def test_a_hub_with_an_open_store_cannot_be_opened() -> None:
    async with TaskHub.open("memory://") as opened:
        with pytest.raises(ConfigurationError, match="open already"):
            async with TaskHub(opened.backend):
                pass


async def test_an_application_has_a_hub_and_a_worker_as_long_as_it_lives() -> None:
    hub = TaskHub.at("memory://", registry=registry, settings=WorkerSettings(activities_max=3))
    async with hub.lifespan() as state:
        assert state == {"task_hub": hub}
        handle = await hub.client.start(greeting, "Ada")
        assert await handle.wait(timeout=10) == "Hello, Ada"
    async with hub.lifespan(works=False):
        handle = await hub.client.start(greeting, "Ada")
        await anyio.wait_all_tasks_blocked()
        assert await handle.get() is not None
        assert (await hub.statistics()).by_status[Status.PENDING] == 1


def test_what_can_be_said_of_a_hub_is_the_same_everywhere() -> None:
    for take in (TaskHub.at, TaskHub.open):
        parameters = dict(signature(take).parameters)
        url = parameters.pop("url")
        assert url.kind is url.POSITIONAL_OR_KEYWORD
        assert list(parameters) == list(HubOptions.__annotations__)


def test_all_settings_of_a_worker_may_be_changed_by_name() -> None:
    assert get_type_hints(WorkerChanges) == get_type_hints(WorkerSettings)


async def test_a_worker_has_the_settings_of_its_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[WorkerSettings] = []

    class Made:
        def __init__(self, *_: Any, settings: WorkerSettings, **__: Any) -> None:
            made.append(settings)

    monkeypatch.setattr("durable_async.hub._hub.Worker", Made)
    hub = TaskHub.at("memory://", settings=WorkerSettings(activities_max=3))
    async with hub:
        hub.worker()
        hub.worker(threads_max=2)
        hub.worker(settings=WorkerSettings(threads_max=1))
    assert made == [
        WorkerSettings(activities_max=3),
        WorkerSettings(activities_max=3, threads_max=2),
        WorkerSettings(threads_max=1),
    ]


@virtual_time
async def test_what_is_started_without_a_version_has_the_hubs(env: VirtualEnvironment) -> None:
    registry = Registry()

    @registry.orchestrator
    async def told(ctx: OrchestrationContext) -> str | None:
        return ctx.version

    hub = TaskHub.at("memory://", registry=registry, environment=env, default_version="2")
    async with hub, hub.worker():
        started = [
            await hub.client.start(told, version=version) for version in (None, "1", "")
        ] + list(await hub.client.start_many(told, [None]))
        assert [await one.wait() for one in started] == ["2", "1", None, "2"]
        await hub.schedules.create("hourly", told, every=3600)
        await hub.schedules.create("of old", told, every=3600, version="1")
        runs = [await hub.schedules.trigger(id) for id in ("hourly", "of old")]
        assert [await hub.client.wait(run) for run in runs] == ["2", "1"]


def test_a_default_version_that_cannot_be_one_is_refused_at_once() -> None:
    with pytest.raises(ValidationError, match="version"):
        TaskHub.at("memory://", default_version="x" * 300)
