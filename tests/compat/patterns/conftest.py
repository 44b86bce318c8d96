"""The three stores, and where the documented patterns are."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.integration.worlds import MEMORY, POSTGRES, SQLITE, World

from .documented import FILE, VARIABLE


@pytest.fixture(params=[MEMORY, SQLITE, POSTGRES])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def world(backend: str, tmp_path: Path, fresh_name: str, request: pytest.FixtureRequest) -> World:
    lab = request.getfixturevalue("postgres_lab") if backend == POSTGRES else None
    return World(backend, tmp_path, fresh_name, lab)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if FILE.exists():
        return
    reason = f"the documented patterns are not here: {VARIABLE} names no file that exists"
    for item in items:
        if "/compat/patterns/" in item.path.as_posix():
            item.add_marker(pytest.mark.skip(reason=reason))
