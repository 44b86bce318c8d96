"""start, wait, raise, suspend, resume, terminate, rewind, restart: on a SQLite file, beside a worker that runs now and then."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from durable_async import OrchestrationContext, Registry, TaskHub

from .invoking import Said, run

registry = Registry()
broken = {"is": True}


@registry.activity
async def price(product: str) -> int:
    if broken["is"]:
        raise LookupError(f"no {product}")
    return len(product)


@registry.orchestrator
async def order(ctx: OrchestrationContext, product: str = "a desk") -> dict[str, Any]:
    approver = await ctx.wait_for_external_event("approved", str)
    return {"product": product, "by": approver}


@registry.orchestrator
async def priced(ctx: OrchestrationContext, product: str) -> int:
    return await ctx.call_activity(price, product)


@pytest.fixture
async def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/hub.db"
    async with TaskHub.open(url):
        pass
    return url


def work(url: str, until: Callable[[TaskHub], Any]) -> Any:
    """Let a worker run until something has come about."""

    async def run_it() -> Any:
        async with TaskHub.open(url, registry=registry) as hub, hub.worker():
            return await asyncio.wait_for(until(hub), 30)

    return asyncio.run(run_it())


def test_an_order_from_its_start_to_its_end(url: str) -> None:
    at = ("--url", url)
    started = run("start", "order", "-i", '"a lamp"', "--id", "o", "--tag", "shop=3", *at)
    assert started == Said(0, "o\n", "")
    assert run("start", "order", "--id", "o", *at).status == 2
    assert run("raise", "o", "approved", "1", "-i", "2", *at).status == 2
    raised = run("raise", "o", "approved", '"Ada"', *at)
    assert raised.out == "o: event 'approved' was raised\n"
    work(url, lambda hub: hub.client.wait("o"))
    assert run("wait", "o", *at) == Said(0, '{"product":"a lamp","by":"Ada"}\n', "")
    (document,) = run("wait", "o", "--json", *at).documents
    assert (document["id"], document["status"], document["failure"]) == ("o", "completed", None)
    assert run("raise", "o", "approved", *at).status == 1
    assert run("raise", "nobody", "approved", *at).status == 1
    (listed,) = run("list", "--tag", "shop=3", "--json", *at).documents
    assert listed["tags"] == {"shop": "3"}


def test_what_is_not_there_in_time(url: str) -> None:
    run("start", "order", "--id", "o", "--url", url)
    said = run("wait", "o", "--timeout", "0", "--url", url)
    assert (said.status, said.out) == (1, "")
    assert "it is pending" in said.err


@pytest.mark.parametrize(
    ("text", "trouble"),
    [("Ada", "is not JSON"), ("@nowhere.json", "cannot read"), ("{", "is not JSON")],
)
def test_what_is_no_value_is_refused_before_anything_is_written(
    url: str, text: str, trouble: str
) -> None:
    said = run("start", "order", "-i", text, "--url", url)
    assert (said.status, trouble in said.err) == (2, True)
    assert "no orchestrations" in run("list", "--url", url).out


def test_values_come_from_files_and_from_standard_input(url: str, tmp_path: Path) -> None:
    (tmp_path / "input.json").write_text('"from a file"')
    run("start", "order", "-i", f"@{tmp_path}/input.json", "--id", "a", "--url", url)
    run("start", "order", "-", "--id", "b", "--url", url, input='"from a pipe"')
    inputs = [run("show", one, "--json", "--url", url).documents[0]["input"] for one in "ab"]
    assert inputs == ["from a file", "from a pipe"]


def test_a_start_that_is_later(url: str) -> None:
    assert run("start", "order", "--id", "o", "--at", "2h", "--url", url).status == 0
    said = run("explain", "o", "--url", url)
    assert (said.status, "it was started to begin at" in said.out) == (1, True)
    assert run("start", "order", "--at", "tomorrow", "--url", url).status == 2


def test_suspended_and_resumed(url: str) -> None:
    at = ("--url", url)
    run("start", "order", "--id", "o", *at)
    assert run("suspend", "o", "--reason", "lunch", "--dry-run", *at).lines == [
        "o: is pending, and suspend would go ahead"
    ]
    assert run("suspend", "o", "--reason", "lunch", *at).status == 0

    async def is_suspended(hub: TaskHub) -> None:
        while (await hub.client.get("o")).status.value != "suspended":  # type: ignore[union-attr]
            await asyncio.sleep(0.01)

    work(url, is_suspended)
    explained = run("explain", "o", *at)
    assert "it is suspended (lunch), until resume is called" in explained.out
    assert run("resume", "o", *at).lines == ["o: is to go on"]


def test_several_at_once_each_with_its_own_answer(url: str) -> None:
    at = ("--url", url)
    for one in ("a", "b"):
        run("start", "order", "--id", one, *at)
    ids = run("list", "--ids", *at).out
    said = run("terminate", "-", "nobody", "--yes", "--json", *at, input=ids)
    assert said.status == 1
    assert [(one["id"], one["done"]) for one in said.documents] == [
        ("a", True),
        ("b", True),
        ("nobody", False),
    ]


def test_nobody_is_terminated_without_a_yes(url: str) -> None:
    run("start", "order", "--id", "a", "--url", url)
    said = run("terminate", "a", "--url", url, input="y\n")
    assert (said.status, said.out) == (2, "")
    assert "--yes" in said.err


def test_failed_rewound_and_restarted(url: str) -> None:
    at = ("--url", url)
    broken["is"] = True
    run("start", "priced", "-i", '"lamp"', "--id", "p", *at)
    work(url, lambda hub: hub.client.wait_for_end("p"))
    failed = run("wait", "p", *at)
    assert (failed.status, failed.out) == (1, "")
    assert "no lamp" in failed.err
    broken["is"] = False
    assert run("rewind", "p", "--reason", "mended", *at).lines == ["p: was rewound, and goes on"]
    assert run("rewind", "p", *at).status == 1
    assert work(url, lambda hub: hub.client.wait("p")) == 4
    assert run("restart", "p", "--id", "q", *at).out == "q\n"
    assert work(url, lambda hub: hub.client.wait("q")) == 4
    assert run("restart", "q", "--json", *at).documents == [{"id": "q"}]
    assert run("restart", "q", *at).status == 2


def test_show_follows_to_the_end(url: str) -> None:
    run("start", "order", "--id", "o", "--url", url)
    run("raise", "o", "approved", "-i", '"Ada"', "--url", url)
    work(url, lambda hub: hub.client.wait("o"))
    said = run("show", "o", "--follow", "--url", url)
    assert said.status == 0
    assert said.lines[0] == "ExecutionStarted order"
    assert said.lines[-1] == "It is completed."
    told = run("show", "o", "--follow", "--json", "--url", url)
    assert told.documents[-1]["event"] == "ExecutionCompleted"
    assert told.err == "It is completed.\n"


def test_a_terminal_is_never_told_what_to_do(url: str) -> None:
    evil = "\x1b[31m\x9b2J\u202e<script>[bold]"
    run("start", "order", "-i", json.dumps(evil), "--id", "o", "--tag", "t=x", "--url", url)
    run("start", "order", "--id", "\u202e[red]<b>'\"", "--url", url)
    for command in (("list",), ("show", "o"), ("show", "o", "--json"), ("list", "--json")):
        out = run(*command, "--url", url).out
        assert not {"\x1b", "\x9b", "\u202e"} & set(out)
    assert run("show", "o", "--json", "--url", url).documents[0]["input"] == evil
    assert "[red]<b>" in run("list", "--url", url).out
    refused = run("show", "\x1b[2J", "--url", url)
    assert (refused.status, "\x1b" in refused.err) == (2, False)


def test_standard_input_may_hold_no_ids(url: str) -> None:
    assert run("suspend", "-", "--url", url, input="") == Said(0, "", "")


def test_what_would_be_refused_is_refused_in_a_dry_run_too(url: str) -> None:
    broken["is"] = False
    run("start", "priced", '"lamp"', "--id", "p", "--url", url)
    work(url, lambda hub: hub.client.wait("p"))
    for verb in ("suspend", "resume", "terminate", "rewind"):
        said = run(verb, "p", "--dry-run", "--url", url)
        assert (said.status, f"cannot {verb} instance 'p': it is completed" in said.out) == (
            1,
            True,
        )
    both = ("--reason", "why", "--output", "1")
    assert run("terminate", "p", *both, "--yes", "--url", url).status == 2


def test_a_reason_is_kept_as_the_output(url: str) -> None:
    run("start", "order", "--id", "o", "--url", url)
    assert run("terminate", "o", "--reason", "by mistake", "--yes", "--url", url).status == 0
    work(url, lambda hub: hub.client.wait_for_end("o"))
    (ended,) = run("wait", "o", "--json", "--url", url).documents
    assert (ended["status"], ended["output"]) == ("terminated", "by mistake")
    assert run("explain", "o", "--url", url).status == 0


def test_ids_for_another_command_are_all_of_them(url: str) -> None:
    at = ("--url", url)

    async def fill() -> None:
        async with TaskHub.open(url) as hub:
            await asyncio.gather(
                *(hub.client.start("order", instance_id=f"o-{one:03}") for one in range(120))
            )

    asyncio.run(fill())
    assert run("list", "--ids", "--prefix", "o-", *at).lines == [
        f"o-{one:03}" for one in range(120)
    ]
    assert len(run("list", "--ids", "--limit", "7", *at).lines) == 7
    assert len(run("list", "--json", *at).documents) == 50


def test_who_waits_is_told_the_id_before(url: str) -> None:
    said = run("start", "order", "--id", "o", "--wait", "--timeout", "0", "--url", url)
    assert (said.status, said.out) == (1, "")
    first, second = said.err.splitlines()
    assert first == "o: was started, and goes on whether or not this waits"
    assert "did not end within" in second
