"""`durable-async migrate` on Postgres and on a SQLite file: what it prints, what it does, what it answers to scripts."""

from __future__ import annotations

import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner, Result

from durable_async import ConfigurationError, TaskHub
from durable_async.backends.postgres import statements
from durable_async.backends.postgres.embedded import find_binaries
from durable_async.cli._app import app
from durable_async.cli._exits import status_of
from durable_async.errors import BackendUnavailableError, SchemaVersionError

VERSION = len(statements.migrations_in("any"))


def invoke(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["migrate", *arguments])


def say(*arguments: str, status: int = 0) -> str:
    outcome = invoke(*arguments)
    if outcome.exception is not None and not isinstance(outcome.exception, SystemExit):
        raise outcome.exception
    assert outcome.exit_code == status, outcome.output
    return outcome.stdout


def psql(dsn: str, sql: str) -> str:
    program = find_binaries() / "psql"
    if not program.exists():
        pytest.skip("the server's programs come without psql")
    return subprocess.run(
        [str(program), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", dsn],
        input=sql,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_check_apply_check(postgres_database: str) -> None:
    place = f"{urlsplit(postgres_database).netloc.rpartition('@')[2]}/"
    url = f"{postgres_database}?schema=mine"
    said = say("check", "--url", url, status=1)
    assert f"version 0, this release knows {VERSION}. Missing steps: {VERSION}." in said
    assert "`durable-async migrate apply`" in said
    assert place in said
    applied = say("apply", "--url", url)
    assert applied.count("applied 00") == VERSION
    assert f"(schema 'mine') is up to date: version {VERSION}" in applied
    assert "applied" not in say("apply", "--url", url)
    assert "Up to date." in say("check", "--url", url)


def test_the_password_is_not_shown(postgres_database: str) -> None:
    password = urlsplit(postgres_database).password
    assert password is not None
    for command, status in (("check", 1), ("apply", 0), ("check", 0), ("print", 0)):
        assert password not in say(command, "--url", postgres_database, status=status)
    outcome = invoke("check", "--url", postgres_database.replace(password, "no" + password))
    assert isinstance(outcome.exception, BackendUnavailableError)
    assert password not in str(outcome.exception)


def test_what_is_printed_runs_in_psql_as_it_stands(postgres_database: str) -> None:
    psql(postgres_database, say("print"))
    assert "Up to date." in say("check", "--url", postgres_database)
    assert say("print", "--url", postgres_database) == ""


def test_only_what_is_missing_is_printed(postgres_database: str) -> None:
    url = f"{postgres_database}?schema=mine"
    assert say("print", "--url", url) == say("print", "--schema", "mine")
    first, second = say("print", "--schema", "mine").split("-- migration 0002")
    psql(postgres_database, first.rpartition("begin;")[0])
    said = say("print", "--url", url)
    assert "-- migration 0001" not in said
    assert said.endswith(second)
    psql(postgres_database, said)
    assert "Up to date." in say("check", "--url", url)


@pytest.mark.parametrize(
    ("serves", "status", "words"),
    [(VERSION, 0, f"serves releases that know {VERSION} or later"), (99, 3, "Too new")],
)
def test_a_newer_schema(postgres_database: str, serves: int, status: int, words: str) -> None:
    say("apply", "--url", postgres_database)
    psql(
        postgres_database,
        f"update durable_async.meta set value = case name when 'serves' then {serves} else 99 end",
    )
    assert words in say("check", "--url", postgres_database, status=status)


def test_another_schema_of_the_same_number(postgres_database: str) -> None:
    """As one from between two releases may be; opening refuses it, too."""
    say("apply", "--url", postgres_database)
    psql(postgres_database, "drop function durable_async.sweep cascade")
    said = say("check", "--url", postgres_database, status=3)
    assert "Another schema than this release's: it lacks sweep as this release calls" in said
    assert "Up to date" not in said
    outcome = invoke("apply", "--url", postgres_database)
    assert isinstance(outcome.exception, SchemaVersionError)
    assert status_of([outcome.exception]) == 3
    assert "lacks sweep" in str(outcome.exception)
    assert "up to date" not in outcome.output


def test_grants(postgres_database: str) -> None:
    assert 'on schema "durable_async" to "app";' in say("grants", "app")
    assert 'on schema "mine" to "app";' in say("grants", "app", "--schema", "mine")
    say("apply", "--url", f"{postgres_database}?schema=mine")
    user = urlsplit(postgres_database).username
    assert user is not None
    for more in ((), ("--to-look",)):
        psql(
            postgres_database,
            say("grants", user, "--url", f"{postgres_database}?schema=mine", *more),
        )


@pytest.mark.parametrize(
    "arguments",
    [
        ("print", "--schema", 'a"b'),
        ("grants", "app", "--schema", "a b"),
        ("grants", "app", "--schema", "a", "--url", "postgresql://localhost/db"),
        ("check", "--url", "postgresql://localhost/db?schema=A"),
        ("check", "--url", "memory://"),
        ("apply", "--url", "memory://"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: tuple[str, ...]) -> None:
    outcome = invoke(*arguments)
    assert isinstance(outcome.exception, ConfigurationError)


def test_a_command_is_needed() -> None:
    assert "apply" in invoke().output


# -- SQLite


@pytest.fixture
async def file(tmp_path: Path) -> str:
    async with TaskHub.open(f"sqlite:///{tmp_path}/hub.db"):
        return f"sqlite:///{tmp_path}/hub.db"


def test_a_file_upgrades_itself(file: str) -> None:
    assert "Up to date." in say("check", "--url", file)
    assert "upgrades itself" in say("apply", "--url", file)
    assert say("print", "--url", file) == ""


def test_a_file_without_a_schema(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    url = f"sqlite:///{tmp_path}/empty.db"
    assert "Missing steps: 2. It upgrades itself" in say("check", "--url", url, status=1)
    assert "create table meta" in say("print", "--url", url)
    assert (tmp_path / "empty.db").stat().st_size == 0
    say("apply", "--url", url)
    assert "Up to date." in say("check", "--url", url)


def test_no_file_is_made(tmp_path: Path) -> None:
    for command in ("check", "apply", "print"):
        with pytest.raises(ConfigurationError, match="no file"):
            say(command, "--url", f"sqlite:///{tmp_path}/typo.db")
    assert list(tmp_path.iterdir()) == []


def test_a_file_has_no_roles(file: str) -> None:
    with pytest.raises(ConfigurationError, match="no roles"):
        say("grants", "app", "--url", file)
