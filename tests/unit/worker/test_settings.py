"""Settings with which no worker could work are refused when they are written down."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest

from durable_async import ConfigurationError, WorkerSettings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"claim_batch": "50"}, "claim_batch must be a whole number above 0, not '50'"),
        ({"claim_batch": 1.5}, "claim_batch must be a whole number above 0, not 1.5"),
        ({"claim_batch": 0}, "claim_batch must be a whole number above 0, not 0"),
        ({"claim_batch": 2**63}, "claim_batch must be below 2,147,483,648"),
        ({"poll_seconds": None}, "poll_seconds must be a number above 0, not None"),
        ({"poll_seconds": Decimal("sNaN")}, "poll_seconds must be a number above 0"),
        ({"poll_seconds": math.nan}, "poll_seconds must be a number above 0, not nan"),
        ({"lease_seconds": math.inf}, "lease_seconds must be below"),
        ({"lease_seconds": 10**400}, "lease_seconds must be below"),
        ({"heartbeat_seconds": 10}, "must be three heartbeats or more"),
        ({"divergence": "park"}, "divergence must be a Divergence, not 'park'"),
    ],
)
def test_what_no_worker_could_work_with(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        WorkerSettings(**settings)


def test_only_the_grace_of_what_nobody_registers_may_be_endless() -> None:
    assert WorkerSettings(unregistered_grace_seconds=math.inf)
