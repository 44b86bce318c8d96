"""Large texts out of messages and back: messages of protobuf, of which these have what matters, and plain dicts and lists."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from durabletask.payload import (
    deexternalize_payloads,
    deexternalize_payloads_async,
    externalize_payloads,
    externalize_payloads_async,
)

from .stores import MemoryStore

LARGE, OTHER = "L" * 101, "Ö" * 51


class StringValue:
    DESCRIPTOR = SimpleNamespace(full_name="google.protobuf.StringValue", fields=[])

    def __init__(self, value: str) -> None:
        self.value = value


def field(name: str, *, kind: str = "one", is_message: bool = True, has_label: bool = False) -> Any:
    options = SimpleNamespace(map_entry=kind == "map")
    message_type = SimpleNamespace(GetOptions=lambda: options) if is_message else None
    if has_label:
        label = 1 if kind == "one" else 3
        return SimpleNamespace(name=name, message_type=message_type, label=label)
    return SimpleNamespace(name=name, message_type=message_type, is_repeated=kind != "one")


class Message:
    def __init__(self, *, has_labels: bool = False, **values: Any) -> None:
        fields = [
            field(
                name,
                kind="map"
                if isinstance(value, dict)
                else "many"
                if isinstance(value, list)
                else "one",
                is_message=not isinstance(value, str),
                has_label=has_labels,
            )
            for name, value in values.items()
        ]
        self.DESCRIPTOR = SimpleNamespace(full_name="some.Message", fields=fields)
        self.__dict__.update(values)

    def HasField(self, name: str) -> bool:  # noqa: N802
        return getattr(self, name) is not None


def message(**changes: Any) -> Any:
    return Message(
        plain=LARGE,
        empty=StringValue(""),
        small=StringValue("s" * 100),
        large=StringValue(LARGE),
        unset=None,
        several=[StringValue(OTHER), Message(inner=StringValue(LARGE))],
        by_name={"a": StringValue(LARGE), "b": Message(inner=StringValue(OTHER)), "c": LARGE},
        **changes,
    )


def texts(of: Any) -> list[str]:
    return [
        of.plain,
        of.empty.value,
        of.small.value,
        of.large.value,
        of.several[0].value,
        of.several[1].inner.value,
        of.by_name["a"].value,
        of.by_name["b"].inner.value,
        of.by_name["c"],
    ]


@pytest.mark.parametrize("has_labels", [False, True])
@pytest.mark.parametrize("is_awaited", [False, True])
async def test_messages_of_protobuf(has_labels: bool, is_awaited: bool) -> None:
    store, there = MemoryStore(), message(has_labels=has_labels)
    if is_awaited:
        await externalize_payloads_async(there, store, instance_id="i")
    else:
        externalize_payloads(there, store, instance_id="i")
    tokens = [f"number:{number}" for number in range(5)]
    assert texts(there) == [LARGE, "", "s" * 100, *tokens, LARGE]
    assert store.instance_ids == ["i"] * 5
    externalize_payloads(there, store)
    assert len(store.kept) == 5, "tokens stay as they are"
    if is_awaited:
        await deexternalize_payloads_async(there, store)
    else:
        deexternalize_payloads(there, store)
    assert texts(there) == texts(message())
    assert (store.awaited == 10) is is_awaited


def test_a_message_that_is_a_text_itself() -> None:
    store, there = MemoryStore(), StringValue(LARGE)
    externalize_payloads(there, store)
    assert there.value == "number:0"


async def test_dicts_and_lists() -> None:
    store = MemoryStore()
    there = {"a": LARGE, "b": [OTHER, {"c": LARGE}, 5, None], "d": "small", "e": (LARGE,)}
    before = {**there, "b": [OTHER, {"c": LARGE}, 5, None]}
    externalize_payloads(there, store)
    assert there == {
        "a": "number:0",
        "b": ["number:1", {"c": "number:2"}, 5, None],
        "d": "small",
        "e": (LARGE,),
    }
    await deexternalize_payloads_async(there, store)
    assert there == before


@pytest.mark.parametrize("nothing", [None, 5, "text", (LARGE,), object()])
async def test_anything_else_is_no_message(nothing: Any) -> None:
    store = MemoryStore()
    with pytest.raises(TypeError, match="a message of protobuf, a dict or a list"):
        externalize_payloads(nothing, store)
    with pytest.raises(TypeError):
        await deexternalize_payloads_async(nothing, store)


async def test_what_is_larger_than_the_store_takes_is_refused() -> None:
    store = MemoryStore(max_stored_payload_bytes=200)
    with pytest.raises(ValueError, match="201 bytes is larger than the 200 bytes"):
        externalize_payloads({"a": "x" * 201}, store)
    with pytest.raises(ValueError, match="201 bytes"):
        await externalize_payloads_async(["x" * 201], store)
    assert store.kept == {}
