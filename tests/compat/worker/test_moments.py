"""Orchestrator time beside naive and aware times."""

from __future__ import annotations

import copy
import json
import operator
import pickle
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, strategies as st

from durabletask._runtime.moments import Moment

naive = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1))
offsets = st.integers(-12, 12).map(lambda hours: timezone(timedelta(hours=hours)))


@given(naive, naive)
def test_beside_naive_times_it_is_a_datetime(one: datetime, other: datetime) -> None:
    moment = Moment.of(one)
    assert moment == one
    assert hash(moment) == hash(one)
    assert moment - other == one - other
    assert other - moment == other - one
    for compare in (operator.lt, operator.le, operator.gt, operator.ge):
        assert compare(moment, other) == compare(one, other)
        assert compare(other, moment) == compare(other, one)


@given(naive, naive, offsets)
def test_beside_aware_times_it_is_utc(one: datetime, other: datetime, zone: timezone) -> None:
    moment, aware = Moment.of(one), other.replace(tzinfo=zone)
    meant = one.replace(tzinfo=UTC)
    assert moment - aware == meant - aware
    assert aware - moment == aware - meant
    for compare in (operator.lt, operator.le, operator.gt, operator.ge):
        assert compare(moment, aware) == compare(meant, aware)
        assert compare(aware, moment) == compare(aware, meant)


def test_what_is_reckoned_from_it_goes_with_both_too() -> None:
    later = Moment.of(datetime(2026, 1, 1)) + timedelta(days=1)
    assert later - datetime(2026, 1, 1, tzinfo=UTC) == timedelta(days=1)
    assert later - timedelta(days=1) == datetime(2026, 1, 1)
    assert Moment.of(datetime(2026, 1, 1)).replace(tzinfo=UTC) == datetime(2026, 1, 1, tzinfo=UTC)


def test_it_travels_as_a_datetime() -> None:
    moment = Moment.of(datetime(2026, 1, 1, 2, 3, 4, 5))
    assert moment.isoformat() == "2026-01-01T02:03:04.000005"
    assert pickle.loads(pickle.dumps(moment)) == copy.deepcopy(moment) == moment
    assert json.dumps(str(moment)) == '"2026-01-01 02:03:04.000005"'
    assert f"{moment:%Y}" == "2026"


def test_what_is_no_time_is_refused_as_ever() -> None:
    with pytest.raises(TypeError):
        assert Moment.of(datetime(2026, 1, 1)) < 3  # type: ignore[operator]
