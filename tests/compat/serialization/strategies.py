"""Values of every kind that the default converter writes."""

from __future__ import annotations

import collections
from datetime import timedelta, timezone
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from hypothesis import strategies as st

MARK = "__durabletask_type__"
NAMES = ["approver", "count", "index", "value", "items", "x"]

keys = st.sampled_from([MARK, f"~{MARK}", f"~~{MARK}", f"{MARK}~", "value", "items", "a b", ""]) | (
    st.text(max_size=5)
)
json_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=10)
    | st.sampled_from(["datetime", "set", "namedtuple", "object"])
)
json_values: st.SearchStrategy[Any] = st.recursive(
    json_scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(keys, inner, max_size=4)
        | st.fixed_dictionaries({MARK: inner, "value": inner})
    ),
    max_leaves=12,
)

offsets = st.integers(-86_399, 86_399).map(lambda seconds: timezone(timedelta(seconds=seconds)))
paths = st.from_regex(r"[a-z]{1,5}(/[a-z]{1,5}){0,2}", fullmatch=True)
wide_scalars: st.SearchStrategy[Any] = (
    st.datetimes()
    | st.datetimes(timezones=offsets)
    | st.dates()
    | st.times()
    | st.times(timezones=offsets)
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.binary(max_size=10)
    | st.binary(max_size=10).map(bytearray)
    | paths.map(Path)
    | paths.map(PurePosixPath)
    | paths.map(PureWindowsPath)
)
in_sets = st.recursive(
    json_scalars | wide_scalars.filter(lambda value: not isinstance(value, bytearray)),
    lambda inner: st.frozensets(inner, max_size=3) | st.tuples(inner, inner),
    max_leaves=4,
)


def _named_tuple(names: list[str], items: list[Any]) -> Any:
    return collections.namedtuple("Drawn", names)(*items)  # noqa: PYI024


def named_tuples(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.lists(st.sampled_from(NAMES), max_size=3, unique=True)
    return names.flatmap(
        lambda drawn: st.builds(
            _named_tuple, st.just(drawn), st.lists(inner, min_size=len(drawn), max_size=len(drawn))
        )
    )


wide_values: st.SearchStrategy[Any] = st.recursive(
    json_scalars | wide_scalars | st.sets(in_sets, max_size=3) | st.frozensets(in_sets, max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3) | named_tuples(inner)
    ),
    max_leaves=10,
)
