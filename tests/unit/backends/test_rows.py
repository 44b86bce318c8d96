"""What SQL stores read back, also if it is not what they wrote."""

from __future__ import annotations

import orjson
import pytest

from durable_async.backends._rows import decode_ids


def test_ids_come_back_in_their_order() -> None:
    ids = ("@n@b", "@n@a", "\U0001f600", "")
    assert decode_ids(orjson.dumps(ids).decode()) == ids


@pytest.mark.parametrize(
    "stored", ["", "[", "null", "{}", '"@n@a"', "[1]", '["a", null]', '["a"', "[" * 5_000, "\ud800"]
)
def test_what_is_no_list_of_ids_names_nobody(stored: str) -> None:
    """The letters of a will are lost with its receivers; the instance itself still ends."""
    assert decode_ids(stored) == ()
