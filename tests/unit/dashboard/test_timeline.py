"""Histories as lanes, moments as places."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, strategies as st

from durable_async.dashboard._times import ago, duration
from durable_async.dashboard.timeline import chart_of, lanes_of
from durable_async.dashboard.timeline.axis import Axis
from durable_async.failure import FailureDetails
from durable_async.model import history as h
from durable_async.model.moments import instant

SECOND = 1_000_000
FAILURE = FailureDetails("E", "m")


def lanes(*events: h.HistoryEvent, now: int = 100, ended: int | None = None) -> list[str]:
    """Return the lanes of a history as lines, in seconds."""
    end_us = None if ended is None else ended * SECOND
    found = lanes_of("checkout", 0, events, now * SECOND, end_us)
    return [
        f"{lane.kind} {lane.label}: "
        + ", ".join(
            f"{one.look.style} {one.begin_us // SECOND}-{one.end_us // SECOND}"
            for one in lane.stretches
        )
        for lane in (found.whole, *found.lanes)
    ]


def at(second: int) -> h.TurnStarted:
    return h.TurnStarted(second * SECOND)


def test_an_activity_with_its_attempts() -> None:
    assert lanes(
        h.ExecutionStarted("checkout", None, None),
        at(1),
        h.ActivityScheduled(1, "charge", b"1"),
        at(3),
        h.ActivityFailed(1, 1, FAILURE, retry_at_us=5 * SECOND),
        at(5),
        h.ActivityRetried(1, 2),
        at(6),
        h.ActivityCompleted(1, b"1"),
        h.ExecutionCompleted(None),
        ended=6,
    ) == [
        "orchestration checkout: wait 0-1, done 1-6",
        "activity charge: failed 1-3, retry 3-5, done 5-6",
    ]


def test_what_goes_on_goes_on_until_now_and_timers_reach_ahead() -> None:
    assert lanes(
        at(1),
        h.ActivityScheduled(1, "charge", b"1"),
        h.TimerCreated(2, 61 * SECOND),
        now=10,
    ) == [
        "orchestration checkout: wait 0-1, run 1-10",
        "activity charge: run 1-10",
        "timer timer 1 min: wait 1-10, ahead 10-61",
    ]


def test_an_end_gives_up_what_was_under_way() -> None:
    assert lanes(
        at(1),
        h.ActivityScheduled(1, "charge", b"1"),
        at(2),
        h.ExecutionTerminated(),
        ended=2,
    )[1:] == ["activity charge: dropped 1-2"]


def test_events_of_one_name_share_a_lane() -> None:
    found = lanes(at(1), at(4), h.EventRaised("go", b"1"), at(9), h.EventRaised("go", b"2"))
    assert found[1:] == ["event go: wait 1-4, wait 4-9"]


def test_locks_are_held_when_the_last_is_granted() -> None:
    assert lanes(
        at(1),
        h.EntityLocksRequested(1, ("@a@b", "@a@c")),
        at(2),
        h.EntityLocked(1, "@a@b"),
        at(3),
        h.EntityLocked(1, "@a@c"),
        at(5),
        h.EntityLocksReleased(1),
    )[1:] == ["lock @a@b, @a@c: wait 1-3, held 3-5"]


def test_a_suspension_and_what_is_not_known() -> None:
    events = (at(1), h.ExecutionSuspended(), at(4), h.ExecutionResumed(), h.TimerFired(9))
    found = lanes_of("x", 0, events, 9 * SECOND, None)
    assert [(one.begin_us, one.end_us) for one in found.suspended] == [(SECOND, 4 * SECOND)]
    assert found.lanes == []


def test_long_fan_outs_are_drawn_in_parts() -> None:
    events = [at(1), *(h.ActivityScheduled(seq, "x", b"1") for seq in range(1, 251))]
    found = lanes_of("x", 0, events, 9 * SECOND, None)
    chart = chart_of(found, now_us=9 * SECOND, first=100)
    assert len(chart.rows) == 101
    assert (chart.slice.before, chart.slice.after, chart.slice.count) == (0, 200, 250)


def test_what_is_sent_is_a_moment_and_what_is_called_takes_its_time() -> None:
    events = (
        at(1),
        h.EventSent(1, "other", "approved", None),
        h.EntitySignaled(2, "@stock@a", "put", None),
        h.EntityCalled(3, "@stock@a", "take", None),
        h.ActivityScheduled(4, "count", b"1"),
        at(2),
        h.ActivityHeartbeat(4, b"7"),
        at(3),
        h.EntityCallCompleted(3, b"1"),
    )
    found = lanes_of("x", 0, events, 9 * SECOND, None)
    assert [
        (lane.kind, lane.label, lane.target, [one // SECOND for one in lane.moments_us])
        for lane in found.lanes
    ] == [
        ("event sent", "approved", "other", [1]),
        ("signal", "put", "@stock@a", [1]),
        ("call", "take", "@stock@a", []),
        ("activity", "count", "", [2]),
    ]
    assert [lane.is_open for lane in found.lanes] == [False, False, False, True]
    sent, *_ = chart_of(found, now_us=9 * SECOND).rows[1:]
    assert (sent.took, sent.bars) == ("", [])
    assert sent.said.startswith("at +1 s")


@given(st.lists(st.integers(-(2**60), 2**60), min_size=1, max_size=40))
def test_later_is_never_left_of_earlier(moments: Sequence[int]) -> None:
    axis = Axis(moments)
    places = [axis.place(one) for one in sorted(moments)]
    assert places == sorted(places)
    assert places[0] >= 0
    assert places[-1] <= 100
    ticks = [place for place, _ in axis.ticks()]
    assert ticks == sorted(ticks)
    assert len(ticks) < 60


def test_long_waits_are_folded_and_short_runs_are_not() -> None:
    wait = Axis([0, SECOND, 2 * SECOND, 3 * SECOND, 86_400 * SECOND])
    assert [piece.is_folded for piece in wait.pieces] == [False, True]
    assert wait.place(3 * SECOND) > 70
    run = Axis([0, 10_000, SECOND // 10, SECOND // 2, SECOND, 19 * SECOND // 10])
    assert [piece.is_folded for piece in run.pieces] == [False]


def test_lengths_and_moments_as_people_read_them() -> None:
    lengths = (0, 0.0021, 0.35, 1.23, 59.96, 125, 3_600, 93_784, -2)
    assert [duration(one) for one in lengths] == [
        "0 ms",
        "2.1 ms",
        "350 ms",
        "1.2 s",
        "60 s",
        "2 min 5 s",
        "1 h",
        "1 d 2 h",
        "-2 s",
    ]
    now = instant(10_000 * SECOND)
    seconds = (10_000, 9_990, 6_400, 10_070)
    assert [ago(instant(one * SECOND), now) for one in seconds] == [
        "now",
        "10 s ago",
        "1 h ago",
        "in 1 min",
    ]
