"""What stores hold, drawn at random: events, letters and snapshots that are well formed, whatever they say."""

from __future__ import annotations

import types
import typing
from typing import Any

import msgspec
from hypothesis import strategies as st

from durable_async.failure import FailureDetails
from durable_async.model.entities import EntityLock, EntitySnapshot, ParkedOperation
from durable_async.model.history import EntityOperation, HistoryEvent, Letter, ParentLink
from durable_async.model.policy import ReusePolicy
from durable_async.serialization.events import encode_events, encode_letter, encode_snapshot

from .strategies import TEXTS, damaged, one_of

_STORABLE = [text for text in TEXTS if not any(0xD800 <= ord(char) < 0xE000 for char in text)]
_NAMES = ["a", "go", "plain", "busy", "@counter@a", "@counter@b", "i", ""]
_PAYLOADS = [None, b"", b"null", b"1", b'"x"', b"[1", b"\xff", b"\xc1offloaded:x", b"1" * 300]
_MOMENTS = [0, 1, -1, 1_767_225_600_000_000, 2**53, 2**63 - 1, -(2**63), 2**64 - 1]

_numbers = st.one_of(st.integers(0, 4), one_of(_MOMENTS))
_texts = st.one_of(one_of(_NAMES), one_of(_STORABLE))
_payloads = one_of(_PAYLOADS)


def _by_hint(hint: Any) -> st.SearchStrategy[Any]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return st.one_of([_by_hint(kind) for kind in typing.get_args(hint)])
    if typing.get_origin(hint) is tuple:
        return st.lists(_by_hint(typing.get_args(hint)[0]), max_size=3).map(tuple)
    simple: dict[Any, st.SearchStrategy[Any]] = {
        int: _numbers,
        str: _texts,
        bytes: _payloads,
        bool: st.booleans(),
        type(None): st.none(),
        ReusePolicy: st.sampled_from(ReusePolicy),
        FailureDetails: failures(),
    }
    return simple[hint] if hint in simple else structs(hint)


def failures() -> st.SearchStrategy[FailureDetails]:
    """Failures, also with causes and facts."""
    properties = st.none() | st.dictionaries(_texts, _numbers, max_size=2)
    return st.recursive(
        st.builds(FailureDetails, _texts, _texts, _texts, st.none(), st.booleans(), properties),
        lambda inner: st.builds(FailureDetails, _texts, _texts, _texts, inner),
        max_leaves=3,
    )


def structs(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """One kind of what is stored, with any content that its fields can have."""
    hints = typing.get_type_hints(kind)
    fields = [_by_hint(hints[name]) for name in kind.__struct_fields__]
    return st.builds(kind, *fields)


_EVENTS = [structs(kind) for kind in typing.get_args(HistoryEvent)]
_LETTERS = [structs(kind) for kind in typing.get_args(Letter)]


def events() -> st.SearchStrategy[Any]:
    """One event of a history."""
    return st.one_of(_EVENTS)


def letters() -> st.SearchStrategy[Any]:
    """One letter."""
    return st.one_of(_LETTERS)


def snapshots() -> st.SearchStrategy[EntitySnapshot]:
    """An entity between turns."""
    operations = structs(EntityOperation)
    locks = st.none() | st.builds(EntityLock, structs(ParentLink), _numbers, _numbers)
    parked = st.lists(st.builds(ParkedOperation, operations, _texts, _numbers), max_size=2)
    retried = st.lists(operations, max_size=2)
    return st.builds(EntitySnapshot, _payloads, locks, parked.map(tuple), retried.map(tuple))


def _events_of_any_type() -> st.SearchStrategy[bytes]:
    """MessagePack that is an array of arrays, as events are, with the wrong things in them."""
    leaves = st.one_of(st.none(), st.booleans(), _numbers, _texts, _payloads, st.floats())
    rows = st.lists(leaves | st.lists(leaves, max_size=3), max_size=6)
    tagged = st.tuples(st.integers(0, 70), rows).map(lambda pair: [pair[0], *pair[1]])
    return st.lists(tagged, max_size=4).map(msgspec.msgpack.encode)


def event_bytes() -> st.SearchStrategy[bytes]:
    """The row of a turn, damaged."""
    sound = st.lists(events(), max_size=4).map(encode_events)
    return damaged(sound | _events_of_any_type())


def letter_bytes() -> st.SearchStrategy[bytes]:
    """A letter, damaged."""
    return damaged(letters().map(encode_letter) | _events_of_any_type())


def snapshot_bytes() -> st.SearchStrategy[bytes]:
    """A snapshot, damaged."""
    return damaged(snapshots().map(encode_snapshot) | _events_of_any_type())
