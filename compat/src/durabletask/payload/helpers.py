"""Large texts out of a message and back, in place.

Clients and workers do not need this: their payloads go to a `PayloadStore` below them. It is for programs that carry payloads by other ways. A message
is one of protobuf, of which the ``StringValue`` fields count, at any depth; or it is made of dicts and lists, of which the values count that are
texts. No package for protobuf is needed here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .store import PayloadStore

_STRING_VALUE = "google.protobuf.StringValue"
_REPEATED = 3


def externalize_payloads(msg: Any, store: PayloadStore, *, instance_id: str | None = None) -> None:
    """Upload the texts in a message that are larger than the store's threshold, and put their tokens in their places.

    Texts that are tokens of the store already stay as they are.

    Args:
        msg: The message; it is changed.
        store: Where large texts go.
        instance_id: The orchestration that they belong to.

    Raises:
        TypeError: The message is none.
        ValueError: A text is larger than the store takes. Those before it are uploaded by then.
    """
    for place in _places(msg):
        data = _to_upload(place.text, store)
        if data is not None:
            place.put(store.upload(data, instance_id=instance_id))


async def externalize_payloads_async(
    msg: Any, store: PayloadStore, *, instance_id: str | None = None
) -> None:
    """Do what `externalize_payloads` does, without blocking."""
    for place in _places(msg):
        data = _to_upload(place.text, store)
        if data is not None:
            place.put(await store.upload_async(data, instance_id=instance_id))


def deexternalize_payloads(msg: Any, store: PayloadStore) -> None:
    """Put the payloads in the places of their tokens.

    Args:
        msg: The message; it is changed.
        store: Where they were uploaded.

    Raises:
        TypeError: The message is none.
    """
    for place in _places(msg):
        if store.is_known_token(place.text):
            place.put(store.download(place.text).decode())


async def deexternalize_payloads_async(msg: Any, store: PayloadStore) -> None:
    """Do what `deexternalize_payloads` does, without blocking."""
    for place in _places(msg):
        if store.is_known_token(place.text):
            place.put((await store.download_async(place.text)).decode())


def refuse_too_large(size_bytes: int, store: PayloadStore) -> None:
    """Refuse a payload that is larger than a store takes.

    Raises:
        ValueError: It is.
    """
    limit = store.options.max_stored_payload_bytes
    if size_bytes > limit:
        raise ValueError(
            f"a payload of {size_bytes:,} bytes is larger than the {limit:,} bytes that the payload store takes"
        )


def _to_upload(text: str, store: PayloadStore) -> bytes | None:
    if store.is_known_token(text):
        return None
    data = text.encode()
    if len(data) <= store.options.threshold_bytes:
        return None
    refuse_too_large(len(data), store)
    return data


class _Place:
    """Where a text is: an attribute of an object, or an item of a dict or a list."""

    __slots__ = ("_holder", "_key", "text")

    def __init__(self, holder: Any, key: Any, text: str) -> None:
        self._holder = holder
        self._key = key
        self.text = text

    def put(self, text: str) -> None:
        """Put another text there."""
        if isinstance(self._holder, dict | list):
            self._holder[self._key] = text
        else:
            self._holder.value = text


def _places(message: Any) -> list[_Place]:
    if not _is_message(message):
        raise TypeError(
            f"a message of protobuf, a dict or a list was expected, not {type(message).__name__}"
        )
    places: list[_Place] = []
    todo = [message]
    while todo:
        holder = todo.pop()
        if isinstance(holder, dict | list):
            pairs = list(holder.items() if isinstance(holder, dict) else enumerate(holder))
            places += (_Place(holder, key, one) for key, one in pairs if _is_text(one))
            todo += (one for _, one in reversed(pairs) if _is_message(one))
        elif holder.DESCRIPTOR.full_name == _STRING_VALUE:
            if _is_text(holder.value):
                places.append(_Place(holder, None, holder.value))
        else:
            todo += reversed(list(_submessages(holder)))
    return places


def _submessages(message: Any) -> Iterator[Any]:
    for field in message.DESCRIPTOR.fields:
        if field.message_type is None:
            continue
        if not _is_repeated(field):
            if message.HasField(field.name):
                yield getattr(message, field.name)
            continue
        several = getattr(message, field.name)
        is_map = field.message_type.GetOptions().map_entry
        yield from filter(_is_message, several.values() if is_map else several)


def _is_repeated(field: Any) -> bool:
    told = getattr(field, "is_repeated", None)  # where it is known, asking for the label warns
    return field.label == _REPEATED if told is None else bool(told)


def _is_message(value: Any) -> bool:
    return isinstance(value, dict | list) or hasattr(value, "DESCRIPTOR")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""
