"""Pages: what no query gave out is refused, and reaches no store."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest

from durable_async.backends._rows import LAST_US, decode_page
from durable_async.backends.memory import queries
from durable_async.errors import ValidationError
from durable_async.model.records import QueryOrder


def forged(at_us: Any, instance_id: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(["created", at_us, instance_id])).decode()


def test_what_was_given_out_is_read() -> None:
    assert decode_page(forged(LAST_US, "a"), QueryOrder.CREATED) == (LAST_US, "a")


@pytest.mark.parametrize(
    ("at_us", "instance_id"), [(LAST_US + 1, "a"), (2**63 + 1, "a"), (1, "\0"), ("1", "a"), (1, 1)]
)
def test_what_no_store_could_look_for_is_refused(at_us: Any, instance_id: Any) -> None:
    with pytest.raises(ValidationError):
        decode_page(forged(at_us, instance_id), QueryOrder.CREATED)


def test_a_number_of_too_many_digits_is_refused_in_memory() -> None:
    with pytest.raises(ValidationError):
        queries._decode(f"created:{'9' * 5_000}:a", QueryOrder.CREATED)
