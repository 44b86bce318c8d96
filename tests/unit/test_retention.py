"""What a retention says is deleted when, and which are refused when they are written down."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from durable_async import Retention, Status, ValidationError
from durable_async.model.upkeep import Expiry

DAY_US = 86_400_000_000
DONE = (Status.COMPLETED, Status.TERMINATED)
ENDED = (*DONE, Status.FAILED)


@pytest.mark.parametrize(
    ("retention", "expiries"),
    [
        (
            Retention(),
            [
                Expiry(age_us=30 * DAY_US, statuses=DONE),
                Expiry(age_us=90 * DAY_US, statuses=(Status.FAILED,)),
            ],
        ),
        (Retention.OFF, []),
        (Retention(age=None), []),
        (Retention(age=60, failed=None), [Expiry(age_us=60_000_000, statuses=DONE)]),
        (
            Retention(age=timedelta(days=400)),
            [Expiry(age_us=400 * DAY_US, statuses=ENDED)],
        ),
        (
            Retention(age=None, by_name={"ping": timedelta(days=1), "audit": None, "call": 86_400}),
            [Expiry(age_us=DAY_US, statuses=ENDED, names=("call", "ping"))],
        ),
        (
            Retention(failed=timedelta(days=30), by_name={"audit": None}),
            [Expiry(age_us=30 * DAY_US, statuses=ENDED, other_than=("audit",))],
        ),
    ],
)
def test_each_age_is_looked_for_once(retention: Retention, expiries: list[Expiry]) -> None:
    assert list(retention.expiries()) == expiries


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"age": 59}, "age: must be a minute or more, not 59"),
        ({"age": -1}, "age: must be 0 or more seconds"),
        ({"age": "30 days"}, "age: must be seconds or a timedelta"),
        ({"age": float("nan")}, "age: must be 0 or more seconds"),
        ({"failed": 0}, "failed: must be a minute or more"),
        ({"by_name": {"ping": 1}}, r"by_name\['ping'\]: must be a minute or more"),
        ({"by_name": {"": 60}}, "by_name"),
        ({"by_name": {1: 60}}, "by_name"),
        ({"by_name": [("ping", 60)]}, "by_name: must be ages by name"),
        ({"batch": 0}, "batch: must be from 1 to 10,000"),
        ({"batch": 1.5}, "batch: must be from 1 to 10,000"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Retention(**options)


def test_ages_by_name_stay_as_they_were_given() -> None:
    ages: dict[str, Any] = {"ping": 60}
    retention = Retention(by_name=ages)
    ages["audit"] = 60
    assert dict(retention.by_name) == {"ping": 60}
