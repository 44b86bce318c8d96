"""Looking for what other processes wrote: often while things move, seldom while they do not."""

from __future__ import annotations

import asyncio

import pytest

from durable_async.backends.sqlite.hints import _ACTIVE_SECONDS, Hints, Watch
from durable_async.environment import SystemEnvironment


class Ticks(SystemEnvironment):
    """A monotonic clock that stands still until it is moved."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


class File:
    """The count of foreign commits, and how often it was asked for."""

    version: int | None = 1
    looks = 0

    def data_version(self) -> int | None:
        self.looks += 1
        return self.version


class Heard:
    def __init__(self, hints: Hints) -> None:
        self.works = 0
        self.changes: list[frozenset[str] | None] = []
        hints.listen(self.on_work, self.changes.append)

    def on_work(self) -> None:
        self.works += 1


async def settle() -> None:
    """Let hints that were handed to the loop arrive."""
    await asyncio.sleep(0)


def watching() -> tuple[Watch, File, Ticks, Heard]:
    hints = Hints()
    hints.open(asyncio.get_running_loop())
    file, ticks = File(), Ticks()
    return Watch(file.data_version, hints, ticks), file, ticks, Heard(hints)


def rest(watch: Watch, ticks: Ticks, seconds: float) -> int:
    """Let time pass as an idle thread does; tell how often it woke up."""
    end = ticks.now + seconds
    wakes = 0
    while ticks.now < end:
        ticks.now += watch.look()
        wakes += 1
    return wakes


async def test_the_first_look_is_no_news() -> None:
    watch, _, _, heard = watching()
    watch.look()
    await settle()
    assert (heard.works, heard.changes) == (0, [])


async def test_what_is_written_after_the_beginning_is_news() -> None:
    watch, file, _, heard = watching()
    watch.begin()
    file.version = 2
    watch.look()
    await settle()
    assert heard.works == 1


async def test_a_foreign_commit_is_a_hint_that_anything_may_have_changed() -> None:
    watch, file, ticks, heard = watching()
    ticks.now += watch.look()
    file.version = 2
    ticks.now += watch.look()
    watch.look()
    await settle()
    assert (heard.works, heard.changes) == (1, [None])


async def test_an_idle_file_is_looked_at_four_times_a_second() -> None:
    watch, _, ticks, _ = watching()
    rest(watch, ticks, 10)
    assert 39 <= rest(watch, ticks, 10) <= 41


async def test_news_make_it_look_often_again() -> None:
    watch, file, ticks, heard = watching()
    rest(watch, ticks, 10)
    file.version = 2
    ticks.now += watch.look()
    assert watch.look() <= 0.05
    await settle()
    assert heard.works == 1


async def test_ones_own_verbs_make_it_look_often_again() -> None:
    """After each verb the thread asks for its patience anew: an answer may be on its way."""
    watch, _, ticks, _ = watching()
    rest(watch, ticks, 10)
    watch.look()
    ticks.now += 0.01
    assert watch.look() <= 0.02


async def test_a_stream_of_verbs_does_not_hide_what_others_wrote() -> None:
    watch, file, ticks, heard = watching()
    watch.look()
    file.version = 2
    for _ in range(60):
        ticks.now += 0.001
        watch.look()
    await settle()
    assert heard.works == 1
    assert file.looks <= 60 * 0.001 / _ACTIVE_SECONDS + 1


async def test_a_ring_is_followed_at_once() -> None:
    watch, file, ticks, heard = watching()
    watch.rely_on_rings()
    rest(watch, ticks, 10)
    file.version = 2
    watch.ring()
    watch.look()
    await settle()
    assert heard.works == 1


async def test_where_others_ring_ones_own_verbs_make_it_look_no_more_often() -> None:
    watch, file, ticks, _ = watching()
    watch.rely_on_rings()
    rest(watch, ticks, 10)
    looks = file.looks
    for _ in range(1_000):
        ticks.now += 0.001
        watch.look()
    assert 3 <= file.looks - looks <= 5


async def test_what_came_without_a_ring_is_seen_soon() -> None:
    watch, file, ticks, heard = watching()
    watch.rely_on_rings()
    rest(watch, ticks, 10)
    file.version = 2
    rest(watch, ticks, 0.25)
    await settle()
    assert heard.works == 1


async def test_where_others_ring_a_file_that_nobody_writes_to_is_looked_at_once_a_second() -> None:
    watch, file, ticks, heard = watching()
    watch.rely_on_rings()
    rest(watch, ticks, 60)
    looks = file.looks
    rest(watch, ticks, 100)
    assert 99 <= file.looks - looks <= 101
    file.version = 2
    rest(watch, ticks, 1)
    await settle()
    assert heard.works == 1


async def test_in_a_quiet_file_ones_own_verbs_make_it_look_no_more_often() -> None:
    """A worker that has nothing to do asks for work now and then: that is no sign of others."""
    watch, file, ticks, _ = watching()
    watch.rely_on_rings()
    rest(watch, ticks, 70)
    looks = file.looks
    for _ in range(1_000):
        ticks.now += 0.01
        watch.look()
    assert 9 <= file.looks - looks <= 11


@pytest.mark.parametrize("is_news", [True, False])
async def test_a_quiet_file_is_looked_at_four_times_a_second_again_after_a_ring(
    is_news: bool,
) -> None:
    watch, file, ticks, _ = watching()
    watch.rely_on_rings()
    rest(watch, ticks, 70)
    if is_news:
        file.version = 2
    watch.ring()
    watch.look()
    looks = file.looks
    rest(watch, ticks, 10)
    assert 39 <= file.looks - looks <= 41


async def test_many_rings_become_few_looks_and_none_is_lost() -> None:
    watch, file, ticks, heard = watching()
    watch.rely_on_rings()
    rest(watch, ticks, 10)
    looks = file.looks
    for _ in range(10_000):
        ticks.now += 0.0001
        file.version = (file.version or 0) + 1
        watch.ring()
        watch.look()
    rest(watch, ticks, 0.01)
    await settle()
    assert 250 <= file.looks - looks <= 300
    assert heard.works == file.looks - looks


async def test_after_a_stream_of_rings_a_single_one_is_followed_at_once_again() -> None:
    watch, file, ticks, _ = watching()
    watch.rely_on_rings()
    for _ in range(1_000):
        ticks.now += 0.0001
        watch.ring()
        watch.look()
    rest(watch, ticks, 10)
    for _ in range(2):
        looks = file.looks
        ticks.now += 0.001
        watch.ring()
        watch.look()
        assert file.looks == looks + 1


async def test_a_file_that_cannot_be_read_is_no_news() -> None:
    watch, file, ticks, heard = watching()
    ticks.now += watch.look()
    file.version = None
    ticks.now += watch.look()
    file.version = 1
    rest(watch, ticks, 1)
    await settle()
    assert heard.works == 0


async def test_nobody_is_told_after_the_end() -> None:
    hints = Hints()
    hints.open(asyncio.get_running_loop())
    heard = Heard(hints)
    hints.give(True, {"a"})
    hints.close()
    hints.give(True, {"b"})
    await settle()
    assert (heard.works, heard.changes) == (0, [])
