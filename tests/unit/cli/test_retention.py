"""retention: what is kept how long, and what would go."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
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
    """A file with one that ended two days ago."""
    url = f"sqlite:///{tmp_path}/hub.db"

    async def fill() -> None:
        async with TaskHub.open(url, registry=registry) as hub, hub.worker():
            await (await hub.client.start(ends)).wait(30)

    asyncio.run(fill())
    with closing(sqlite3.connect(tmp_path / "hub.db")) as file, file:
        file.execute("update instances set completed_at_us = completed_at_us - 172800000000")
    return url


def test_what_is_kept_is_said(url: str) -> None:
    said = run("retention", "--url", url)
    assert said.lines == [
        "kept 30 days",
        "if it failed 90 days",
        "Nothing would be deleted now.",
    ]


def test_another_age_can_be_tried(url: str) -> None:
    said = run("retention", "--age", "1d", "--url", url)
    assert said.lines[-2:] == ["orchestrator would be deleted now", "ends 1"]
    assert "completed 1" in run("stats", "--url", url).lines


def test_programs_get_a_document(url: str) -> None:
    said = run("retention", "--age", "36h", "--failed", "2w", "--json", "--url", url)
    assert said.documents == [
        {
            "age_seconds": 129600,
            "failed_seconds": 1209600,
            "by_name_seconds": {},
            "expired": {"ends": 1},
        }
    ]


@pytest.mark.parametrize(
    ("age", "said"),
    [
        ("soon", "is no duration, such as"),
        ("1s", "must be a minute or more"),
        ("999999999w", "is no dur"),
    ],
)
def test_what_is_no_age_is_refused(url: str, age: str, said: str) -> None:
    refused = run("retention", "--age", age, "--url", url)
    assert refused.status == 2
    assert said in refused.err
