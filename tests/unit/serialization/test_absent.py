"""Whoever finds what stands for a payload is told where the payload is."""

from __future__ import annotations

from typing import Any

import pytest

from durable_async.backends.offload.references import Reference
from durable_async.errors import BackendUnavailableError, CorruptHistoryError, DecodeError
from durable_async.serialization import JsonConverter
from durable_async.serialization.absent import why_absent
from durable_async.serialization.events import (
    decode_events,
    decode_letter,
    decode_snapshot,
    unreadable,
)

REFERENCE = Reference.to(b"payload", "token").encode()


@pytest.mark.parametrize("into", [Any, int, dict[str, int]])
def test_a_reference_is_no_payload(into: Any) -> None:
    with pytest.raises(
        DecodeError, match=r"result at .*: it is kept in a payload store.* payload_store"
    ):
        JsonConverter().decode(REFERENCE, into, "result")


def test_what_is_lost_says_why() -> None:
    with pytest.raises(DecodeError, match=r"input at \$: eaten by mice"):
        JsonConverter().decode(unreadable("eaten by mice", for_now=False), str, "input")
    assert why_absent(b"{") is None


@pytest.mark.parametrize("decode", [decode_events, decode_letter, decode_snapshot])
def test_events_letters_and_snapshots_may_be_unreadable(decode: Any) -> None:
    with pytest.raises(BackendUnavailableError, match=r"^away$"):
        decode("i", unreadable("away", for_now=True))
    with pytest.raises(CorruptHistoryError, match="lost \N{PARTY POPPER}"):
        decode("i", unreadable("lost \N{PARTY POPPER}", for_now=False))
    with pytest.raises(CorruptHistoryError):
        decode("i", b"\xc1")
