"""Settings from environment variables, and passwords that nobody gets to see."""

from __future__ import annotations

import logging
import math
import re
import traceback
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from durable_async import (
    BackendError,
    ConfigurationError,
    Divergence,
    Retention,
    Settings,
    TaskHub,
    WorkerSettings,
)
from durable_async.cli._app import app
from durable_async.configuration import VARIABLES, place_of

ROOT = Path(__file__).parents[2]
CANARY = "c4n4ry"


def read(**variables: str) -> Settings:
    return Settings.from_environment({f"DURABLE_ASYNC_{k}": v for k, v in variables.items()})


def test_without_variables_everything_is_as_by_default() -> None:
    assert Settings.from_environment({"PATH": "/bin", "DURABLE_ASYN": "1"}) == Settings()
    assert read() == Settings()


def test_each_variable_sets_its_setting() -> None:
    settings = read(
        URL="sqlite:///orders.db",
        HUB="orders",
        DEFAULT_VERSION="2",
        PENDING_MAX="10000",
        RETENTION_AGE="86400",
        RETENTION_FAILED="none",
        RETENTION_BY_NAME='{"audit": null, "ping": 3600}',
        RETENTION_BATCH="100",
        ACTIVITIES_MAX="50",
        LEASE_SECONDS="30.5",
        UNREGISTERED_GRACE_SECONDS="inf",
        DIVERGENCE="fail",
    )
    assert settings == Settings(
        url="sqlite:///orders.db",
        hub="orders",
        default_version="2",
        pending_max=10_000,
        retention=Retention(
            age=86_400.0, failed=None, by_name={"audit": None, "ping": 3600.0}, batch=100
        ),
        worker=WorkerSettings(
            activities_max=50,
            lease_seconds=30.5,
            unregistered_grace_seconds=math.inf,
            divergence=Divergence.FAIL,
        ),
    )


