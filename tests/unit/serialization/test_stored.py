"""What is passed on is read as it is stored, where that is JSON."""

from __future__ import annotations

from typing import Any

import msgspec

from durable_async import DataConverter, JsonConverter
from durable_async.serialization.stored import stored_type


class Other(DataConverter):
    """Whose bytes nobody else can read."""

    def encode(self, value: Any, where: str) -> bytes:
        return repr(value).encode()

    def decode(self, data: bytes | None, into: Any, where: str) -> Any:
        return data


def test_json_is_passed_on_byte_for_byte_and_all_else_as_a_value() -> None:
    assert stored_type(JsonConverter()) is msgspec.Raw
    assert stored_type(Other()) is Any
