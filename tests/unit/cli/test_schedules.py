"""schedules and workers: what is said of them, and that schedules obey without a worker."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from durable_async import TaskHub

from .invoking import run


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/hub.db"

    async def make() -> None:
        async with TaskHub.open(url):
            pass

    asyncio.run(make())
    return url


def test_the_life_of_a_schedule(url: str) -> None:
    at = ("--url", url)
    created = run(
        *("schedules", "create", "nightly", "report", "--cron", "0 3 * * *", "-i", "[1]"),
        *("--time-zone", "Europe/Berlin", "--tag", "team=a", "--json", *at),
    )
    (one,) = created.documents
    assert (one["id"], one["name"], one["input"], one["tags"]) == (
        "nightly",
        "report",
        [1],
        {"team": "a"},
    )
    assert run("schedules", "create", "nightly", "report", "--every", "1h", *at).status == 2
    paused = run("schedules", "pause", "nightly", "--reason", "holidays", *at)
    assert "remarks paused: holidays" in paused.lines
    (listed,) = run("schedules", "list", *at).lines[1:]
    assert listed == "nightly report 0 3 * * * (Europe/Berlin) 0 paused: holidays"
    assert run("schedules", "resume", "nightly", "--json", *at).documents[0]["paused"] is False
    (triggered,) = run("schedules", "trigger", "nightly", "--json", *at).documents
    (state,) = run("schedules", "show", "nightly", "--ticks", "3", "--json", *at).documents
    assert len(state["next_ticks"]) == 3
    assert state["runs"][0]["id"] == triggered["id"]
    assert run("list", "--ids", "--tag", "schedule=nightly", *at).lines == [triggered["id"]]
    assert run("schedules", "delete", "nightly", *at).status == 2
    assert run("schedules", "delete", "nightly", "--yes", *at).lines == ["nightly: was deleted"]
    assert run("schedules", "show", "nightly", *at).status == 1
    assert run("entities", *at).lines[0].startswith("There are no such entities")


def test_what_is_said_of_a_schedule_is_changed_and_nothing_else(url: str) -> None:
    at = ("--url", url)
    run(
        *("schedules", "create", "s", "report", '"Mia"', "--every", "1h", "--tag", "a=b", *at),
        *("--time-zone", "Europe/Berlin", "--overlap", "allow", "--end", "2999-01-01T00:00"),
    )
    change = ("schedules", "update", "s", "--every", "2h", "--input", "null", "--without", "end")
    table = run(*change, "--dry-run", *at)
    assert [line for line in table.lines if not line.startswith("next")] == [
        "before after",
        "when every 1:00:00 every 2:00:00",
        "end 2998-12-31 23:00:00 UTC",
        'input "Mia" null',
    ]
    assert len(table.lines) == 4 + 5
    (dry,) = run(*change, "--dry-run", "--json", *at).documents
    assert (dry["before"]["every_seconds"], dry["after"]["every_seconds"]) == (3600, 7200)
    assert dry["before"]["next_ticks"] < dry["after"]["next_ticks"]
    assert run("schedules", "show", "s", "--json", *at).documents[0]["every_seconds"] == 3600
    (made,) = run(*change, "--without", "tags", "--json", *at).documents
    assert (made["every_seconds"], made["end"], made["input"]) == (7200, None, None)
    assert (made["overlap"], made["time_zone"], made["tags"]) == ("allow", "Europe/Berlin", {})


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("s",), 2, "say what is to be changed"),
        (("s", "--every", "soon"), 2, "no duration"),
        (("s", "--end", "1d", "--without", "end"), 2, "given a value, too"),
        (("s", "--at", "2000-01-01"), 2, "no tick that is yet to come"),
        (("s", "--without", "cron"), 2, "cron"),
        (("none", "--every", "1h"), 1, "none"),
        (("none", "--every", "1h", "--dry-run"), 1, "none"),
    ],
)
def test_what_cannot_be_changed(url: str, words: tuple[str, ...], status: int, said: str) -> None:
    run("schedules", "create", "s", "report", "--every", "1h", "--url", url)
    answer = run("schedules", "update", *words, "--url", url)
    assert (answer.status, said in answer.err) == (status, True), answer.err


def test_a_trigger_that_is_repeated_starts_nothing_more(url: str) -> None:
    at = ("--url", url)
    run("schedules", "create", "s", "report", "--every", "1h", *at)
    again = ("schedules", "trigger", "s", "--request-id", "deploy-7", *at)
    first, second = run(*again), run(*again)
    assert first.lines == second.lines
    assert run("schedules", "show", "s", "--json", *at).documents[0]["started"] == 1


def test_what_would_be_is_only_said(url: str) -> None:
    said = run("schedules", "create", "s", "report", "--every", "1h", "--dry-run", "--url", url)
    assert len(said.lines) == 5
    (document,) = run(
        *("schedules", "create", "s", "report", "--every", "1h", "--dry-run", "--json"),
        *("--url", url),
    ).documents
    assert (document["id"], document["dry_run"], len(document["next_ticks"])) == ("s", True, 5)
    assert run("schedules", "list", "--url", url).lines == ["There are no such schedules."]


def test_past_ticks_are_counted_before_they_are_run(url: str) -> None:
    at = ("--url", url)
    begin = ("--start", "2026-01-01T00:00")
    run("schedules", "create", "s", "report", "--every", "1h", *begin, *at)
    span = ("--from", "2026-01-01T00:00", "--to", "2026-01-01T02:00")
    dry = run("schedules", "backfill", "s", *span, "--dry-run", *at)
    assert dry.lines[-1] == "3 would be started."
    assert run("schedules", "backfill", "s", *span, *at).status == 2
    assert run("schedules", "backfill", "s", *span, "--yes", *at).lines[-1] == "3 started."
    assert run("schedules", "backfill", "s", *span, "--yes", *at).lines == ["0 started."]


@pytest.mark.parametrize(
    "options", [(), ("--every", "soon"), ("--every", "1h", "--cron", "@daily")]
)
def test_when_must_be_said_once(url: str, options: tuple[str, ...]) -> None:
    assert run("schedules", "create", "s", "report", *options, "--url", url).status == 2


def test_workers(url: str) -> None:
    none = run("workers", "--url", url)
    assert (none.status, none.lines) == (
        1,
        ["No worker is alive in this hub: durable-async worker module:hub starts one."],
    )

    async def beside_a_worker() -> list[str]:
        async with TaskHub.open(url) as hub, hub.worker() as worker:
            told = await asyncio.to_thread(run, "workers", "--json", "--url", url)
            (one,) = told.documents
            assert (one["id"], one["alive"], told.status) == (worker.worker_id, True, 0)
            table = await asyncio.to_thread(run, "workers", "--url", url)
            return table.lines

    assert len(asyncio.run(beside_a_worker())) == 2
