"""The commands that look into a hub: on a SQLite file, and what they leave alone in Postgres."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from durable_async import (
    ConfigurationError,
    Entity,
    EntityId,
    EntityLocks,
    EntityState,
    InstanceNotFoundError,
    JsonConverter,
    OrchestrationContext,
    Registry,
    SchemaVersionError,
    TaskHub,
)
from durable_async.backends.offload import MemoryPayloads, OffloadingBackend
from durable_async.backends.postgres.administration import Administration
from durable_async.backends.sqlite import SqliteBackend
from durable_async.backends.sqlite.administration import hubs_of
from durable_async.cli._app import app
from durable_async.cli._render import entities, entity, explanation
from durable_async.environment import SystemEnvironment
from durable_async.model.entities import EntityLock, EntitySnapshot, ParkedOperation
from durable_async.model.explanation import Explanation, SourceLine, Stand
from durable_async.model.history import EntityOperation, ParentLink
from durable_async.model.records import EntityRecord
from durable_async.model.status import Status
from durable_async.serialization.events import encode_snapshot

registry = Registry()


@registry.activity
async def greet(name: str) -> str:
    if not name:
        raise LookupError("nobody there")
    return f"hello {name}"


@registry.orchestrator
async def welcome(ctx: OrchestrationContext, name: str) -> str:
    ctx.set_custom_status("greeting")
    await asyncio.sleep(0.001)
    return await ctx.call_activity(greet, name)


@registry.entity
class Tally(Entity[int]):
    def initial_state(self) -> int:
        return 0

    def add(self, amount: int) -> int:
        self.state += amount
        return self.state


@registry.orchestrator
async def tallies(ctx: OrchestrationContext) -> None:
    async with ctx.lock_entities([Tally.entity_id("b"), Tally.entity_id("a")]):
        await ctx.call_entity(Tally.entity_id("a"), Tally.add, 2)
    ctx.signal_entity(Tally.entity_id("a"), Tally.add, 0)


@registry.orchestrator
async def keeps(ctx: OrchestrationContext) -> None:
    async with ctx.lock_entities([Tally.entity_id("a")], hold=3600):
        await ctx.wait_for_external_event("go")


@pytest.fixture
async def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/hub.db"
    async with TaskHub.open(url, registry=registry) as hub, hub.worker():
        for instance_id, name in (("good", "Ada"), ("bad", "")):
            await hub.client.start(welcome, name, instance_id=instance_id)
            await hub.client.wait_for_end(instance_id, timeout=30)
        await hub.client.start("unknown", start_at=3600, instance_id="later")
    return url


def say(*arguments: str) -> list[str]:
    outcome = CliRunner(env={"COLUMNS": "120"}).invoke(app, list(arguments))
    if outcome.exception is not None:
        raise outcome.exception
    return [" ".join(line.split()) for line in outcome.stdout.splitlines()]


def test_list(url: str) -> None:
    lines = say("list", "--url", url)
    assert [line.split()[:3] for line in lines[1:]] == [
        ["good", "welcome", "completed"],
        ["bad", "welcome", "failed"],
        ["later", "unknown", "pending"],
    ]


def test_the_store_can_be_named_by_the_environment(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DURABLE_ASYNC_URL", url)
    assert say("list") == say("list", "--url", url)
    assert say("show", "good") == say("show", "good", "--url", url)


def test_a_list_says_that_there_are_more(url: str) -> None:
    lines = say("list", "--url", url, "--limit", "2")
    assert [line.split()[0] for line in lines[1:3]] == ["good", "bad"]
    assert lines[3] == "The first 2; --limit shows more."
    outcome = CliRunner().invoke(app, ["list", "--url", url, "--limit", "2", "--json"])
    assert [json.loads(line)["id"] for line in outcome.stdout.splitlines()] == ["good", "bad"]
    assert outcome.stderr == lines[3] + "\n"


@pytest.fixture
async def url_with_entities(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/entities.db"
    async with TaskHub.open(url, registry=registry) as hub, hub.worker():
        for key in ("b", "a", "shop-1"):
            await hub.client.call_entity(Tally.entity_id(key), Tally.add, len(key))
        await hub.client.start(tallies, instance_id="tallies")
        await hub.client.wait("tallies", timeout=30)
    async with TaskHub.open(url, registry=registry) as hub:
        await hub.client.signal_entity(EntityId("unknown", "x"), "add", 5)
    return url


def test_entities(url_with_entities: str) -> None:
    lines = say("entities", "--url", url_with_entities)
    assert [line.split(" 20")[0] for line in lines[1:]] == [
        "@tally@a 3 0",
        "@tally@b 1 0",
        "@tally@shop-1 6 0",
        "@unknown@x 1",
    ]
    named = say("entities", "--url", url_with_entities, "--name", "TALLY", "--key-prefix", "s")
    assert [line.split()[0] for line in named[1:]] == ["@tally@shop-1"]
    short = say("entities", "--url", url_with_entities, "--limit", "1")
    assert [short[1].split()[0], short[2]] == ["@tally@a", "The first 1; --limit shows more."]
    none = say("entities", "--url", url_with_entities, "--name", "nobody")
    assert none[0].startswith("There are no such entities in sqlite ")
    assert "entities 4" in say("stats", "--url", url_with_entities)


def test_show_tells_what_an_orchestration_did_with_entities(url_with_entities: str) -> None:
    lines = say("show", "tallies", "--url", url_with_entities)
    assert {line for line in lines if line.startswith("Entity")} == {
        "EntityLocksRequested #1 @tally@a, @tally@b",
        "EntityLocked #1 @tally@a",
        "EntityLocked #1 @tally@b",
        "EntityCalled #2 add on @tally@a 2",
        "EntityCallCompleted #2 3",
        "EntityLocksReleased #1",
        "EntitySignaled #3 add on @tally@a 0",
    }


async def test_show_tells_who_has_an_entity_and_who_waits_for_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/locked.db"
    async with TaskHub.open(url, registry=registry) as hub, hub.worker():
        await hub.client.call_entity(Tally.entity_id("a"), Tally.add, 3)
        for instance_id in ("first", "second", "third"):
            await hub.client.start(keeps, instance_id=instance_id)
            await hub.client.wait_for_start(instance_id, timeout=30)
    lines = await asyncio.to_thread(say, "show", "@tally@a", "--url", url)
    assert {"id @tally@a", "state 3", "1. in line second", "2. in line third"} <= set(lines)
    assert "waiting 2 letters, requests for its lock among them" in lines
    (holder,) = (line for line in lines if line.startswith("locked by"))
    assert holder.startswith("locked by first, since 20")
    assert holder.endswith(" UTC at most")
    assert "worker none has it in memory" in lines
    with pytest.raises(InstanceNotFoundError):
        await asyncio.to_thread(say, "show", "@tally@nobody", "--url", url)


def test_show_tells_what_is_parked_of_an_entity() -> None:
    parked = ParkedOperation(EntityOperation("explode", None), "it exploded", 0)
    record = entity_record(
        "a", encode_snapshot(EntitySnapshot(None, None, (parked,))), parked="all"
    )
    console = Console(width=160, record=True, file=StringIO())
    state: EntityState[Any] = EntityState(record, Any, JsonConverter())
    console.print(entity(state, EntityLocks(held_by=None, waiting=())))
    lines = [" ".join(line.split()) for line in console.export_text().splitlines()]
    assert "state none" in lines
    assert "parked operation explode, 1970-01-01 00:00:00 UTC: it exploded" in lines
    assert "parked all" in lines


def test_what_is_wrong_with_an_entity_is_remarked() -> None:
    parked = ParkedOperation(EntityOperation("explode", None), "it exploded", 0)
    lock = EntityLock(ParentLink("transfer", 1, 3), 0)
    records = [
        entity_record("a", encode_snapshot(EntitySnapshot(b"[1]", lock, (parked, parked)))),
        entity_record("b", None, parked="broken"),
        entity_record("c", b"nonsense"),
    ]
    console = Console(width=160, record=True, file=StringIO())
    console.print(entities([EntityState(one, Any, JsonConverter()) for one in records]))
    _, first, second, third, *_ = (
        " ".join(one.split()) for one in console.export_text().splitlines()
    )
    at = "1970-01-01 00:00:00"
    assert first == f"@tally@a [1] 1 {at} locked by transfer, 2 parked operations"
    assert second == f"@tally@b 1 {at} parked: broken"
    assert third.startswith("@tally@c the history of instance '@tally@c' cannot be read")


def test_code_in_the_current_folder_is_told_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = (str(tmp_path / "shop" / "orders.py"), "/elsewhere/lib.py", "<string>")
    one = Explanation(
        instance_id="order-1",
        name="order",
        version=None,
        status=Status.RUNNING,
        at=datetime.now(UTC),
        moved_at=None,
        owner=None,
        stands=(Stand(task="order-1", lines=tuple(SourceLine(one, 7, "order") for one in files)),),
    )
    console = Console(width=160, record=True, file=StringIO())
    console.print(explanation(one))
    lines = [line.strip() for line in console.export_text().splitlines()]
    shown = Path("shop", "orders.py")
    assert lines[-3:] == [
        f"{shown}:7 in order",
        "/elsewhere/lib.py:7 in order",
        "<string>:7 in order",
    ]


def entity_record(key: str, state: bytes | None, **fields: Any) -> EntityRecord:
    return EntityRecord(
        instance_id=f"@tally@{key}",
        name="@tally",
        state=state,
        created_at_us=0,
        updated_at_us=0,
        letters=1,
        **fields,
    )


def test_show_tells_the_history(url: str) -> None:
    lines = say("show", "good", "--url", url)
    assert "status completed" in lines
    assert 'custom status "greeting"' in lines
    assert 'output "hello Ada"' in lines
    assert 'ActivityScheduled #2 greet "Ada"' in lines
    assert 'ActivityCompleted #2 greet "hello Ada"' in lines
    assert 'ExecutionCompleted "hello Ada"' in lines
    assert "0.000 TurnStarted" in lines


def test_show_tells_a_failure(url: str) -> None:
    lines = say("show", "bad", "--url", url)
    assert any(line.startswith("failure ") and "nobody there" in line for line in lines)
    assert any(line.startswith("ActivityFailed #2 greet") for line in lines)
    assert "caused by builtins.LookupError: nobody there" in lines
    assert 'raise LookupError("nobody there")' in lines


def test_show_can_be_short(url: str) -> None:
    lines = say("show", "good", "--url", url, "--limit", "1")
    assert lines[-1].startswith("The first 1 of ")
    assert not any(line.startswith("ExecutionCompleted") for line in lines)


def test_stats(url: str) -> None:
    lines = say("stats", "--url", url)
    assert {"completed 1", "failed 1", "pending 1", "running 0", "workers 0"} <= set(lines)


def test_an_unknown_instance_is_told(url: str) -> None:
    with pytest.raises(InstanceNotFoundError, match="nobody"):
        say("show", "nobody", "--url", url)


def test_looking_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no file"):
        say("list", "--url", f"sqlite:///{tmp_path}/typo.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:///typo.db", r"no file '/.*typo\.db': whoever opens a hub in it makes it"),
        ("sqlite://typo.db", "three slashes"),
        ("memory://", "lives and dies with the process"),
    ],
)
def test_a_store_that_holds_nothing_is_refused(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        say("list", "--url", url)


def test_an_id_is_shown_whole(url: str) -> None:
    async def start() -> str:
        async with TaskHub.open(url, registry=registry) as hub:
            return (await hub.client.start("unknown", start_at=3600)).instance_id

    instance_id = asyncio.run(start())
    outcome = CliRunner(env={"COLUMNS": "60"}).invoke(app, ["list", "--url", url])
    assert instance_id in outcome.stdout


def test_a_hub_with_nothing_in_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/hub.db"

    async def open_once() -> None:
        async with TaskHub.open(url, hub="other"):
            pass

    asyncio.run(open_once())
    assert say("list", "--url", url, "--hub", "other")[0].startswith(
        "There are no orchestrations in sqlite "
    )
    assert say("list", "--url", url, "--hub", "other", "--parked")[0].startswith(
        "There are no such orchestrations in sqlite "
    )


def test_a_hub_that_is_not_there_is_not_made(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no hub 'typo'; what it has: 'default'"):
        say("list", "--url", url, "--hub", "typo")
    assert hubs_of(tmp_path / "hub.db") == ["default"]


def test_a_file_without_a_schema_has_no_hub(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    with pytest.raises(ConfigurationError, match=r"no hub 'default'; what it has: none"):
        say("stats", "--url", f"sqlite:///{tmp_path}/empty.db")
    assert (tmp_path / "empty.db").stat().st_size == 0


def test_a_damaged_history_is_told_with_what_else_is_known(url: str, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "hub.db")) as connection, connection:
        connection.execute("update history set events = x'c1' where turn > 0")
    lines = say("show", "good", "--url", url)
    assert "status completed" in lines
    assert any("the history of instance 'good' cannot be read" in line for line in lines)
    (document,) = documents("show", "good", "--url", url, "--json")
    assert document["status"] == "completed"
    assert "cannot be read" in document["damage"]


def documents(*arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in say(*arguments)]


def test_programs_get_documents(url: str) -> None:
    good, bad, later = documents("list", "--url", url, "--json")
    assert (good["id"], good["status"], good["parked"]) == ("good", "completed", None)
    assert bad["failure"]["message"].endswith("nobody there")
    assert later["completed_at"] is None
    (failed,) = documents("show", "bad", "--url", url, "--json")
    assert failed["failure"]["cause"]["type"] == "builtins.LookupError"
    assert 'raise LookupError("nobody there")' in failed["failure"]["cause"]["stack_trace"]
    (shown,) = documents("show", "good", "--url", url, "--json", "--limit", "2")
    assert (shown["output"], shown["custom_status"]) == ("hello Ada", "greeting")
    assert [(event["event"], event["seconds"]) for event in shown["history"]] == [
        ("ExecutionStarted", None),
        ("TurnStarted", 0),
    ]
    (counts,) = documents("stats", "--url", url, "--json")
    assert (counts["completed"], counts["failed"], counts["parked"]) == (1, 1, 0)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("entities", "--limit", "3"), "The first 3; --limit shows more."),
        (("show", "tallies", "--limit", "1"), "The first 1 of "),
    ],
)
def test_programs_are_told_beside_their_documents_that_there_are_more(
    url_with_entities: str, command: tuple[str, ...], said: str
) -> None:
    outcome = CliRunner().invoke(app, [*command, "--json", "--url", url_with_entities])
    for line in outcome.stdout.splitlines():
        json.loads(line)
    assert outcome.stderr.startswith(said)


def test_a_damaged_entity_hides_no_other(url_with_entities: str, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "entities.db")) as connection, connection:
        connection.execute("update instances set state = x'c1' where id = '@tally@a'")
    first, second, *_ = documents("entities", "--url", url_with_entities, "--json")
    assert "cannot be read" in first["state"]["unreadable"]
    assert (second["id"], second["state"]) == ("@tally@b", 1)
    lines = say("entities", "--url", url_with_entities)
    assert any("cannot be read" in line for line in lines)
    assert any(line.startswith("@tally@b 1 0") for line in lines)


def test_programs_get_documents_of_entities(url_with_entities: str) -> None:
    url = url_with_entities
    first, *_, last = documents("entities", "--url", url, "--json")
    assert (first["id"], first["state"], first["waiting"]) == ("@tally@a", 3, 0)
    assert (last["id"], last["state"], last["waiting"]) == ("@unknown@x", None, 1)
    (shown,) = documents("show", "@tally@a", "--url", url, "--json")
    assert (shown["locked_by"], shown["in_line"]) == (None, [])


def test_looking_makes_no_schema(postgres_database: str) -> None:
    with pytest.raises(SchemaVersionError, match=r"no schema yet.*migrate apply"):
        say("list", "--url", f"{postgres_database}?schema=typo&migrate=true")
    assert asyncio.run(Administration(f"{postgres_database}?schema=typo").standing()).version == 0


def test_looking_makes_no_hub(postgres_database: str) -> None:
    async def start() -> None:
        async with TaskHub.open(postgres_database, hub="mine", registry=registry) as hub:
            await hub.client.start("unknown", start_at=3600, instance_id="later")

    asyncio.run(start())
    assert say("list", "--url", postgres_database, "--hub", "mine")[1].startswith("later unknown")
    for command in (("list",), ("show", "later"), ("stats",)):
        with pytest.raises(ConfigurationError, match=r"no hub 'mien'; what it has: 'mine'"):
            say(*command, "--url", postgres_database, "--hub", "mien")
    assert asyncio.run(Administration(postgres_database).hubs()) == ["mine"]


def test_what_is_kept_elsewhere_is_said_to_be_there(tmp_path: Path) -> None:
    async def live() -> None:
        backend = OffloadingBackend(
            SqliteBackend(tmp_path / "hub.db", environment=SystemEnvironment()), MemoryPayloads(5)
        )
        async with TaskHub.open(backend, registry=registry) as hub, hub.worker():
            await (await hub.client.start(welcome, "everybody", instance_id="e")).wait()
            await hub.client.call_entity(Tally.entity_id("a"), Tally.add, 1_000_000)

    asyncio.run(live())
    for instance in ("e", "@tally@a"):
        url = f"sqlite:///{tmp_path / 'hub.db'}"
        result = CliRunner().invoke(app, ["show", instance, "--url", url])
        assert result.exit_code == 0, result.output
        assert "kept in a payload store" in " ".join(result.output.split())
