"""References: what stands in the hub's store for a payload that is kept elsewhere.

A reference is bytes that begin with a mark which neither MessagePack nor UTF-8 can contain, so that almost nothing else looks like one; what
does is escaped on its way in. Bodies (histories, letters, snapshots) are MessagePack, and their payloads are what is bytes in them: those are
replaced one by one, so that a body stays what it is and views can read it. A body that is anything else is replaced as a whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from durable_async.serialization.absent import OFFLOADED

MARK = OFFLOADED
_ESCAPED = MARK + b"as-is:"
_DIGEST_BYTES = 16

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class Reference(msgspec.Struct, frozen=True, gc=False):
    """Where a payload is, how long it is, and by what to know it again."""

    digest: str
    size: int
    token: str

    @classmethod
    def to(cls, payload: bytes, token: str, digest: str | None = None) -> Reference:
        """Return a reference to a payload that is kept under a token."""
        return cls(digest or digest_of(payload), len(payload), token)

    def encode(self) -> bytes:
        """Return what is stored in place of the payload."""
        return MARK + f"{self.digest}:{self.size}:{self.token}".encode()

    def check(self, payload: bytes) -> bytes:
        """Return the payload if it is the one that was uploaded.

        Raises:
            LookupError: It is not.
        """
        if len(payload) != self.size or digest_of(payload) != self.digest:
            raise LookupError("what is kept there is not what was uploaded")
        return payload


def digest_of(payload: bytes) -> str:
    """Return by what a payload is known again."""
    return hashlib.blake2b(payload, digest_size=_DIGEST_BYTES).hexdigest()


def is_marked(data: bytes) -> bool:
    """Tell whether bytes are a reference, or an escaped payload."""
    return data.startswith(MARK)


def escaped(payload: bytes) -> bytes:
    """Return what is stored of a payload that looks like a reference."""
    return _ESCAPED + payload


def read_mark(data: bytes) -> Reference | bytes:
    """Return the reference that marked bytes are, or the payload that was escaped, or them if they are neither."""
    if data.startswith(_ESCAPED):
        return data[len(_ESCAPED) :]
    try:
        digest, size, token = data[len(MARK) :].decode().split(":", 2)
        return Reference(digest, int(size), token)
    except ValueError:
        return data  # from before payloads were offloaded here


def tree_of(body: bytes) -> list[Any] | None:
    """Return a body as nested lists, or ``None`` if it would not come back from them byte by byte."""
    if not body or not (0x90 <= body[0] <= 0x9F or body[0] in (0xDC, 0xDD)):
        return None
    try:
        tree = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return tree if isinstance(tree, list) and _encode(tree) == body else None


def payloads_in(tree: list[Any]) -> Iterator[bytes]:
    """Yield all that is bytes in nested lists and mappings."""
    for container, key in _places(tree):
        yield container[key]


def encode_with(tree: list[Any], change: Callable[[bytes], bytes]) -> bytes:
    """Return nested lists, which are used up, as a body with each payload changed."""
    for container, key in _places(tree):
        container[key] = change(container[key])
    return _encode(tree)


def _places(tree: list[Any]) -> Iterator[tuple[Any, Any]]:
    todo: list[Any] = [tree]
    while todo:
        container = todo.pop()
        pairs = container.items() if isinstance(container, dict) else enumerate(container)
        for key, value in list(pairs):
            if isinstance(value, bytes):
                yield container, key
            elif isinstance(value, list | dict):
                todo.append(value)
