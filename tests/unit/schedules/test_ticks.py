"""When ticks are: against a clock that looks at every minute, and at the moments that surprise people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from itertools import islice, pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings, strategies as st

from durable_async.errors import ValidationError
from durable_async.schedules import ScheduleSpec, tick_of
from durable_async.schedules._cron import cron_ticks, zone_of
from durable_async.schedules._ticks import delay_of, run_id, ticks_after

MINUTE = timedelta(minutes=1)
DAYS = 4

# Zone, and a day around which its clock leaps, is turned back, or does something else that nobody expects.
LEAPS = [
    ("America/Sao_Paulo", "2018-11-04"),  # at midnight
    ("Pacific/Apia", "2011-12-30"),  # a day that was left out
    ("Pacific/Kwajalein", "1993-08-21"),  # another one
    ("Australia/Lord_Howe", "2026-10-04"),  # by half an hour
    ("Australia/Lord_Howe", "2026-04-05"),  # and back
    ("Antarctica/Troll", "2026-10-25"),  # by two hours
    ("Asia/Pyongyang", "2018-05-05"),  # by half an hour, for good
    ("Africa/Casablanca", "2026-02-15"),
    ("Asia/Kathmandu", "2026-01-01"),
    ("Europe/Berlin", "2100-03-28"),
    ("UTC", "2100-02-28"),
]
ZONES = sorted(name for name in available_timezones() if "/" in name)
YEARS = (1975, 2037)  # before, some clocks were off by seconds


@cache
def changed_days(zone: str, year: int) -> Sequence[str]:
    """Return the days of a year on which a zone's clock is changed."""
    days = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=number) for number in range(365)]
    offsets = [day.astimezone(ZoneInfo(zone)).utcoffset() for day in days]
    changes = zip(days, pairwise(offsets), strict=False)
    return [f"{day:%Y-%m-%d}" for day, (before, then) in changes if before != then]


@st.composite
def leaps(draw: st.DrawFn) -> tuple[str, str]:
    zone, year = draw(st.sampled_from(ZONES)), draw(st.integers(*YEARS))
    return zone, draw(st.sampled_from(changed_days(zone, year) or [f"{year}-02-28"]))


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def spec(**options: object) -> ScheduleSpec:
    return ScheduleSpec(orchestrator="any", **options)  # type: ignore[arg-type]


class Cron:
    """An expression of numbers and stars, as whoever knows only the manual would read it."""

    def __init__(self, minutes: str, hours: str, days: str, weekdays: str) -> None:
        self.text = f"{minutes} {hours} {days} * {weekdays}"
        self._minutes, self._hours = self._set(minutes, 60), self._set(hours, 24)
        self._days, self._weekdays = self._set(days, 32), self._set(weekdays, 7)
        self._both = days == "*" or weekdays == "*"
        self._is_of_the_clock = minutes.startswith("*") or hours.startswith("*")

    @staticmethod
    def _set(field: str, end: int) -> set[int]:
        if field.startswith("*"):
            return set(range(0, end, int(field[2:] or 1)))
        return {int(one) for one in field.split(",")}

    def _means(self, local: datetime) -> bool:
        of_month, of_week = local.day in self._days, (local.weekday() + 1) % 7 in self._weekdays
        is_day = of_month and of_week if self._both else of_month or of_week
        return is_day and local.hour in self._hours and local.minute in self._minutes

    def ticks(self, zone: tzinfo, after: datetime, until: datetime) -> Iterator[datetime]:
        """Look at a clock each minute, and remember the latest time that it has shown."""
        moment = after.replace(second=0, microsecond=0) - timedelta(days=1)
        latest = moment.astimezone(zone).replace(tzinfo=None)
        while moment < until:
            moment += MINUTE
            wall = moment.astimezone(zone).replace(tzinfo=None)
            if self._is_of_the_clock:
                is_tick = self._means(wall)
            else:  # also what it has leaped over, and not what it has shown
                passed = range(1, (wall - latest) // MINUTE + 1)
                is_tick = any(self._means(latest + number * MINUTE) for number in passed)
            latest = max(latest, wall)
            if is_tick and after < moment <= until:
                yield moment


def numbers(least: int, most: int) -> st.SearchStrategy[str]:
    several = st.lists(st.integers(least, most), min_size=1, max_size=3, unique=True)
    return several.map(lambda found: ",".join(map(str, found)))


minutes = numbers(0, 59) | st.just("*") | st.sampled_from(["*/7", "*/15", "*/30"])
hours = numbers(0, 4) | numbers(0, 23) | st.just("*") | st.sampled_from(["*/2", "*/5"])
crons = st.builds(Cron, minutes, hours, st.just("*") | numbers(1, 31), st.just("*") | numbers(0, 6))


@settings(max_examples=150)
@given(crons, leaps() | st.sampled_from(LEAPS), st.integers(0, DAYS * 24 * 60), st.integers(0, 59))
def test_ticks_are_those_of_a_clock_that_looks_at_every_minute(
    cron: Cron, leap: tuple[str, str], minute: int, second: int
) -> None:
    name, day = leap
    zone = zone_of(name)
    after = at(day) - timedelta(days=DAYS / 2) + minute * MINUTE + timedelta(seconds=second)
    until = after + timedelta(days=1)
    expected = list(cron.ticks(zone, after, until))
    found = cron_ticks(cron.text, zone, after)
    assert list(islice(found, len(expected))) == expected
    later = next(found, None)
    assert later is None or later > until


@given(
    st.timedeltas(timedelta(seconds=0.1), timedelta(days=4000)),
    st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),
    st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),
)
def test_intervals_go_on_from_wherever_one_looks(
    every: timedelta, anchor: datetime, after: datetime
) -> None:
    first, second = islice(ticks_after(spec(every=every), anchor, after), 2)
    assert after < first <= after + every
    assert second - first == every
    assert (first - anchor) % every == timedelta(0)
    assert next(ticks_after(spec(every=every), anchor, first)) == second


