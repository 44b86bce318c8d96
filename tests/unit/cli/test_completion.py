"""What is offered when Tab is pressed, and that it is quiet where nothing can be."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from durable_async import EntityId, TaskHub
from durable_async.registry import default_registry

from .invoking import run


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    # As in a process of its own: other tests of this one may have registered something.
    monkeypatch.setattr(default_registry, "_orchestrators", {})
    url = f"sqlite:///{tmp_path}/hub.db"

    async def fill() -> None:
        async with TaskHub.open(url) as hub:
            for one in ("order-1", "order-2", "import-1"):
                await hub.client.start(one.partition("-")[0], instance_id=one)
            for key in ("ada", "bob"):
                await hub.client.signal_entity(EntityId("account", key), "deposit", 1)
            await hub.client.signal_entity(EntityId("stock", "desk"), "add", 1)

    asyncio.run(fill())
    return url


def offered(words: str, url: str) -> list[str]:
    """Press Tab at the end of what was typed."""
    given = {
        "_DURABLE_ASYNC_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
        "DURABLE_ASYNC_URL": url,
    }
    return sorted(run(env=given).out.split())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("durable-async show order", ["order-1", "order-2"]),
        ("durable-async suspend order-1 i", ["import-1"]),
        ("durable-async show @", ["@account@ada", "@account@bob", "@stock@desk"]),
        ("durable-async call @acc", ["@account@ada", "@account@bob"]),
        ("durable-async signal @account@b", ["@account@bob"]),
        ("durable-async start o", ["order"]),
        ("durable-async list --name i", ["import"]),
        ("durable-async list --status ru", ["running"]),
    ],
)
def test_ids_and_names_are_offered(url: str, words: str, expected: list[str]) -> None:
    assert offered(words, url) == expected


HOSTILE = [r"x-\$(id)", "x-$(id)", "x-`id`", "x-;id", "x-'id'", 'x-"id"', "x- id", "x-*", "x-~", "x-!id", "x-<(id)", "x-\u202eid", "-x"]  # fmt: skip


def test_what_a_shell_would_take_for_more_than_a_word_is_not_offered(
    url: str,
) -> None:
    async def fill() -> None:
        async with TaskHub.open(url) as hub:
            for one in (*HOSTILE, "x-Grüße:2026-01-01T00:00:00Z", "x-a/b.c_d@e+f,g=h%i"):
                await hub.client.start("xs", instance_id=one)
            await hub.client.start("xs;id")
            await hub.client.signal_entity(EntityId("account", "$(id)"), "deposit", 1)

    asyncio.run(fill())
    shown = offered("durable-async show x", url)
    assert shown == ["x-Grüße:2026-01-01T00:00:00Z", "x-a/b.c_d@e+f,g=h%i"]
    assert "-x" not in offered("durable-async show ", url)
    assert offered("durable-async start xs", url) == ["xs"]
    assert offered("durable-async show @acc", url) == ["@account@ada", "@account@bob"]


@pytest.mark.parametrize("there", ["sqlite:///nowhere.db", "nonsense", "memory://"])
def test_what_cannot_be_asked_offers_nothing(there: str) -> None:
    assert offered("durable-async show o", there) == []
