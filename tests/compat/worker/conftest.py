"""A worker that is not started: tests run its code in virtual time."""

from __future__ import annotations

import logging

import pytest

from durabletask.worker import TaskHubGrpcWorker


@pytest.fixture
def worker() -> TaskHubGrpcWorker:
    return TaskHubGrpcWorker(logger=logging.getLogger(__name__))
