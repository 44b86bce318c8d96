"""The routes of orchestrations, the same in each framework."""

from __future__ import annotations

import httpx
import pytest

from durable_async import TaskHub

from .stage import Serve

HOSTILE = [
    "a/b",
    "..",
    ".",
    "../../etc",
    "%00",
    "%2F",
    "~",
    "~YQ",
    "<script>alert(1)</script>",
    "\"quoted\" 'twice'",
    "a?b=c#d",
    "\u202egnirts",
    "😀",
    "x" * 256,
    "a b+c",
    "{eventName}",
]


async def test_starting_tells_where_everything_is(shop: httpx.AsyncClient) -> None:
    answer = await shop.post("orchestrators/doubling?instanceId=d-1", json=21)
    assert answer.status_code == 202
    uris = answer.json()
    assert uris["id"] == "d-1"
    assert uris["statusQueryGetUri"] == str(shop.base_url.join("instances/d-1"))
    assert uris["sendEventPostUri"].endswith("/instances/d-1/events/{eventName}")
    assert uris["eventsUri"].endswith("/instances/d-1/events")
    assert answer.headers["location"] == uris["statusQueryGetUri"]
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    ended = await shop.get(uris["statusQueryGetUri"], params={"wait": 10})
    assert ended.status_code == 200
    assert ended.json()["runtimeStatus"] == "Completed"
    assert (ended.json()["input"], ended.json()["output"]) == (21, 42)


async def test_an_order_waits_is_approved_and_ends(shop: httpx.AsyncClient) -> None:
    uris = (await shop.post("orchestrators/approval", json={"product": "desk"})).json()
    waiting = await shop.get(uris["statusQueryGetUri"], params={"wait": 0.01})
    assert waiting.status_code == 202
    assert waiting.headers["location"] == uris["statusQueryGetUri"]
    event = uris["sendEventPostUri"].replace("{eventName}", "approved")
    assert (await shop.post(event, json="Mia")).status_code == 202
    ended = await shop.get(uris["statusQueryGetUri"], params={"wait": 10, "showHistory": "true"})
    assert ended.json()["output"] == {"product": "desk", "approved_by": "Mia"}
    kinds = [event["type"] for event in ended.json()["history"]]
    assert kinds[0] == "ExecutionStarted"
    assert kinds[-1] == "ExecutionCompleted"
    assert (await shop.post(event, json="Ada")).status_code == 410


async def test_a_start_may_wait_for_the_end(shop: httpx.AsyncClient) -> None:
    answer = await shop.post("orchestrators/doubling?wait=10&showInput=false", json=4)
    assert answer.status_code == 200
    assert answer.json()["output"] == 8
    assert "input" not in answer.json()


async def test_a_failure_is_told_without_its_traceback(shop: httpx.AsyncClient) -> None:
    answer = await shop.post("orchestrators/failing?wait=10")
    assert answer.status_code == 200
    assert answer.json()["runtimeStatus"] == "Failed"
    assert answer.json()["failure"]["message"] == "it was to be expected"
    assert "Traceback" not in answer.text
    assert ".py" not in answer.text
    rewound = await shop.post(f"instances/{answer.json()['instanceId']}/rewind?reason=again")
    assert rewound.status_code == 202


@pytest.mark.parametrize("instance_id", HOSTILE)
async def test_any_id_has_a_uri(shop: httpx.AsyncClient, instance_id: str) -> None:
    answer = await shop.post(
        "orchestrators/approval", json={"product": "x"}, params={"instanceId": instance_id}
    )
    assert answer.status_code == 202, answer.text
    uris = answer.json()
    assert uris["id"] == instance_id
    status = await shop.get(uris["statusQueryGetUri"])
    assert (status.status_code, status.json()["instanceId"]) == (202, instance_id)
    for verb in ("suspend", "resume", "terminate"):
        uri = uris[f"{verb}PostUri"].replace("{text}", "because")
        assert (await shop.post(uri)).status_code == 202
    assert (await shop.get(uris["statusQueryGetUri"], params={"wait": 10})).status_code == 200
    purged = await shop.delete(uris["purgeHistoryDeleteUri"])
    assert purged.json() == {"instancesDeleted": 1}
    assert (await shop.get(uris["statusQueryGetUri"])).status_code == 404