def test_another_prefix_is_another_program_s() -> None:
    environ = {"ORDERS_HUB": "orders", "DURABLE_ASYNC_HUB": "others"}
    assert Settings.from_environment(environ, prefix="ORDERS_").hub == "orders"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            {"ACTIVITY_MAX": "5"},
            "no setting DURABLE_ASYNC_ACTIVITY_MAX: did you mean .*ACTIVITIES_MAX",
        ),
        ({"DSN": "x"}, "there is no setting DURABLE_ASYNC_DSN"),
        ({"url": "memory://"}, "there is no setting DURABLE_ASYNC_url"),
        ({"ACTIVITIES_MAX": "many"}, "DURABLE_ASYNC_ACTIVITIES_MAX: Expected `int`"),
        ({"ACTIVITIES_MAX": ""}, "DURABLE_ASYNC_ACTIVITIES_MAX: "),
        ({"ACTIVITIES_MAX": "0"}, "DURABLE_ASYNC_ACTIVITIES_MAX must be a whole number above 0"),
        ({"LEASE_SECONDS": "3"}, "must be three heartbeats or more"),
        ({"DIVERGENCE": "explode"}, "DURABLE_ASYNC_DIVERGENCE: must be park or fail"),
        ({"RETENTION_AGE": "1"}, "DURABLE_ASYNC_RETENTION_AGE: must be a minute or more"),
        ({"RETENTION_BY_NAME": "ping=1"}, "DURABLE_ASYNC_RETENTION_BY_NAME: "),
        ({"RETENTION_BY_NAME": '{"ping": 1}'}, "DURABLE_ASYNC_RETENTION_BY_NAME: must be a minute"),
        ({"RETENTION_BY_NAME": "[" * 100_000}, "DURABLE_ASYNC_RETENTION_BY_NAME: "),
        ({"HUB": "a\nb"}, "DURABLE_ASYNC_HUB: has the control character"),
        ({"DEFAULT_VERSION": "9" * 300}, "DURABLE_ASYNC_DEFAULT_VERSION: 300 characters"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(variables: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read(**variables)


@pytest.mark.parametrize("name", sorted(VARIABLES.keys() - {"URL", "HUB", "DEFAULT_VERSION"}))
@pytest.mark.parametrize("value", ["hunter2", "\udcff", '{"a": "hunter2"}', "0"])
def test_each_refusal_names_its_variable_and_quotes_no_text(name: str, value: str) -> None:
    """What stands in a wrong variable may be what belongs into another one."""
    with pytest.raises(ConfigurationError, match=rf"^DURABLE_ASYNC_{name}\b") as refusal:
        Settings.from_environment({f"DURABLE_ASYNC_{name}": value})
    assert "hunter2" not in "".join(traceback.format_exception(refusal.value))


def test_variables_of_tools_are_left_alone() -> None:
    """Every name in the repository is a setting's or a tool's, so that nothing of ours refuses to begin beside another."""
    found = set[str]()
    for folder in ("src", "compat", "tests", "benchmarks", "docs", "examples", ".ci"):
        for path in (ROOT / folder).rglob("*"):
            if (
                path.suffix in {".py", ".md", ".toml", ""}
                and path.is_file()
                and path != Path(__file__)
            ):
                text = path.read_text(encoding="utf-8", errors="ignore")
                found.update(re.findall(r"(?<!_)DURABLE_ASYNC_([A-Z][A-Z_]*[A-Z])\b", text))
    tools = {name: "1" for name in found if name not in VARIABLES}
    assert len(tools) > 5
    assert read(**tools) == Settings()


# -- hubs


def test_a_hub_is_described_by_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DURABLE_ASYNC_URL", f"sqlite:///{tmp_path / 'hub.db'}")
    monkeypatch.setenv("DURABLE_ASYNC_HUB", "orders")
    monkeypatch.setenv("DURABLE_ASYNC_ACTIVITIES_MAX", "7")
    monkeypatch.setenv("DURABLE_ASYNC_RETENTION_AGE", "none")
    hub = TaskHub.from_environment()
    assert hub.name == "orders"
    assert hub._settings.activities_max == 7
    assert hub.retention.expiries() == ()
    changed = TaskHub.from_environment(url="memory://", hub="others", settings=WorkerSettings())
    assert (changed.name, changed._settings) == ("others", WorkerSettings())
    assert TaskHub.at().name == "default", "only the URL"


def test_without_a_url_it_is_said_how_to_give_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DURABLE_ASYNC_URL", raising=False)
    for make in (TaskHub.at, TaskHub.from_environment):
        with pytest.raises(ConfigurationError, match="set DURABLE_ASYNC_URL"):
            make()


# -- passwords

URLS = (
    f"postgresql://ada:{CANARY}@127.0.0.1:1/orders",
    f"postgresql://ada:{CANARY}@127.0.0.1:1,127.0.0.1:2/orders?direct_dsn=postgresql://ada:{CANARY}@127.0.0.1:1/orders",
    f"postgresql:///orders?host=/nowhere&port=1&user=ada&password={CANARY}",
    f"postgresql://ada:a@{CANARY}@127.0.0.1:1/orders",
    f"postgresql://ada:a/{CANARY}@127.0.0.1:1/orders",
    f"postgresql://ada:a#{CANARY}@127.0.0.1:1/orders",
    f"postgresql://ada:a?{CANARY}@127.0.0.1:1/orders",
    f"postgresql://ada:{CANARY}",
    f"postgresql://ada:[{CANARY}@127.0.0.1:1/orders",
    f"mysql://ada:{CANARY}@localhost/orders",
    f"host=127.0.0.1 port=1 password={CANARY}",
)


@pytest.mark.parametrize("url", URLS)
async def test_a_password_is_shown_nowhere(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Not by settings, hubs, errors, logs or health, of a store that is not there or whose URL is wrong."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("DURABLE_ASYNC_URL", url)
    settings = Settings.from_environment()
    shown: list[Any] = [repr(settings), str(settings), place_of(url)]
    try:
        hub = TaskHub.from_environment()
        shown += [repr(hub), await hub.health()]
        async with hub:
            raise AssertionError("nobody is there")
    except (ConfigurationError, BackendError) as error:
        shown.append(_chain(error))
    assert CANARY not in "\n".join(map(str, shown))
    assert CANARY not in caplog.text


@pytest.mark.parametrize("url", URLS)
def test_the_command_line_shows_no_password(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Neither by an option nor by a variable; the store is not there."""
    for given, environ in (["--url", url], None), ([], {"DURABLE_ASYNC_URL": url}):
        told = CliRunner().invoke(app, ["stats", *given], env=environ)
        assert told.exit_code != 0
        assert CANARY not in told.output
        assert CANARY not in str(_chain(told.exception))
    assert CANARY not in caplog.text


def _chain(error: BaseException | None) -> list[str]:
    """Return what is shown of an error, and of those that led to it."""
    found: list[str] = []
    while error is not None:
        found += [str(error), repr(error)]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return found


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (
            "postgresql://ada:secret@db.example:5432/orders?sslmode=require",
            "postgresql://db.example:5432/orders",
        ),
        ("postgresql://db.example/orders", "postgresql://db.example/orders"),
        ("postgresql:///orders", "postgresql:///orders"),
        ("sqlite:///orders.db", "sqlite:///orders.db"),
        ("memory://", "memory://"),
    ],
)
def test_a_place_is_shown(url: str, place: str) -> None:
    assert place_of(url) == place
    assert place in repr(Settings(url=url))
