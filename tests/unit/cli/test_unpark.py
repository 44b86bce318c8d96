"""unpark: what is put back, what is only said, and what programs and scripts are told."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from durable_async import EntityId, OrchestrationContext, Registry, TaskHub
from durable_async.cli._app import app
from durable_async.model.records import Park

registry = Registry()


@registry.orchestrator
async def mended(ctx: OrchestrationContext) -> str:
    return "mended"


@pytest.fixture
async def url(tmp_path: Path) -> str:
    """A file with two parked orchestrations, a parked entity, and one orchestration that only waits."""
    url = f"sqlite:///{tmp_path}/hub.db"
    async with TaskHub.open(url, registry=registry) as hub:
        for instance_id in ("a", "b"):
            await hub.client.start(mended, instance_id=instance_id)
        await hub.client.signal_entity(EntityId("tally", "x"), "add", 1)
        fence = await hub.backend.register_worker("nemesis", 15)
        work = await hub.backend.fetch(
            fence,
            number=1,
            instances=10,
            activities=0,
            names=None,
            activity_names=frozenset(),
            history_bytes_max=1,
        )
        parks = [Park(instance_id=one.instance_id, reason="it exploded") for one in work.claimed]
        fence = (await hub.backend.commit(fence, parks)).fence
        await hub.backend.retire_worker(fence)
        await hub.client.start(mended, instance_id="waits", start_at=3600)
    return url


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "160"}).invoke(app, list(arguments))


def lines_of(result: Result) -> list[str]:
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


def parked_in(url: str) -> str:
    (found,) = (line for line in lines_of(run("stats", "--url", url)) if line.startswith("parked"))
    return found


def test_parked_ones_are_seen_with_their_reason(url: str) -> None:
    listed = lines_of(run("list", "--url", url, "--parked"))[1:]
    assert [line.split()[0] for line in listed] == ["a", "b"]
    assert all(line.endswith("parked: it exploded") for line in listed)
    shown = lines_of(run("show", "a", "--url", url))
    assert [line for line in shown if "parked" in line] == [
        "status pending, parked",
        "parked it exploded",
    ]
    assert parked_in(url) == "parked 3"


async def test_all_are_put_back_and_go_on(url: str) -> None:
    result = await asyncio.to_thread(run, "unpark", "--all", "--url", url)
    assert (result.exit_code, lines_of(result)) == (
        0,
        ["a: it exploded", "b: it exploded", "@tally@x: it exploded", "3 of 3 put back."],
    )
    assert await asyncio.to_thread(parked_in, url) == "parked 0"
    async with TaskHub.open(url, registry=registry) as hub, hub.worker():
        assert await hub.client.wait("a", timeout=30) == "mended"


def test_only_those_that_are_named(url: str) -> None:
    result = run("unpark", "a", "@tally@x", "--url", url)
    assert (result.exit_code, lines_of(result)[-1]) == (0, "2 of 2 put back.")
    assert parked_in(url) == "parked 1"


def test_what_is_not_parked_is_said_and_shows_in_the_exit_status(url: str) -> None:
    result = run("unpark", "a", "waits", "nobody", "@tally@none", "--url", url)
    assert (result.exit_code, lines_of(result)) == (
        1,
        [
            "a: it exploded",
            "waits: is not parked, or not there",
            "nobody: is not parked, or not there",
            "@tally@none: is not parked, or not there",
            "1 of 4 put back.",
        ],
    )


def test_a_dry_run_changes_nothing(url: str) -> None:
    result = run("unpark", "--all", "--dry-run", "--url", url)
    assert (result.exit_code, lines_of(result)[-1]) == (0, "3 of 3 would be put back.")
    assert parked_in(url) == "parked 3"


def test_programs_are_told_of_each(url: str) -> None:
    def told(*arguments: str) -> list[tuple[str, bool, str | None]]:
        output = run("unpark", *arguments, "--json", "--url", url).stdout
        documents = [json.loads(line) for line in output.splitlines()]
        return [(one["id"], one["put_back"], one["parked"]) for one in documents]

    assert told("a", "--dry-run") == [("a", False, "it exploded")]
    assert told("a", "waits") == [("a", True, "it exploded"), ("waits", False, None)]
    assert told("--all") == [("b", True, "it exploded"), ("@tally@x", True, "it exploded")]
    assert told("--all") == []


@pytest.mark.parametrize("arguments", [(), ("a", "--all"), ("@tally",)])
def test_what_is_meant_must_be_said(
    url: str, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    result = run("unpark", *arguments, "--url", url)
    assert type(result.exception).__name__ == "ValidationError"
    assert parked_in(url) == "parked 3"
