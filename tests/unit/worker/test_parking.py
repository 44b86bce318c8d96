"""The reason for parking fits every store, whatever the error said."""

from __future__ import annotations

from hypothesis import example, given, strategies as st

from durable_async.worker._parking import REASON_CHARS_MAX, park


@given(st.text(st.characters()))
@example("\0 and \ud800")
@example("x" * (REASON_CHARS_MAX + 1))
def test_any_text_becomes_storable(text: str) -> None:
    reason = park("a", 1, text).reason
    assert "\0" not in reason
    assert reason.encode().decode() == reason
    assert len(reason) <= REASON_CHARS_MAX
    if len(text) <= REASON_CHARS_MAX and "\0" not in text and text.isascii():
        assert reason == text
