from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from durable_async import TaskHub
from durable_async.cli import _findings
from durable_async.cli._findings import Finding, Level

from .invoking import run


def found(*arguments: str, status: int = 0) -> dict[str, tuple[str, str]]:
    said = run("doctor", "--json", *arguments)
    assert said.status == status, said
    return {one["check"]: (one["level"], one["detail"]) for one in said.documents}


def make(path: Path) -> str:
    async def open_once() -> None:
        async with TaskHub.open(f"sqlite:///{path}") as hub:
            await hub.client.start("nobody", instance_id="waits")

    asyncio.run(open_once())
    return f"sqlite:///{path}"


def test_a_hub_without_workers(tmp_path: Path) -> None:
    checks = found("--url", make(tmp_path / "hub.db"))
    assert checks["python"][0] == "ok"
    assert "rich" in checks["extra cli"][1]
    for name in ("schema", "store", "clock", "wake-ups", "settings", "parked", "locks"):
        assert checks[name][0] == "ok", checks[name]
    assert checks["workers"][0] == "warn"
    assert checks["pending"][0] == "warn"
    assert "'waits'" in checks["pending"][1]


def test_as_a_table(tmp_path: Path) -> None:
    lines = run("doctor", "--url", make(tmp_path / "hub.db")).lines
    assert "ok parked none" in lines


def test_without_a_store_it_looks_at_what_is_here() -> None:
    checks = found()
    assert checks["store"] == ("warn", "not looked at: say --url or --app")


def test_a_store_that_is_not_there_fails(tmp_path: Path) -> None:
    checks = found("--url", f"sqlite:///{tmp_path}/typo.db", status=1)
    assert checks["store"][0] == "fail"
    assert "there is no file" in checks["store"][1]


def test_a_password_is_shown_nowhere() -> None:
    said = run("doctor", "--url", "postgresql://nobody:secret@127.0.0.1:9/nothing")
    assert said.status == 1
    assert "secret" not in said.out + said.err


def test_an_old_package_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    real = _findings.metadata.version
    monkeypatch.setattr(
        _findings.metadata, "version", lambda name: "0.1" if name == "rich" else real(name)
    )
    (cli,) = [one for one in _findings._extras() if one.check == "extra cli"]
    assert cli == Finding("extra cli", Level.FAIL, "rich 0.1 is not >=13")


def test_on_postgres(postgres_database: str) -> None:
    async def open_once() -> None:
        async with TaskHub.open(postgres_database):
            pass

    asyncio.run(open_once())
    checks = found("--url", postgres_database)
    for name in ("schema", "store", "clock", "wake-ups"):
        assert checks[name][0] == "ok", checks[name]
