"""A schedule claims what a sorted list would, and does not grow with what is gone."""

from __future__ import annotations

from typing import Any

from hypothesis import given, strategies as st

from durable_async.backends.memory.schedule import ANY_KIND, Schedule

NAMES = ("x", "y", "z")

keys = st.sampled_from("abcdef")
names = st.sampled_from(NAMES)
steps = st.one_of(
    st.tuples(st.just("put"), keys, st.one_of(names, st.just(ANY_KIND)), st.integers(0, 20)),
    st.tuples(st.just("remove"), keys),
    st.tuples(st.just("claim"), st.frozensets(names)),
    st.tuples(st.just("next")),
    st.tuples(st.just("pass"), st.integers(0, 5)),
)


class SortedList:
    """The same, in the plainest way."""

    def __init__(self) -> None:
        self.entries: dict[str, tuple[int, str | None]] = {}

    def claim(self, now_us: int, among: frozenset[str]) -> str | None:
        due = sorted(
            (at, key)
            for key, (at, name) in self.entries.items()
            if at <= now_us and (name is ANY_KIND or name in among)
        )
        if not due:
            return None
        del self.entries[due[0][1]]
        return due[0][1]

    def next_after(self, now_us: int) -> int | None:
        return min((at for at, _ in self.entries.values() if at > now_us), default=None)


@given(st.lists(steps, max_size=80))
def test_it_does_what_a_sorted_list_does(sequence: list[tuple[Any, ...]]) -> None:
    schedule: Schedule[str] = Schedule()
    model = SortedList()
    now_us = 0
    for verb, *arguments in sequence:
        match verb:
            case "put":
                key, name, at_us = arguments
                schedule.put(key, name, at_us)
                model.entries[key] = (at_us, name)
            case "remove":
                schedule.remove(arguments[0])
                model.entries.pop(arguments[0], None)
            case "claim":
                assert schedule.claim(now_us, arguments[0]) == model.claim(now_us, arguments[0])
            case "next":
                assert schedule.next_after(now_us) == model.next_after(now_us)
            case _:
                now_us += arguments[0]
        assert len(schedule) == len(model.entries)
        assert all(schedule.time_of(key) == at for key, (at, _) in model.entries.items())


def test_what_is_moved_to_any_kind_is_claimed_by_everybody() -> None:
    schedule: Schedule[str] = Schedule()
    schedule.put("a", "x", 3)
    schedule.put("b", "y", 2)
    assert schedule.claim(5, frozenset()) is None
    schedule.put("a", ANY_KIND, 3)
    assert schedule.claim(5, frozenset("y")) == "b"
    assert schedule.claim(5, frozenset()) == "a"
    assert schedule.claim(5, frozenset("xy")) is None


def heap_sizes(schedule: Schedule[str]) -> int:
    return len(schedule._waiting) + sum(len(heap) for heap in schedule._due.values())


def test_what_is_moved_or_removed_leaves_no_heap_of_chaff() -> None:
    schedule: Schedule[str] = Schedule()
    schedule.put("sleeper", "x", 10**12)
    for at_us in range(10_000):
        schedule.put("restless", NAMES[at_us % 3], 10**9 + at_us)
        schedule.put("brief", "x", 10**10)
        schedule.remove("brief")
        assert heap_sizes(schedule) <= 2 * len(schedule) + 64 + 2
    assert schedule.claim(10**13, frozenset(NAMES)) == "restless"
    assert schedule.claim(10**13, frozenset(NAMES)) == "sleeper"
    assert schedule.claim(10**13, frozenset(NAMES)) is None
    assert heap_sizes(schedule) == 0
