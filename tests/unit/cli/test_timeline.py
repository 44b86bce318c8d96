from __future__ import annotations

from hypothesis import given, strategies as st

from durable_async.cli._timeline import FOLDED_COLUMNS, Axis, Span, merged

COLUMNS = 60


@st.composite
def busy_spans(draw: st.DrawFn) -> list[Span]:
    spans, at = [], draw(st.integers(0, 10**16))
    for _ in range(draw(st.integers(1, 4))):
        begin = at + draw(st.integers(0, 10**10))
        at = begin + draw(st.integers(0, 10**7))
        spans.append(Span(begin, at))
    return spans


@given(busy=busy_spans(), data=st.data())
def test_time_never_runs_backwards_on_an_axis(busy: list[Span], data: st.DataObject) -> None:
    axis = Axis(busy, COLUMNS)
    moments = data.draw(st.lists(st.integers(busy[0].begin_us, busy[-1].end_us), max_size=20))
    columns = [axis.column(at) for at in sorted(moments)]
    assert columns == sorted(columns)
    assert all(0 <= column < COLUMNS for column in columns)


@given(busy=busy_spans())
def test_rows_are_as_wide_as_the_axis(busy: list[Span]) -> None:
    axis = Axis(busy, COLUMNS)
    whole = Span(busy[0].begin_us, busy[-1].end_us)
    edges = [span.begin_us for span in busy]
    assert len(axis.bar(whole, busy=busy)) == COLUMNS
    assert len(axis.density(edges)) == COLUMNS
    assert len(axis.marks(edges)) == COLUMNS


@given(busy=busy_spans())
def test_a_bar_is_at_work_where_somebody_works(busy: list[Span]) -> None:
    axis = Axis(busy, COLUMNS)
    bar = axis.bar(Span(busy[0].begin_us, busy[-1].end_us), busy=busy)
    for span in busy:
        assert bar[axis.column(span.begin_us)] == "█"
        assert bar[axis.column(span.end_us)] == "█"


def test_a_long_pause_is_folded_and_shown_as_waiting() -> None:
    busy = [Span(0, 1_000_000), Span(3_601_000_000, 3_602_000_000)]
    axis = Axis(busy, 28)
    assert axis.folded == [Span(1_000_000, 3_601_000_000)]
    assert axis.bar(Span(0, 3_602_000_000), busy=busy) == "█" * 11 + "░" * 7 + "█" * 10
    assert axis.column(3_601_000_000) - axis.column(1_000_000) == FOLDED_COLUMNS


def test_a_short_pause_keeps_its_proportion() -> None:
    busy = [Span(0, 4_000_000), Span(5_000_000, 10_000_000)]
    axis = Axis(busy, 20)
    assert axis.folded == []
    assert axis.bar(Span(0, 10_000_000), busy=busy) == "█████████░██████████"


def test_density_shows_every_moment_and_the_most() -> None:
    axis = Axis([Span(0, 4_000_000)], 4)
    assert axis.density([0] * 100 + [2_000_000]) == "█ ▁ "


def test_marks_leave_out_what_has_no_room() -> None:
    axis = Axis([Span(0, 10_000_000)], 20)
    assert axis.marks([0, 500_000, 5_000_000, 10_000_000]) == "0.0       5.0   10.0"


def test_a_moment_is_wide_enough() -> None:
    axis = Axis([Span(5, 5)], 10)
    assert axis.bar(Span(5, 5), busy=[Span(5, 5)]) == "█         "


def test_what_overlaps_is_one() -> None:
    spans = [Span(5, 9), Span(0, 3), Span(2, 4), Span(6, 7), Span(9, 10)]
    assert merged(spans) == [Span(0, 4), Span(5, 10)]
