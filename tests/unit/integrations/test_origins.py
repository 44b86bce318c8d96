"""Pages of other sites: what they send with their readers' cookies changes nothing."""

from __future__ import annotations

import httpx
import pytest

STRANGE = [
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"},
    {"Sec-Fetch-Site": "same-site", "Origin": "https://blog.shop.example"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
    {"Origin": "https://elsewhere.example"},
    {"Origin": "null"},
]
"""As browsers send them, of today and of before they told where a request comes from."""

FORMS = [
    {},  # a Blob without a type, or no body
    {"Content-Type": "application/x-www-form-urlencoded"},
    {"Content-Type": "text/plain;charset=UTF-8"},
    {"Content-Type": "multipart/form-data; boundary=json"},
]
"""What browsers send to any site without asking it."""


@pytest.mark.parametrize("strange", STRANGE, ids=str)
async def test_nothing_is_done_for_another_site(
    shop: httpx.AsyncClient, strange: dict[str, str]
) -> None:
    await shop.post("orchestrators/approval?instanceId=o-1", json={"product": "desk"})
    for headers in ({**strange, **form} for form in FORMS):
        for path in ("orchestrators/doubling", "instances/o-1/events/approved"):
            answer = await shop.post(path, content=b"1", headers=headers)
            assert answer.status_code == 403
            assert answer.json()["type"].endswith(":cross-site")
        for verb in ("suspend", "terminate"):
            answer = await shop.post(f"instances/o-1/{verb}", headers=headers)
            assert answer.status_code == 403
    [listed] = (await shop.get("instances")).json()["instances"]
    assert listed["instanceId"] == "o-1"
    assert listed["runtimeStatus"] in ("Pending", "Running")


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {},
        {"Sec-Fetch-Site": "cross-site", "Content-Type": "application/json"},
        {"Origin": "https://allowed.example", "Content-Type": "application/problem+json"},
    ],
    ids=str,
)
async def test_own_pages_programs_and_who_was_allowed_are_let_through(
    shop: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    await shop.post("orchestrators/approval?instanceId=o-1", json={"product": "desk"})
    assert (await shop.post("instances/o-1/terminate", headers=headers)).status_code == 202


async def test_a_page_is_known_by_the_host_that_it_was_asked_for(shop: httpx.AsyncClient) -> None:
    await shop.post("orchestrators/approval?instanceId=o-1", json={"product": "desk"})
    host = shop.base_url.netloc.decode()
    same = await shop.post("instances/o-1/suspend", headers={"Origin": f"http://{host}"})
    assert same.status_code == 202
