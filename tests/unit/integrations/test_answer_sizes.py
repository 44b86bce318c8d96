"""Answers of a bounded size: lists and histories end early, say where they go on, and lose nothing on the way."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from durable_async.integrations._http import paging

TEXT = "x" * 300


@pytest.fixture(params=[0, 700, 2_000], autouse=True)
def small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(paging, "ANSWER_BYTES", request.param)
    monkeypatch.setattr(paging, "READ_AT_ONCE", 4)
    bytes_max: int = request.param
    return bytes_max


async def pages(shop: httpx.AsyncClient, path: str, **query: Any) -> list[list[dict[str, Any]]]:
    found: list[list[dict[str, Any]]] = []
    page: str | None = None
    while page is not None or not found:
        params = query if page is None else {**query, "page": page}
        answer = (await shop.get(path, params=params)).json()
        found.append(answer[path])
        page = answer["nextPage"]
    return found


async def test_instances(shop: httpx.AsyncClient, small: int) -> None:
    ids = [f"o-{number:02}" for number in range(11)]
    for instance_id in ids:
        await shop.post(f"orchestrators/approval?instanceId={instance_id}", json={"product": TEXT})
    found = await pages(shop, "instances", showPayloads="true")
    assert [one["instanceId"] for page in found for one in page] == ids
    assert {one["input"]["product"] for page in found for one in page} == {TEXT}
    assert max(map(len, found)) == (3 if small == 2_000 else 1)
    limited = await pages(shop, "instances", limit=2)
    assert [one["instanceId"] for page in limited for one in page] == ids
    assert max(map(len, limited)) <= 2


async def test_entities(shop: httpx.AsyncClient) -> None:
    keys = [f"k-{number:02}" for number in range(9)]
    for number, key in enumerate(keys):
        await shop.post(f"entities/counter/{key}/calls/add?wait=10", json=number)
    found = await pages(shop, "entities", showState="true")
    assert [(one["entityId"]["key"], one["state"]) for page in found for one in page] == [
        (key, number) for number, key in enumerate(keys)
    ]
    plain = await pages(shop, "entities")
    assert [one["entityId"]["key"] for page in plain for one in page] == keys
    assert not any("state" in one for page in plain for one in page)


async def test_a_history(shop: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = await shop.post("orchestrators/doubling?wait=10", json=4)
    path = f"instances/{ended.json()['instanceId']}?showHistory=true"
    parts: list[list[Any]] = []
    following: str | None = path
    while following is not None:
        answer = (await shop.get(following)).json()
        parts.append(answer["history"])
        following = answer["historyNextUri"]
    monkeypatch.setattr(paging, "ANSWER_BYTES", 1_000_000)
    whole = (await shop.get(path)).json()
    assert [event for part in parts for event in part] == whole["history"]
    assert whole["historyNextUri"] is None
    assert len(whole["history"]) > 3
    assert (await shop.get(f"{path}&historyFrom=999")).json()["history"] == []
    assert (await shop.get(f"{path}&historyFrom=-1")).status_code == 422
