"""The three stores, and a worker that is not started: tests run its code in virtual time."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from tests.integration.worlds import MEMORY, POSTGRES, SQLITE, World

from durabletask.worker import TaskHubGrpcWorker


@pytest.fixture(params=[MEMORY, SQLITE, POSTGRES])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def world(backend: str, tmp_path: Path, fresh_name: str, request: pytest.FixtureRequest) -> World:
    lab = request.getfixturevalue("postgres_lab") if backend == POSTGRES else None
    return World(backend, tmp_path, fresh_name, lab)


@pytest.fixture
def worker() -> TaskHubGrpcWorker:
    return TaskHubGrpcWorker(logger=logging.getLogger(__name__))
