"""Whatever is stored comes back byte by byte, also what looks like a reference."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from durable_async.backends.offload import MemoryPayloads
from durable_async.backends.offload.references import (
    MARK,
    Reference,
    escaped,
    is_marked,
    read_mark,
    tree_of,
)
from durable_async.backends.offload.resolving import Offloading
from durable_async.backends.offload.transfers import Transfers
from durable_async.environment import SystemEnvironment
from durable_async.model.records import Outgoing, QueuedActivity

LOOKALIKES = [
    MARK,
    MARK + b"as-is:x",
    MARK + b"0:1:x",
    Reference.to(b"p", "t").encode(),
    b"x" + MARK,
]

payloads = st.binary(max_size=60) | st.sampled_from(LOOKALIKES)
trees = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text() | payloads,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
bodies = st.lists(trees).map(msgspec.msgpack.encode) | payloads


def offloading(store: MemoryPayloads) -> Offloading:
    transfers = Transfers(store, SystemEnvironment(), seconds_max=5.0, cache_bytes=0)
    return Offloading(transfers, store.threshold_bytes)


@given(body=bodies, payload=payloads, threshold=st.integers(0, 80))
async def test_what_goes_in_comes_back(body: bytes, payload: bytes, threshold: int) -> None:
    store = MemoryPayloads(threshold)
    there = offloading(store)
    records: list[Any] = [
        Outgoing(instance_id="i", execution=None, letter=body),
        QueuedActivity(
            instance_id="i", execution=1, seq=1, attempt=1, name="a", input=payload, options=body
        ),
    ]

    stored = await there.offloaded(records)

    assert await there.resolved_each(stored) == records
    assert all(len(one) > threshold for one in store.kept.values())
    assert len(set(store.kept.values())) == len(store.kept)


@given(body=st.lists(trees).map(msgspec.msgpack.encode))
async def test_a_body_stays_a_body_without_large_payloads(body: bytes) -> None:
    there = offloading(MemoryPayloads(40))
    (stored,) = await there.offloaded([Outgoing(instance_id="i", execution=None, letter=body)])

    before, after = tree_of(body), tree_of(stored.letter)
    assert after is not None
    assert before is not None
    assert len(after) == len(before)


async def test_what_needs_nothing_is_passed_on_as_it_is() -> None:
    there = offloading(MemoryPayloads(100))
    records = [
        Outgoing(instance_id="i", execution=None, letter=msgspec.msgpack.encode([b"x" * 90]))
    ]

    assert await there.offloaded(records) is records
    assert (await there.resolved_each(records))[0] is records[0]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x01",
        b"\x91",  # a list that ends too soon
        b"\x91\xd1\x00\x01",  # a number that is written longer than it need be
        b"\x91\x01\x01",
        b"\x80",
    ],
)
def test_what_would_not_come_back_is_no_tree(body: bytes) -> None:
    assert tree_of(body) is None


def test_what_is_no_reference_is_left_alone() -> None:
    assert read_mark(MARK + b"nonsense") == MARK + b"nonsense"
    assert read_mark(MARK + b"\xff:1:t") == MARK + b"\xff:1:t"
    assert read_mark(escaped(MARK)) == MARK
    assert not is_marked(MARK[:-1])


def test_a_reference_knows_its_payload() -> None:
    reference = Reference.to(b"payload", "a:token:with:colons")

    assert read_mark(reference.encode()) == reference
    assert reference.check(b"payload") == b"payload"
    with pytest.raises(LookupError):
        reference.check(b"payloax")
