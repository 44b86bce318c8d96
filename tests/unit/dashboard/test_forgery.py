"""Cross-site requests: whatever another site lets a browser send, nothing is changed."""

from __future__ import annotations

import pytest

from durable_async import Status

from .house import Browser, dashboard, hidden, opened

ELSEWHERE = "https://attacker.example"


async def status_of(hub, instance_id: str = "a") -> Status | None:  # type: ignore[no-untyped-def]
    state = await hub.client.get(instance_id)
    return None if state is None else state.status


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site", "origin": ELSEWHERE},
        {"sec-fetch-site": "same-site", "origin": "https://other.testserver"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "cross-site", "origin": "http://testserver"},
    ],
)
async def test_a_form_of_another_site_changes_nothing(headers: dict[str, str]) -> None:
    """Not even with the right token."""
    async with opened() as hub:
        await hub.client.start("approval", None, instance_id="a")
        browser = Browser(dashboard(hub))
        form = hidden(await browser.get("/do/terminate", id="a"))
        answer = await browser.post("/do/terminate", form, **headers)
        assert answer.status_code == 403
        assert "another site" in answer.text
        assert await status_of(hub) is not Status.TERMINATED


@pytest.mark.parametrize("origin", [ELSEWHERE, "null", "", "http://testserver.attacker.example"])
async def test_browsers_that_say_less_are_known_by_the_origin(origin: str) -> None:
    async with opened() as hub:
        await hub.client.start("approval", None, instance_id="a")
        browser = Browser(dashboard(hub))
        form = hidden(await browser.get("/do/suspend", id="a"))
        for sent, status in ((origin, 403), ("http://testserver", 303)):
            headers = {"origin": sent} if sent else {}
            answer = await browser.client.post("/do/suspend", data=form, headers=headers)
            assert answer.status_code == status


@pytest.mark.parametrize("token", [None, "", "guessed"])
async def test_a_form_without_the_token_changes_nothing(token: str | None) -> None:
    async with opened() as hub:
        await hub.client.start("approval", None, instance_id="a")
        browser = Browser(dashboard(hub))
        form = hidden(await browser.get("/do/terminate", id="a"))
        form.pop("csrf")
        if token is not None:
            form["csrf"] = token
        answer = await browser.post("/do/terminate", form)
        assert answer.status_code == 403
        assert "out of date" in answer.text
        assert await status_of(hub) is not Status.TERMINATED


async def test_a_token_counts_in_its_own_browser_alone() -> None:
    async with opened() as hub:
        await hub.client.start("approval", None, instance_id="a")
        app = dashboard(hub)
        form = hidden(await Browser(app).get("/do/terminate", id="a"))
        assert (await Browser(app).post("/do/terminate", form)).status_code == 403
        other = Browser(app)
        await other.get("/do/terminate", id="a")
        assert (await other.post("/do/terminate", form)).status_code == 403


async def test_looking_changes_nothing_and_actions_answer_to_forms_alone() -> None:
    async with opened() as hub:
        await hub.client.start("approval", None, instance_id="a")
        browser = Browser(dashboard(hub))
        form = hidden(await browser.get("/do/terminate", id="a"))
        await browser.get("/do/terminate", **form)
        assert await status_of(hub) is not Status.TERMINATED
        for method in ("PUT", "DELETE", "PATCH"):
            answer = await browser.client.request(method, "/do/terminate", params=form)
            assert answer.status_code == 405
        sent = {"origin": "http://testserver"}
        answer = await browser.client.post("/do/terminate", json=form, headers=sent)
        assert answer.status_code == 400
        for path in ("/", "/instances", "/instance", "/payload"):
            assert (await browser.post(path, form)).status_code == 405


async def test_the_cookie_is_for_this_site_and_no_script() -> None:
    async with opened() as hub:
        await hub.client.start("approval", None, instance_id="a")
        for base, is_secure in (("http://testserver", False), ("https://testserver", True)):
            browser = Browser(dashboard(hub), base=base)
            answer = await browser.client.get("/do/suspend", params={"id": "a"})
            cookie = answer.headers["set-cookie"].lower()
            assert "httponly" in cookie
            assert "samesite=strict" in cookie
            assert ("secure" in cookie) is is_secure
            assert "set-cookie" not in (await browser.client.get("/")).headers


async def test_a_form_that_is_too_large_is_refused() -> None:
    async with opened() as hub:
        await hub.client.start("approval", None, instance_id="a")
        browser = Browser(dashboard(hub))
        form = hidden(await browser.get("/do/raise-event", id="a"))
        answer = await browser.post("/do/raise-event", {**form, "payload": "x" * 9_000_000})
        assert answer.status_code == 413
        answer = await browser.post("/do/raise-event", {**form, **{str(n): "" for n in range(101)}})
        assert answer.status_code == 400


async def test_every_answer_carries_the_rules() -> None:
    async with opened() as hub:
        browser = Browser(dashboard(hub))
        for path in ("/", "/nowhere", "/instance?id=none", "/static/dashboard.js"):
            answer = await browser.client.get(path)
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers["referrer-policy"] == "same-origin"