BERLIN, LORD_HOWE, APIA = "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia"


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        # Spring in Berlin: 2:00 becomes 3:00.
        ("30 2 * * *", BERLIN, "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T00:30"]),
        ("0,30 2 * * *", BERLIN, "2026-03-29T00:00", ["2026-03-29T01:00", "2026-03-30T00:00"]),
        ("0 2,3 * * *", BERLIN, "2026-03-29T00:00", ["2026-03-29T01:00", "2026-03-30T00:00"]),
        ("0 * * * *", BERLIN, "2026-03-29T00:00", ["2026-03-29T01:00", "2026-03-29T02:00"]),
        ("0 9 * * *", BERLIN, "2026-03-28T00:00", ["2026-03-28T08:00", "2026-03-29T07:00"]),
        # Autumn: 3:00 becomes 2:00.
        ("30 2 * * *", BERLIN, "2026-10-24T12:00", ["2026-10-25T00:30", "2026-10-26T01:30"]),
        ("30 2 * * *", BERLIN, "2026-10-25T01:10", ["2026-10-26T01:30"]),
        ("30 * * * *", BERLIN, "2026-10-25T00:00", ["2026-10-25T00:30", "2026-10-25T01:30"]),
        # Half an hour on an island: 2:00 becomes 2:30, and in autumn 1:30.
        ("15 2 * * *", LORD_HOWE, "2026-10-03T00:00", ["2026-10-03T15:30", "2026-10-04T15:15"]),
        ("*/20 * * * *", LORD_HOWE, "2026-10-03T15:20", ["2026-10-03T15:40", "2026-10-03T16:00"]),
        ("45 1 * * *", LORD_HOWE, "2026-04-04T00:00", ["2026-04-04T14:45", "2026-04-05T15:15"]),
        ("45 * * * *", LORD_HOWE, "2026-04-04T14:00", ["2026-04-04T14:45", "2026-04-04T15:15"]),
        # A day that an island left out: what was to be on it is once, when the next one begins.
        ("0 9 * * *", APIA, "2011-12-29T20:00", ["2011-12-30T10:00", "2011-12-30T19:00"]),
        ("0 9,10 30 * *", APIA, "2011-12-29T20:00", ["2011-12-30T10:00", "2012-01-29T19:00"]),
        ("0 */6 * * *", APIA, "2011-12-30T05:00", ["2011-12-30T10:00", "2011-12-30T16:00"]),
        # Seconds change nothing of that.
        ("0 30 2 * * *", BERLIN, "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T00:30"]),
        ("0 30 2 * * *", BERLIN, "2026-10-25T00:00", ["2026-10-25T00:30", "2026-10-26T01:30"]),
        ("*/30 59 2 * * *", BERLIN, "2026-10-25T00:59:30", ["2026-10-25T01:59"]),
        # Leap days, and the century without one.
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00", ["2028-02-29T00:00", "2032-02-29T00:00"]),
        ("0 0 29 2 *", "UTC", "2095-01-01T00:00", ["2096-02-29T00:00", "2104-02-29T00:00"]),
        ("0 9 * * *", BERLIN, "2100-07-01T00:00", ["2100-07-01T07:00"]),
        # Of the manual.
        ("0 9 * * MON-FRI", "UTC", "2026-11-27T10:00", ["2026-11-30T09:00"]),
        ("0 0 L * *", "UTC", "2026-02-01T00:00", ["2026-02-28T00:00", "2026-03-31T00:00"]),
        ("*/10 * * * * *", "UTC", "2026-02-01T00:00", ["2026-02-01T00:00:10"]),
        ("@daily", "UTC", "2026-02-01T00:00", ["2026-02-02T00:00"]),
        ("@Weekly", "UTC", "2026-11-26T00:00", ["2026-11-29T00:00"]),
    ],
)
def test_the_moments_that_surprise_people(
    cron: str, zone: str, after: str, expected: list[str]
) -> None:
    ticks = ticks_after(spec(cron=cron, time_zone=zone), at(after), at(after))
    assert list(islice(ticks, len(expected))) == [at(one) for one in expected]


