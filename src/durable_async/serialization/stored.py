"""Stored values, for those who pass them on and do not work with them."""

from __future__ import annotations

from typing import Any

import msgspec

from .converter import DataConverter, JsonConverter


def stored_type(payloads: DataConverter) -> Any:
    """Return the type to read a value into that is shown or sent as it is: its stored bytes, where these are JSON."""
    return msgspec.Raw if isinstance(payloads, JsonConverter) else Any
