"""A store that is away for a minute fills no log."""

from __future__ import annotations

import pytest

from durable_async.environment import SystemEnvironment
from durable_async.errors import BackendUnavailableError
from durable_async.worker._complaints import Complaints

AWAY = BackendUnavailableError("the store does not answer")


class Stepping(SystemEnvironment):
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def environment() -> Stepping:
    return Stepping()


def test_the_first_failure_is_told_then_one_in_a_while(
    environment: Stepping, caplog: pytest.LogCaptureFixture
) -> None:
    complaints = Complaints(environment)
    for _ in range(61):
        complaints.cannot("fetch work", AWAY)
        environment.now += 1
    assert caplog.messages == ["cannot fetch work: the store does not answer"] * 3


def test_each_act_has_its_own_count(
    environment: Stepping, caplog: pytest.LogCaptureFixture
) -> None:
    complaints = Complaints(environment)
    complaints.cannot("fetch work", AWAY)
    complaints.cannot("register", AWAY)
    assert len(caplog.messages) == 2


def test_the_end_is_told_once(environment: Stepping, caplog: pytest.LogCaptureFixture) -> None:
    complaints = Complaints(environment)
    complaints.can("fetch work")
    complaints.cannot("fetch work", AWAY)
    environment.now += 70
    complaints.cannot("fetch work", AWAY)
    complaints.can("fetch work")
    complaints.can("fetch work")
    assert caplog.messages[2:] == ["can fetch work again, after 70.0 s"]
    complaints.cannot("fetch work", AWAY)
    assert len(caplog.messages) == 4
