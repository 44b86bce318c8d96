"""The routes of entities, the same in each framework."""

from __future__ import annotations

import anyio
import httpx
import pytest

from durable_async import EntityId, TaskHub
from durable_async.integrations._http.entities import call_entity
from durable_async.integrations._http.leaving import Leaving
from durable_async.integrations._http.messages import Answer, Api
from durable_async.testing import VirtualEnvironment, virtual_time

from .stage import call_for, doubling, registry

ABSENT = "urn:durable-async:problem:entity-not-found"


async def test_an_entity_is_signalled_called_and_looked_at(shop: httpx.AsyncClient) -> None:
    assert (await shop.post("entities/Counter/a/signals/add", json=4)).status_code == 202
    called = await shop.post("entities/counter/a/calls/add", json=3)
    assert (called.status_code, called.json()) == (200, 7)
    found = (await shop.get("entities/counter/a")).json()
    assert found["entityId"] == {"name": "counter", "key": "a"}
    assert (found["state"], found["exists"], found["lockedBy"]) == (7, True, None)
    listed = (await shop.get("entities?name=counter&keyPrefix=a&showState=true")).json()
    assert [one["state"] for one in listed["entities"]] == [7]


async def test_an_operation_that_fails_says_so(shop: httpx.AsyncClient) -> None:
    failed = await shop.post("entities/counter/~YSBiL2M/calls/fail")
    assert failed.status_code == 422
    assert failed.json()["failure"] == {
        "type": "builtins.ValueError",
        "message": "no, says a b/c",
    }
    unknown = await shop.post("entities/counter/a/calls/nothing")
    assert unknown.status_code == 404
    assert unknown.json()["type"] == "urn:durable-async:problem:unknown-operation"


async def test_an_answer_that_does_not_come_is_no_failure(shop: httpx.AsyncClient) -> None:
    keyed = {"idempotency-key": "k"}
    answer = await shop.post("entities/elsewhere/a/calls/add?wait=0", json=1, headers=keyed)
    assert answer.status_code == 202
    assert answer.json() == {"entityId": "@elsewhere@a", "operation": "add"}
    again = await shop.post("entities/elsewhere/a/calls/add?wait=0", json=1, headers=keyed)
    assert again.status_code == 202
    assert (await shop.get("entities/elsewhere/a")).json()["backlog"] == 1


@pytest.mark.parametrize("seconds", [0, 3])
@virtual_time
async def test_a_server_that_exits_waits_for_no_answer_and_loses_no_call(
    env: VirtualEnvironment, seconds: int
) -> None:
    leaving, answers = Leaving(), list[Answer]()
    names = {"entity": "elsewhere", "key": "a", "operation": "add"}
    request = call_for(names, query=[("wait", "50")], body=b"1", leaving=leaving)
    async with TaskHub.open("memory://", registry=registry, environment=env) as hub:

        async def ask() -> None:
            answers.append(await call_entity(Api(hub=hub), request))

        async with anyio.create_task_group() as group:
            if seconds:
                group.start_soon(ask)
                await anyio.sleep(seconds)
            leaving.tell()
            began = env.monotonic()
            if not seconds:
                group.start_soon(ask)
        assert env.monotonic() - began < 1
        assert [answer.status for answer in answers] == [202]
        state = await hub.client.get_entity(EntityId("elsewhere", "a"))
        assert state is not None
        assert state.backlog == 1


async def test_a_key_makes_a_call_one(shop: httpx.AsyncClient) -> None:
    keyed = {"idempotency-key": "k"}
    for _ in range(2):
        answer = await shop.post("entities/counter/a/calls/add", json=1, headers=keyed)
        assert answer.json() == 1


async def test_a_signal_may_be_for_later(shop: httpx.AsyncClient) -> None:
    answer = await shop.post("entities/counter/a/signals/add?at=3600", json=1)
    assert answer.status_code == 202
    assert (await shop.get("entities/counter/a")).json()["backlog"] == 1
    assert (await shop.post("entities/counter/a/signals/add?at=soon", json=1)).status_code == 422
    assert (await shop.post("entities/co@unter/a/signals/add", json=1)).status_code == 422


async def test_entities_of_the_library_are_none_of_the_callers(
    shop: httpx.AsyncClient, hub: TaskHub
) -> None:
    await hub.schedules.create("hourly", doubling, 1, every=3600)
    for name in ("durable_async.schedule", "Durable_Async.Schedule", "durable_async.other"):
        for request in ("signals/delete", "calls/trigger"):
            refused = await shop.post(f"entities/{name}/hourly/{request}")
            assert (refused.status_code, refused.json()["type"]) == (404, ABSENT)
        assert (await shop.get(f"entities/{name}/hourly")).status_code == 404
    assert (await shop.get("entities")).json() == {"entities": [], "nextPage": None}
    assert await hub.schedules.get("hourly") is not None
