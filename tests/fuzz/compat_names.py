"""The `durabletask` names: the converter, and ids of entities. What is refused is a ``TypeError`` or a ``ValueError``, as programs expect."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from durabletask.entities import EntityInstanceId
from durabletask.serialization import DEFAULT_DATA_CONVERTER, JsonDataConverter

from . import strategies as s
from .codec import TYPES
from .target import Target

CONVERTERS = (DEFAULT_DATA_CONVERTER, JsonDataConverter())


def _probe_serialize(value: Any) -> None:
    for converter in CONVERTERS:
        text = converter.serialize(value)
        if text is not None:
            text.encode()
            again = converter.deserialize(text)
            assert converter.serialize(again) == text, "it does not come back as it went in"


def _probe_deserialize(case: tuple[bytes, Any]) -> None:
    data, into = case
    for converter in CONVERTERS:
        converter.deserialize(data.decode(errors="replace"), into)


def _probe_entity_id(text: Any) -> None:
    found = EntityInstanceId.parse(text)
    assert EntityInstanceId.parse(str(found)) == found


MARKED = [
    f'{{"__durabletask_type__": "{kind}", "value": {value}}}'.encode()
    for kind in (
        "datetime",
        "timedelta",
        "Decimal",
        "decimal",
        "set",
        "namedtuple",
        "bytes",
        "UUID",
        "x",
    )
    for value in (
        "null",
        "[]",
        '"P999999999999D"',
        '"9999-99-99"',
        "[[1],[2]]",
        "1e400",
        '"\\ud800"',
    )
]

TARGETS = (
    Target(
        name="compat-serialize",
        inputs=s.values(),
        probe=_probe_serialize,
        refusals=(TypeError, ValueError),
        examples=100,
    ),
    Target(
        name="compat-deserialize",
        inputs=st.tuples(s.json_texts() | s.one_of(MARKED), st.none() | s.one_of(TYPES)),
        probe=_probe_deserialize,
        refusals=(ValueError,),
        examples=150,
    ),
    Target(
        name="compat-entity-id",
        inputs=s.texts() | st.tuples(s.texts(), s.texts()).map(lambda two: f"@{two[0]}@{two[1]}"),
        probe=_probe_entity_id,
        refusals=(ValueError,),
        examples=100,
    ),
)
