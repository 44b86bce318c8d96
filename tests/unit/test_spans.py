"""Spans of time as people type them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from durable_async.model.spans import span_of, span_text


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(0), "0s"),
        (timedelta(microseconds=1), "0.000001s"),
        (timedelta(seconds=1.5), "1.5s"),
        (timedelta(seconds=90), "90s"),
        (timedelta(minutes=90), "90m"),
        (timedelta(hours=24), "1d"),
        (timedelta(days=365), "365d"),
    ],
)
def test_a_span_is_read_as_it_is_written(span: timedelta, text: str) -> None:
    assert span_text(span) == text
    assert span_of(text) == span


@pytest.mark.parametrize(
    "text", ["", "1", "h", "-1s", "1 h", "1y", "1e3s", "999999999w", "\u0661s"]
)
def test_what_is_no_span(text: str) -> None:
    assert span_of(text) is None


def test_parts_of_a_unit() -> None:
    assert span_of("1.5h") == timedelta(minutes=90)
    assert span_of("2w") == timedelta(days=14)
