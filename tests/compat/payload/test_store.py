"""What a payload store has to be, and what it is for."""

from __future__ import annotations

import pytest

import durabletask
from durabletask import payload
from durabletask.payload import LargePayloadStorageOptions, PayloadStore


def test_options_have_the_defaults_of_the_sdk() -> None:
    options = LargePayloadStorageOptions()
    assert options.threshold_bytes == 262_144
    assert options.max_stored_payload_bytes == 10_485_760
    assert options.enable_compression
    assert options == LargePayloadStorageOptions(262_144, 10_485_760, True)
    options.threshold_bytes = 5  # they are no constants


def test_a_store_has_to_do_everything() -> None:
    class Half(PayloadStore):
        def upload(self, data: bytes, *, instance_id: str | None = None) -> str:
            return ""

    with pytest.raises(TypeError, match="abstract"):
        Half()  # type: ignore[abstract]


def test_the_package_gives_the_names_that_it_tells_of() -> None:
    assert durabletask.PayloadStore is PayloadStore
    assert durabletask.LargePayloadStorageOptions is LargePayloadStorageOptions
    assert all(hasattr(payload, name) for name in payload.__all__)
