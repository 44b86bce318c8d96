"""What is not the caller's fault: a store that is away, a package that is not there."""

from __future__ import annotations

import importlib
import json
import sys

import pytest

from durable_async import BackendUnavailableError, CorruptHistoryError, MissingExtraError, TaskHub
from durable_async.backends.memory import MemoryBackend
from durable_async.integrations._http.messages import Answer, Api
from durable_async.integrations._http.routes import ROUTES, respond
from durable_async.testing import VirtualEnvironment, virtual_time

from .stage import WAYS, call_for

SECRET_HOST = "db-7.internal.example"
BY_OPERATION = {route.operation: route for route in ROUTES}


async def answered(operation: str, hub: TaskHub) -> Answer:
    names = {"name": "a", "instance": "a", "event": "a"}
    answer = await respond(BY_OPERATION[operation], Api(hub=hub), call_for(names))
    assert isinstance(answer, Answer)
    return answer


@virtual_time
async def test_a_store_that_is_away_is_to_be_asked_again(
    env: VirtualEnvironment, caplog: pytest.LogCaptureFixture
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise BackendUnavailableError(f"nobody at home at {SECRET_HOST}")

    with pytest.MonkeyPatch.context() as patched:
        for verb in ("create", "read", "send"):
            patched.setattr(MemoryBackend, verb, away)
        async with TaskHub.open("memory://", environment=env) as hub:
            for operation in ("start", "status", "raise_event"):
                answer = await answered(operation, hub)
                assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
                assert json.loads(answer.body)["type"].endswith(":backend-unavailable")
                assert SECRET_HOST not in answer.body.decode()
    assert SECRET_HOST in caplog.text


@virtual_time
async def test_what_is_damaged_is_said_to_be(env: VirtualEnvironment) -> None:
    async def damaged(*_: object, **__: object) -> None:
        raise CorruptHistoryError("a", f"it was on a disk of {SECRET_HOST}")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(MemoryBackend, "read", damaged)
        async with TaskHub.open("memory://", environment=env) as hub:
            answer = await answered("status", hub)
            assert answer.status == 500
            assert json.loads(answer.body)["instanceId"] == "a"
            assert SECRET_HOST not in answer.body.decode()


@virtual_time
async def test_a_hub_that_is_not_open_is_alive_and_not_ready(env: VirtualEnvironment) -> None:
    hub = TaskHub.at("memory://", environment=env)
    assert ((await answered("live", hub)).status, (await answered("ready", hub)).status) == (
        200,
        503,
    )
    async with hub, hub.worker():
        answer = await answered("ready", hub)
        assert (answer.status, json.loads(answer.body)["problems"]) == (200, [])


@pytest.mark.parametrize("way", WAYS)
async def test_probes_may_ask_without_a_body(way: str) -> None:
    async with WAYS[way](TaskHub.at("memory://")) as client:
        for probe in ("healthz", "readyz"):
            assert (await client.head(f"/durable/{probe}")).status_code == 200


@pytest.mark.parametrize("package", ["fastapi", "starlette", "aiohttp"])
def test_a_package_that_is_not_there_is_named(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"durable_async.integrations.{package}"
    for known in [one for one in sys.modules if one.partition(".")[0] == package]:
        monkeypatch.setitem(sys.modules, known, None)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(MissingExtraError, match=rf"pip install 'durable-async\[{package}\]'"):
        importlib.import_module(name)
