"""signal and call: an entity is let do something, by a worker in another process; and what lies in its mailbox until then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from durable_async import Entity, Registry, TaskHub

from .invoking import Said, run

registry = Registry()


@registry.entity
class Account(Entity[int]):
    def initial_state(self) -> int:
        return 0

    def deposit(self, amount: int) -> int:
        self.state += amount
        return self.state

    def close(self) -> None:
        raise LookupError("there is money in it")


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/hub.db"

    async def make() -> None:
        async with TaskHub.open(url):
            pass

    asyncio.run(make())
    return url


def beside_a_worker(url: str, say: Callable[[], Said]) -> Said:
    async def live() -> Said:
        async with TaskHub.open(url, registry=registry) as hub, hub.worker():
            return await asyncio.to_thread(say)

    return asyncio.run(live())


def test_a_call_shows_what_came_out(url: str) -> None:
    first = run("signal", "@account@ada", "deposit", "40", "--url", url)
    assert (first.status, first.out) == (0, "@account@ada: operation 'deposit' is in its mailbox\n")
    said = beside_a_worker(url, lambda: run("call", "@account@ada", "deposit", "2", "--url", url))
    assert (said.status, said.out, said.err) == (0, "42\n", "")


def test_a_call_is_a_document_for_programs(url: str) -> None:
    said = beside_a_worker(
        url, lambda: run("call", "@account@ada", "deposit", "2", "--json", "--url", url)
    )
    assert said.documents == [{"id": "@account@ada", "operation": "deposit", "result": 2}]


def test_a_call_that_fails_says_why(url: str) -> None:
    said = beside_a_worker(url, lambda: run("call", "@account@ada", "close", "--url", url))
    assert (said.status, said.out) == (1, "")
    assert "there is money in it" in said.err


def test_a_call_that_is_repeated_does_nothing_more(url: str) -> None:
    call = ("call", "@account@ada", "deposit", "2", "--request-id", "r", "--url", url)
    beside_a_worker(url, lambda: run(*call))
    assert beside_a_worker(url, lambda: run(*call)).out == "2\n"


def test_a_call_without_a_worker_does_not_wait_for_ever(url: str) -> None:
    said = run("call", "@account@ada", "deposit", "2", "--timeout", "0", "--url", url)
    assert said.status == 1
    assert "did not answer" in said.err


def test_the_mailbox_is_shown_until_it_is_read(url: str) -> None:
    signal = ("signal", "@account@ada", "deposit", "--url", url)
    said = run(*signal, "1", "--json")
    assert said.documents == [{"id": "@account@ada", "operation": "deposit", "done": True}]
    run(*signal, "2", "--at", "2126-01-31T12:00")
    lines = run("show", "@account@ada", "--url", url).lines
    assert "in its mailbox deposit 1" in lines
    assert "in its mailbox deposit 2 not before 2126-01-31 12:00:00 UTC" in lines
    (document,) = run("show", "@account@ada", "--json", "--url", url).documents
    assert document["operations"] == [
        {"operation": "deposit", "input": "1", "due_at": None},
        {"operation": "deposit", "input": "2", "due_at": "2126-01-31T12:00:00+00:00"},
    ]


@pytest.mark.parametrize("command", ["signal", "call"])
@pytest.mark.parametrize(
    ("entity", "said"),
    [
        ("order-1", "`raise` sends an event to an orchestration"),
        ("@account", "is not of the form @name@key"),
        ("@durable_async.schedule@nightly", "durable_async's own"),
    ],
)
def test_what_is_no_entity_of_the_users_is_refused(
    url: str, command: str, entity: str, said: str
) -> None:
    refused = run(command, entity, "deposit", "1", "--url", url)
    assert refused.status == 2
    assert said in refused.err


@pytest.mark.parametrize("command", ["raise", "wait", "restart", "suspend", "terminate"])
def test_who_says_an_entity_where_an_orchestration_is_meant_is_told_what_takes_one(
    url: str, command: str
) -> None:
    more = {"raise": ["go"], "terminate": ["--yes"]}.get(command, [])
    refused = run(command, "@account@ada", *more, "--url", url)
    assert refused.status == 2
    assert "is an entity: `show`, `signal`, `call` and `unpark` take those" in refused.err