async def test_what_the_running_allow_not_is_refused(shop: httpx.AsyncClient) -> None:
    await shop.post("orchestrators/approval?instanceId=a", json={"product": "x"})
    again = await shop.post("orchestrators/approval?instanceId=a", json={"product": "x"})
    assert again.status_code == 409
    problem = again.json()
    assert again.headers["content-type"] == "application/problem+json"
    assert problem["type"] == "urn:durable-async:problem:instance-exists"
    assert problem["instanceId"] == "a"
    for verb in ("rewind", "restart"):
        assert (await shop.post(f"instances/a/{verb}")).status_code == 409
    assert (await shop.delete("instances/a")).status_code == 409
    await shop.post("instances/a/terminate?reason=enough")
    ended = await shop.get("instances/a?wait=10")
    assert (ended.json()["runtimeStatus"], ended.json()["output"]) == ("Terminated", "enough")
    assert (await shop.post("instances/a/suspend")).status_code == 410
    restarted = await shop.post("instances/a/restart?instanceId=b")
    assert (restarted.status_code, restarted.json()["id"]) == (202, "b")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "instances/nobody"),
        ("GET", "instances/nobody?wait=5"),
        ("GET", "instances/nobody/events"),
        ("POST", "instances/nobody/events/x"),
        ("POST", "instances/nobody/suspend"),
        ("POST", "instances/nobody/resume"),
        ("POST", "instances/nobody/terminate"),
        ("POST", "instances/nobody/rewind"),
        ("POST", "instances/nobody/restart"),
        ("DELETE", "instances/nobody"),
        ("GET", "entities/counter/nobody"),
    ],
)
async def test_what_is_not_there_is_not_found(
    shop: httpx.AsyncClient, method: str, path: str
) -> None:
    answer = await shop.request(method, path)
    assert answer.status_code == 404
    assert answer.json()["type"].endswith("-not-found")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("orchestrators/doubling", b"{", 422),
        ("orchestrators/doubling", b'"\\ud800"', 422),
        ("orchestrators/doubling", b"NaN", 422),
        ("orchestrators/doubling", b"\xff", 422),
        ("orchestrators/doubling", b'"four"', 422),
        ("orchestrators/doubling", b"", 422),
        ("orchestrators/failing", b"1", 422),
        ("orchestrators/approval", b'{"amount": 1}', 422),
        pytest.param("orchestrators/echo", b"[" * 300 + b"]" * 300, 422, id="too deep"),
        pytest.param("orchestrators/echo", b"[" * 100_000, 422, id="far too deep"),
        pytest.param("orchestrators/echo", b'"' + b"x" * 5_000_000 + b'"', 413, id="too large"),
        ("orchestrators/@counter", b"1", 422),
        ("orchestrators/echo?instanceId=@counter@a", b"1", 422),
        ("orchestrators/echo?instanceId=%00", b"1", 422),
        ("orchestrators/echo?instanceId=a&wait=soon", b"1", 422),
        ("orchestrators/echo?instanceId=a&wait=nan", b"1", 422),
        ("orchestrators/echo?instanceId=a&showInput=perhaps", b"1", 422),
        ("orchestrators/echo?instanceId=a&startAt=tomorrow", b"1", 422),
        ("orchestrators/echo?instanceId=a&tag=none", b"1", 422),
        ("orchestrators/echo?instanceId=a&version=%01", b"1", 422),
        ("instances/a/events/%01", b"1", 422),
        ("instances/~!/suspend", b"", 422),
    ],
)
async def test_what_does_not_fit_is_refused_before_anything_is_written(
    shop: httpx.AsyncClient, hub: TaskHub, path: str, body: bytes, status: int
) -> None:
    answer = await shop.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert sum((await hub.statistics()).by_status.values()) == 0


async def test_a_form_is_no_json(shop: httpx.AsyncClient) -> None:
    assert (await shop.post("orchestrators/echo", data={"a": "b"})).status_code == 415


async def test_the_place_of_a_mistake_is_told(shop: httpx.AsyncClient) -> None:
    answer = await shop.post("orchestrators/approval", json={"product": "x", "amount": "two"})
    assert answer.json()["path"] == "$.amount"
    assert answer.json()["type"] == "urn:durable-async:problem:input-mismatch"


