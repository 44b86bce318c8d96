"""Snapshots of entities become bytes that every later release reads."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, strategies as st

from durable_async.errors import CorruptHistoryError
from durable_async.model.entities import EntityLock, EntitySnapshot, ParkedOperation
from durable_async.model.history import EntityOperation, ParentLink
from durable_async.serialization.events import decode_snapshot, encode_snapshot

ENTITY = "@counter@x"

texts = st.text(max_size=5)
numbers = st.integers(0, 2**53)
payloads = st.none() | st.binary(max_size=5)
links = st.builds(ParentLink, texts, numbers, numbers)
operations = st.builds(
    EntityOperation, texts, payloads, st.none() | links, st.none() | texts, numbers, numbers
)
snapshots = st.builds(
    EntitySnapshot,
    payloads,
    st.none() | st.builds(EntityLock, links, numbers, numbers),
    st.lists(st.builds(ParkedOperation, operations, texts, numbers), max_size=3).map(tuple),
    st.lists(operations, max_size=3).map(tuple),
)


@given(snapshots)
def test_snapshots_come_back_as_they_were(snapshot: EntitySnapshot) -> None:
    assert decode_snapshot(ENTITY, encode_snapshot(snapshot)) == snapshot


@given(snapshots)
def test_only_the_empty_one_is_no_bytes(snapshot: EntitySnapshot) -> None:
    assert (encode_snapshot(snapshot) == b"") == (snapshot == EntitySnapshot())


def test_nothing_stored_is_the_empty_one() -> None:
    assert decode_snapshot(ENTITY, None) == decode_snapshot(ENTITY, b"") == EntitySnapshot()


def test_the_bytes_stay_the_same_for_ever() -> None:
    holder = ParentLink("ann", 1, 7)
    operation = EntityOperation("add", b"1", holder, "r", 2, 3)
    snapshot = EntitySnapshot(
        b"5", EntityLock(holder, 8, 9), (ParkedOperation(operation, "died", 4),)
    )
    whole = [
        b"5",
        [["ann", 1, 7, 1], 8, 9],
        [[[60, "add", b"1", ["ann", 1, 7, 1], "r", 2, 3, None], "died", 4]],
        [],
    ]
    assert msgspec.msgpack.decode(encode_snapshot(snapshot)) == whole
    before_retries = msgspec.msgpack.encode(whole[:3])
    assert decode_snapshot(ENTITY, before_retries) == snapshot
    whole[2] = [[[60, "add", b"1", ["ann", 1, 7, 1], "r", 2, 3], "died", 4]]
    before_traces = msgspec.msgpack.encode(whole)
    assert decode_snapshot(ENTITY, before_traces) == snapshot


@pytest.mark.parametrize("data", [b"\xc1", b"{}", b"\x91\x05", b"\x91\xa1\xff"])
def test_bytes_that_are_no_snapshot_are_refused(data: bytes) -> None:
    with pytest.raises(CorruptHistoryError, match="'@counter@x' cannot be read: its snapshot"):
        decode_snapshot(ENTITY, data)
