"""purge: counted before, asked about, and only what has ended."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from durable_async import OrchestrationContext, Registry, TaskHub

from .invoking import run

registry = Registry()


@registry.orchestrator
async def ends(ctx: OrchestrationContext) -> None:
    pass


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A file with three that have ended, and one that has not begun."""
    url = f"sqlite:///{tmp_path}/hub.db"

    async def fill() -> None:
        async with TaskHub.open(url, registry=registry) as hub, hub.worker():
            for one in ("a-1", "a-2", "b-1"):
                await (await hub.client.start(ends, instance_id=one)).wait(30)
            await hub.client.start(ends, instance_id="later", start_at=3600)

    asyncio.run(fill())
    return url


def ids(url: str) -> list[str]:
    return run("list", "--ids", "--url", url).out.split()


def test_a_dry_run_counts(url: str) -> None:
    assert run("purge", "--all", "--dry-run", "--url", url).out == "3 would be purged.\n"
    assert len(ids(url)) == 4


def test_by_filter(url: str) -> None:
    said = run("purge", "--prefix", "a-", "--yes", "--json", "--url", url)
    assert said.documents == [{"found": 2, "purged": 2}]
    assert ids(url) == ["b-1", "later"]


def test_by_age(url: str) -> None:
    assert run("purge", "--completed-to", "1h", "--yes", "--url", url).out == "0 of 0 purged.\n"
    said = run("purge", "--completed-from", "1h", "--status", "completed", "--yes", "--url", url)
    assert said.out == "3 of 3 purged.\n"


def test_by_id(url: str) -> None:
    said = run("purge", "a-1", "later", "nobody", "--yes", "--url", url)
    assert said.status == 1
    assert said.lines == [
        "a-1: was purged",
        "later: cannot purge instance 'later': it is pending, not ended",
        "nobody: no instance 'nobody' in this task hub",
    ]


@pytest.mark.parametrize("arguments", [(), ("a-1", "--all"), ("--all", "--prefix", "a")])
def test_what_is_meant_must_be_said(url: str, arguments: tuple[str, ...]) -> None:
    assert run("purge", *arguments, "--yes", "--url", url).status == 2
    assert len(ids(url)) == 4


def test_without_a_terminal_it_needs_a_yes(url: str) -> None:
    said = run("purge", "--all", "--url", url, input="y\n")
    assert (said.status, "Purge 3 orchestrations" in said.err) == (2, True)
    assert len(ids(url)) == 4