async def test_payloads_are_passed_on_as_they_are(shop: httpx.AsyncClient) -> None:
    number = b"123456789012345678901234567890.12345678901234567890"
    body = b'{"n": ' + number + b', "m":\r\n 1}'
    answer = await shop.post(
        "orchestrators/elsewhere",
        params={"instanceId": "i"},
        content=body,
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 202
    status = await shop.get("instances/i")
    assert b'"input":{"n":' + number + b',"m":1}' in status.content


async def test_a_key_makes_a_start_one(shop: httpx.AsyncClient, hub: TaskHub) -> None:
    keyed = {"idempotency-key": "order 7"}
    first = await shop.post("orchestrators/echo", json=1, headers=keyed)
    again = await shop.post("orchestrators/echo", json=1, headers=keyed)
    assert (again.status_code, again.json()) == (202, first.json())
    other = await shop.post("orchestrators/echo", json=2, headers=keyed)
    assert other.status_code == 409
    elsewhere = await shop.post("orchestrators/doubling", json=2, headers=keyed)
    assert elsewhere.json()["id"] != first.json()["id"]
    assert sum((await hub.statistics()).by_status.values()) == 2


async def test_a_key_whose_run_was_purged_has_no_end_to_tell(
    shop: httpx.AsyncClient, hub: TaskHub
) -> None:
    async def start() -> httpx.Response:
        return await shop.post(
            "orchestrators/doubling?wait=10", json=2, headers={"idempotency-key": "order 8"}
        )

    ended = await start()
    assert ended.status_code == 200
    instance_id = ended.json()["instanceId"]
    assert (await shop.delete(f"instances/{instance_id}")).status_code == 200
    gone = await start()
    assert gone.status_code == 410
    assert gone.json()["type"] == "urn:durable-async:problem:instance-purged"
    assert instance_id in gone.json()["detail"]
    assert sum((await hub.statistics()).by_status.values()) == 0


async def test_a_key_makes_an_event_one(shop: httpx.AsyncClient, hub: TaskHub) -> None:
    await shop.post("orchestrators/nobody?instanceId=i")
    for _ in range(2):
        answer = await shop.post("instances/i/events/x", json=1, headers={"idempotency-key": "k"})
        assert answer.status_code == 202
    await shop.post("instances/i/events/y", json=1, headers={"idempotency-key": "k"})
    assert len(await hub.backend.read_letters("i", limit=10)) == 2


async def test_lists_have_filters_and_pages(shop: httpx.AsyncClient) -> None:
    for number in range(5):
        await shop.post(
            "orchestrators/doubling",
            params={"instanceId": f"d-{number}", "tag": f"parity:{number % 2}", "wait": 10},
            json=number,
        )
    await shop.post("orchestrators/approval?instanceId=a", json={"product": "x"})
    page = (await shop.get("instances?limit=2&name=doubling")).json()
    seen = [one["instanceId"] for one in page["instances"]]
    assert "output" not in page["instances"][0]
    while page["nextPage"]:
        page = (
            await shop.get(
                "instances", params={"limit": 2, "name": "doubling", "page": page["nextPage"]}
            )
        ).json()
        seen += [one["instanceId"] for one in page["instances"]]
    assert seen == [f"d-{number}" for number in range(5)]
    odd = (await shop.get("instances?tag=parity:1&showPayloads=true")).json()["instances"]
    assert [one["output"] for one in odd] == [2, 6]
    running = (await shop.get("instances?runtimeStatus=running,Pending")).json()["instances"]
    assert [one["instanceId"] for one in running] == ["a"]
    completed = (await shop.get("instances?order=completed&runtimeStatus=Completed")).json()
    assert len(completed["instances"]) == 5


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=many",
        "limit=99999999999999999999",
        "page=nowhere",
        "runtimeStatus=sleeping",
        "createdTimeFrom=once",
        "order=random",
        "parked=perhaps",
        "parentInstanceId=@a@b",
        "name=%00",
    ],
)
async def test_a_filter_that_does_not_fit_is_refused(shop: httpx.AsyncClient, query: str) -> None:
    assert (await shop.get(f"instances?{query}")).status_code == 422


async def test_a_name_of_other_services_is_started_for_them(shop: httpx.AsyncClient) -> None:
    answer = await shop.post("orchestrators/a name, elsewhere", json={"a": 1})
    status = await shop.get(answer.json()["statusQueryGetUri"])
    assert (status.status_code, status.json()["name"]) == (202, "a name, elsewhere")


async def test_only_what_is_offered_is_there(serve: Serve, hub: TaskHub) -> None:
    async with serve(hub, only=["status"]) as client:
        assert (await client.get("/durable/instances/nobody")).status_code == 404
        assert (await client.get("/durable/instances")).status_code == 404
        assert (await client.delete("/durable/instances/nobody")).status_code == 405


async def test_what_is_too_much_is_to_be_tried_later(serve: Serve) -> None:
    from .stage import registry

    hub = TaskHub.at("memory://", registry=registry, pending_max=1)
    async with serve(hub) as client:
        codes = [
            (await client.post("/durable/orchestrators/elsewhere")).status_code for _ in range(3)
        ]
        assert codes[0] == 202
        refused = await client.post("/durable/orchestrators/elsewhere")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
