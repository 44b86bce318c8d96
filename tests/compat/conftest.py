"""Fixtures of the stories of the SDK's names: each store, or memory alone where the store cannot matter."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.integration.worlds import MEMORY, POSTGRES, SQLITE, World


@pytest.fixture(params=[MEMORY, SQLITE, POSTGRES])
def backend(request: pytest.FixtureRequest) -> str:
    """The kind of a store."""
    return str(request.param)


@pytest.fixture
def world(backend: str, tmp_path: Path, fresh_name: str, request: pytest.FixtureRequest) -> World:
    """A store of each kind, in virtual time."""
    lab = request.getfixturevalue("postgres_lab") if backend == POSTGRES else None
    return World(backend, tmp_path, fresh_name, lab)


@pytest.fixture
def memory(tmp_path: Path, fresh_name: str) -> World:
    """A store in memory, in virtual time."""
    return World(MEMORY, tmp_path, fresh_name)
