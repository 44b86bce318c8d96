"""Names for places inside a value, such as ``$.items[3].price``, and names for types."""

from __future__ import annotations

import json
from typing import Any

ROOT = "$"
ANY_MEMBER = "[*]"
_KEY_TEXT_MAX = 80


def key_step(key: str) -> str:
    """Return the part of a path that leads to the value under a key."""
    if key.isidentifier() and len(key) <= _KEY_TEXT_MAX:
        return f".{key}"
    text = key if len(key) <= _KEY_TEXT_MAX else key[:_KEY_TEXT_MAX] + "..."
    return f"[{json.dumps(text)}]"


def index_step(index: int) -> str:
    """Return the part of a path that leads to an element of a list."""
    return f"[{index}]"


def type_name(kind: Any) -> str:
    """Return the name by which a user knows a type or an annotation."""
    if isinstance(kind, type):
        hidden = kind.__module__ in {"builtins", "__main__"}
        return kind.__qualname__ if hidden else f"{kind.__module__}.{kind.__qualname__}"
    return repr(kind).replace("typing.", "")
