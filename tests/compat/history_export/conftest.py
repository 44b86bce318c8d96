"""Fixtures of the stories about export jobs: each store, or memory alone where the store cannot matter."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.integration.worlds import MEMORY, POSTGRES, SQLITE, World


@pytest.fixture(params=[MEMORY, SQLITE, POSTGRES])
def world(request: pytest.FixtureRequest, tmp_path: Path, fresh_name: str) -> World:
    """A store of each kind."""
    lab = request.getfixturevalue("postgres_lab") if request.param == POSTGRES else None
    return World(request.param, tmp_path, fresh_name, lab)


@pytest.fixture
def memory(tmp_path: Path, fresh_name: str) -> World:
    """A store in memory."""
    return World(MEMORY, tmp_path, fresh_name)