def test_nothing_is_before_the_start_or_after_the_end() -> None:
    hourly = spec(every=timedelta(hours=1), start=at("2026-01-02"), end=at("2026-01-02T01:00"))
    whole = [at("2026-01-02"), at("2026-01-02T01:00")]
    assert list(ticks_after(hourly, at("2020-01-01T00:30"), at("2025-01-01"))) == whole
    assert list(ticks_after(hourly, at("2020-01-01T00:30"), whole[0])) == whole[1:]
    assert list(ticks_after(hourly, at("2020-01-01T00:30"), whole[1])) == []


@pytest.mark.parametrize("timing", [{"every": timedelta(days=1)}, {"cron": "0 0 * * *"}])
def test_the_end_of_the_calendar_is_the_end(timing: dict[str, object]) -> None:
    found = list(ticks_after(spec(**timing), at("9999-12-29"), at("9999-12-29")))
    assert found == [at("9999-12-30"), at("9999-12-31")]


@pytest.mark.parametrize(
    "cron",
    ["", "* * * *", "60 * * * *", "a b c d e", "0 0 30 2 *", "*/0 * * * *", "* * * * 8#1", "²L", "* * * * ²L", "x" * 300],
)  # fmt: skip
def test_what_is_no_expression_is_refused(cron: str) -> None:
    with pytest.raises(ValidationError, match="cron"):
        next(cron_ticks(cron, UTC, at("2026-01-01")))


@pytest.mark.parametrize(
    "name", ["Mars/Olympus", "../etc/passwd", "Europe", "", "a\0b", "x" * 300, "/etc/localtime", "\ud800"]
)  # fmt: skip
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="time_zone"):
        zone_of(name)


def test_jitter_is_the_same_for_a_tick_always_and_spread_over_ticks() -> None:
    minutely = spec(every=MINUTE, jitter=timedelta(seconds=30))
    ticks = list(islice(ticks_after(minutely, at("2026-01-01"), at("2026-01-01")), 200))
    delays = [delay_of(minutely, "a", tick) for tick in ticks]
    assert delays == [delay_of(minutely, "a", tick) for tick in ticks]
    assert all(timedelta(0) <= delay < timedelta(seconds=30) for delay in delays)
    assert len(set(delays)) > 190
    assert delay_of(minutely, "b", ticks[0]) != delays[0]


def test_a_runs_id_takes_the_schedules_as_it_is() -> None:
    assert run_id(spec(), "{tick}", at("2026-01-01T09:00")) == "{tick}:2026-01-01T09:00:00Z"


@given(
    tick=st.datetimes(timezones=st.just(UTC)),
    schedule_id=st.sampled_from(["nightly", "a/b", "2026-01-01", "{tick}"]),
    instance_id=st.sampled_from(
        ["{schedule}:{tick}", "{tick}", "{tick}-of-{schedule}", "9{tick}9"]
    ),
)
def test_a_runs_id_says_which_tick_it_is_for(
    tick: datetime, schedule_id: str, instance_id: str
) -> None:
    found = tick_of(run_id(spec(instance_id=instance_id), schedule_id, tick))
    assert found == tick
    assert found.tzinfo is UTC


@pytest.mark.parametrize("instance_id", ["order-17", "", "2026-11-26", "a:2026-13-26T09:00:00Z"])
def test_what_no_schedule_started_is_for_no_tick(instance_id: str) -> None:
    assert tick_of(instance_id) is None


def test_of_several_moments_in_an_id_the_last_one_counts() -> None:
    runs = run_id(spec(), "since 2020-01-01T00:00:00Z", at("2026-01-01T09:00"))
    assert tick_of(runs) == at("2026-01-01T09:00")
