"""Moments are what every clock and calendar says, and those beyond a calendar can be looked at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, strategies as st

from durable_async.model.moments import instant, microseconds


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_comes_back(at: datetime) -> None:
    assert instant(microseconds(at)) == at


def test_a_naive_moment_is_utc() -> None:
    assert microseconds(datetime(1970, 1, 1, 0, 0, 1)) == 1_000_000
    assert microseconds(datetime(1970, 1, 1, tzinfo=timezone(timedelta(hours=1)))) == -3_600_000_000


@pytest.mark.parametrize("at_us", [2**62, 2**63 - 1, 2**64])
def test_what_is_after_the_calendar_is_its_end(at_us: int) -> None:
    assert instant(at_us) == datetime.max.replace(tzinfo=UTC)
    assert instant(-at_us) == datetime.min.replace(tzinfo=UTC)
