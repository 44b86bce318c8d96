"""W3C trace context: read as the recommendation says, written so that it is read again, and derived the same everywhere."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from durable_async.telemetry import TraceParent, continue_trace, incoming_trace
from durable_async.telemetry.traceparent import passed_on, passed_on_by_operation

HEADER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
PARENT = TraceParent(0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7, 1)

parents = st.builds(
    TraceParent,
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.integers(0, 3),
)


@given(parents)
def test_what_is_written_is_read(parent: TraceParent) -> None:
    assert TraceParent.parse(str(parent)) == parent


@given(
    st.text() | st.from_regex(r"\A[0-9a-f]{2}-[0-9a-f]{30,34}-[0-9a-f]{14,18}-[0-9a-f]{1,3}.?\Z")
)
def test_whatever_comes_is_read_or_not_and_read_again(header: str) -> None:
    parent = TraceParent.parse(header)
    if parent is not None:
        assert TraceParent.parse(str(parent)) == parent
        assert parent.trace_id
        assert parent.span_id
        assert str(parent)[3:52] == header.strip(" \t")[3:52]


@pytest.mark.parametrize(
    "header",
    [
        HEADER,
        f" \t{HEADER} ",
        HEADER.replace("00-", "01-", 1),
        HEADER.replace("00-", "cc-", 1) + "-what-the-future-will-bring",
        HEADER[:-2] + "09",
    ],
)
def test_valid_headers(header: str) -> None:
    assert TraceParent.parse(header) == PARENT


@pytest.mark.parametrize(
    "header",
    [
        None,
        17,
        b"00",
        "",
        HEADER.upper(),
        HEADER + "-more",
        HEADER + "\n",
        "\N{FULLWIDTH DIGIT ZERO}" + HEADER[1:],
        HEADER.replace("00-", "ff-", 1),
        f"00-{0:032x}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{0:016x}-01",
        "01" + HEADER[2:] + "-" + "x" * 500,
        "<script>alert(1)</script>",
    ],
)
def test_invalid_headers(header: object) -> None:
    assert TraceParent.parse(header) is None


@given(parents, st.text(), st.integers(1, 9), st.integers(1, 9))
def test_places_of_a_trace_have_ids_of_their_own(
    parent: TraceParent, instance_id: str, execution: int, seq: int
) -> None:
    spans = [
        parent.execution(instance_id, execution),
        parent.turn(instance_id, execution, seq),
        parent.act(instance_id, execution, seq),
        parent.attempt(instance_id, execution, seq, 1),
        parent.attempt(instance_id, execution, seq, 2),
        parent.operation(instance_id),
        parent.sent(seq),
    ]
    assert len({span.span_id for span in spans}) == len(spans)
    assert {(span.trace_id, span.flags) for span in spans} == {(parent.trace_id, parent.flags)}
    assert all(0 < span.span_id < 2**64 for span in spans)


def test_ids_are_for_ever() -> None:
    """Two releases side by side agree on them."""
    assert f"{PARENT.execution('order-1', 1).span_id:016x}" == "be8742d475933d1f"
    assert f"{PARENT.attempt('order-1', 1, 2, 3).span_id:016x}" == "142c63bc5634b247"


def test_what_nobody_keeps_is_passed_on_as_it_came() -> None:
    unsampled = HEADER[:-2] + "00"
    assert passed_on(unsampled, "i", 1, 1) == unsampled
    assert passed_on_by_operation(unsampled, "@e@k", 0) == unsampled
    assert passed_on("", "i", 1, 1) == ""
    assert passed_on("damaged", "i", 1, 1) == "damaged"
    assert passed_on(HEADER, "i", 1, 1) == str(PARENT.act("i", 1, 1))


def test_a_trace_is_continued_inside_the_block() -> None:
    assert incoming_trace() == ""
    with continue_trace(HEADER):
        assert incoming_trace() == HEADER
        with continue_trace("nonsense"), continue_trace(None):
            assert incoming_trace() == HEADER
    assert incoming_trace() == ""
