"""Ids and names in paths: any text, in one segment that no server, proxy or browser takes for something else.

A slash in an id is decoded too early by most servers, and ``..`` is walked by browsers before they ask. So what is not plain stands there
as ``~`` and the text's UTF-8 in the alphabet of base64 for URLs. What is plain stands there as it is, for people to read and write.
"""

from __future__ import annotations

import base64
import binascii
import re

from durable_async.errors import ValidationError

MARK = "~"
_PLAIN = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._:@!-]+")


def segment_of(text: str) -> str:
    """Return what stands for a text in a path."""
    if _PLAIN.fullmatch(text):
        return text
    return MARK + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def text_of(segment: str, field: str) -> str:
    """Return the text that a segment stands for, once it was percent-decoded; one that is not plain, and not marked, stands for itself.

    Raises:
        ValidationError: It is marked, and then it is no text.
    """
    if not segment.startswith(MARK):
        return segment
    coded = segment.removeprefix(MARK)
    try:
        return base64.b64decode(
            coded + "=" * (-len(coded) % 4), altchars=b"-_", validate=True
        ).decode()
    except (binascii.Error, ValueError):
        pass
    raise ValidationError(
        field, f"begins with {MARK!r}, and what follows is not the base64url of a text"
    )
