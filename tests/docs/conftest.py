"""Documentation registers functions under everyday names: each page and each test begins with nothing registered."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from durable_async.registry import default_registry
from durable_async.testing.postgres import ThrowawayPostgres

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # newer Starlettes would rather have another HTTP client
    import starlette.testclient  # noqa: F401 - pages import it, and warnings are errors


@pytest.fixture
def nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default_registry, "_activities", {})
    monkeypatch.setattr(default_registry, "_orchestrators", {})
    monkeypatch.setattr(default_registry, "_entities", {})


@pytest.fixture
def database(page: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that asks for a database gets a schema of its own."""
    if "DATABASE_URL" in page.read_text(encoding="utf-8"):
        server: ThrowawayPostgres = request.getfixturevalue("postgres_server")
        name = request.getfixturevalue("fresh_name")
        monkeypatch.setenv("DATABASE_URL", f"{server.dsn}?schema={name}")
