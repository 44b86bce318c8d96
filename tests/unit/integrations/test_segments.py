"""Any text has a segment, and a segment has one text."""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import example, given, strategies as st

from durable_async import ValidationError
from durable_async.integrations._http.segments import segment_of, text_of

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50)


@given(texts)
@example("..")
@example("~")
@example("~YQ")
@example("a/b")
@example("\x00")
def test_a_text_comes_back(text: str) -> None:
    segment = segment_of(text)
    assert text_of(segment, "id") == text
    assert quote(segment, safe=":@!~") == segment
    assert segment not in (".", "..")
    assert urlsplit(f"http://host/a/{segment}/b").path == f"/a/{segment}/b"


@given(texts)
def test_what_people_write_themselves_is_read_as_well(text: str) -> None:
    if not text.startswith("~"):
        assert text_of(unquote(quote(text, safe="")), "id") == text


@pytest.mark.parametrize("segment", ["~", "~!", "~a", "~_w", "~a b", "~é"])
def test_what_is_marked_and_no_text_is_refused(segment: str) -> None:
    if segment == "~":
        assert text_of(segment, "id") == ""
        return
    with pytest.raises(ValidationError, match="id"):
        text_of(segment, "id")
