"""How deeply a JSON text is nested, found without looking at single characters from Python."""

from __future__ import annotations

_AS_SQUARE = bytes.maketrans(b"{}", b"[]")
_NEITHER_BRACKET_NOR_QUOTE = bytes(set(range(256)) - set(b'[]{}"'))


def is_deeper_than(data: bytes, depth_max: int) -> bool:
    """Tell whether a valid JSON text has more than ``depth_max`` containers inside each other.

    Each level costs at least two bytes, and one opening bracket: most texts are done with that.
    For the others, the innermost pairs of brackets are taken away, once for each allowed level.
    """
    if len(data) <= 2 * depth_max or data.count(b"[") + data.count(b"{") <= depth_max:
        return False
    brackets = _brackets_outside_strings(data)
    for _ in range(depth_max):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)


def _brackets_outside_strings(data: bytes) -> bytes:
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    marks = data.translate(_AS_SQUARE, _NEITHER_BRACKET_NOR_QUOTE).replace(b'""', b"")
    if b'"' in marks:
        marks = b"".join(marks.split(b'"')[::2])
    return marks
