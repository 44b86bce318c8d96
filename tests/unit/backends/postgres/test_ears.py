"""What one process says arrives at the others; where it does not, that is noticed."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from durable_async.backends.postgres import ears as ears_module
from durable_async.backends.postgres.address import PostgresTarget
from durable_async.backends.postgres.ears import Ears
from durable_async.testing.postgres import ThrowawayPostgres
from durable_async.testing.proxy import FaultProxy

PATIENCE = 30.0


class Listener:
    """Remembers what it was told."""

    def __init__(self, ears: Ears) -> None:
        self.work = 0
        self.changed: list[frozenset[str] | None] = []
        self._news = asyncio.Event()
        self.stop = ears.listen(self._on_work, self._on_changed)

    def _on_work(self) -> None:
        self.work += 1
        self._news.set()

    def _on_changed(self, changed: frozenset[str] | None) -> None:
        self.changed.append(changed)
        self._news.set()

    def forget(self) -> None:
        self.work = 0
        self.changed.clear()

    async def until(self, condition: Callable[[Listener], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition(self):
                self._news.clear()
                await self._news.wait()

    def ids(self) -> set[str]:
        return {one for changed in self.changed for one in changed or ()}


@asynccontextmanager
async def opened(target: PostgresTarget, **times: float) -> AsyncIterator[Ears]:
    ears = Ears(target, **times)
    await ears.open()
    try:
        yield ears
    finally:
        await ears.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def two(target: PostgresTarget, **times: float) -> AsyncIterator[tuple[Ears, Ears]]:
    async with opened(target, **times) as one, opened(target, **times) as other:
        await until(lambda: one.hears and other.hears)
        yield one, other


async def test_what_is_said_arrives_there_and_is_told_here(target: PostgresTarget) -> None:
    async with two(target) as (one, other):
        here, there = Listener(one), Listener(other)
        one.give(True, {"a", "ü"})
        assert here.work == 1
        assert here.ids() == {"a", "ü"}
        await there.until(lambda it: it.work > 0 and it.ids() == {"a", "ü"})
        one.give(False, {"b"})
        await there.until(lambda it: "b" in it.ids())
        assert there.work == 1
        one.give(False, set())
        assert (here.work, len(here.changed)) == (1, 2)


async def test_one_does_not_hear_oneself_twice(target: PostgresTarget) -> None:
    async with two(target) as (one, other):
        here, there = Listener(one), Listener(other)
        one.give(True, {"a"})
        await there.until(lambda it: it.work > 0)
        other.give(True, set())  # arrives here after one's own words
        await here.until(lambda it: it.work > 1)
        assert here.work == 2
        assert here.changed == [frozenset({"a"})]


async def test_a_burst_goes_out_together(
    target: PostgresTarget, postgres_server: ThrowawayPostgres
) -> None:
    async with two(target) as (one, other):
        there = Listener(other)
        for number in range(2_000):
            one.give(True, {f"instance-{number}"})
        await there.until(lambda it: it.work > 0 and None in it.changed)
        assert there.work <= 3


async def test_what_can_wait_is_told_here_at_once_and_there_later(target: PostgresTarget) -> None:
    async with two(target) as (one, other):
        here, there = Listener(one), Listener(other)
        one.give(False, set(), {"a"})
        assert here.ids() == {"a"}
        await there.until(lambda it: it.ids() == {"a"})
        assert (here.work, there.work) == (0, 0)


async def test_what_can_wait_goes_with_what_cannot(
    target: PostgresTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("durable_async.backends.postgres.ears._LATER_SECONDS", 1_000_000.0)
    async with two(target) as (one, other):
        there = Listener(other)
        for number in range(50):
            one.give(False, set(), {f"entity-{number}"})
            await asyncio.sleep(0)
        one.give(True, {"b"})
        await there.until(lambda it: it.work > 0)
        assert [len(ids or ()) for ids in there.changed] == [51]


async def test_who_is_nudged_hears_alone(target: PostgresTarget) -> None:
    async with two(target) as (one, other):
        here, there = Listener(one), Listener(other)
        one.nudge()
        assert (here.work, here.changed) == (1, [])
        one.give(False, {"a"})
        await there.until(lambda it: it.ids() == {"a"})
        assert there.work == 0


async def test_hubs_do_not_hear_each_other(target: PostgresTarget) -> None:
    elsewhere = PostgresTarget(target.dsn, hub=target.hub + "x")
    async with two(target) as (one, other), opened(elsewhere) as stranger:
        await until(lambda: stranger.hears)
        there, strange = Listener(other), Listener(stranger)
        one.give(True, {"a"})
        await there.until(lambda it: it.work > 0)
        stranger.give(True, {"own"})
        assert strange.ids() == {"own"}
        assert strange.work == 1


async def test_who_stopped_listening_is_told_nothing(target: PostgresTarget) -> None:
    async with opened(target) as ears:
        first, second = Listener(ears), Listener(ears)
        first.stop()
        first.stop()
        ears.give(True, set())
        assert (first.work, second.work) == (0, 1)


async def terminated(proxy: FaultProxy, dsn: str, hub: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.fetch(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1",
        f"durable_async/{hub}/ears",
    )
    await connection.close()


async def reset(proxy: FaultProxy, dsn: str, hub: str) -> None:
    assert proxy.reset(f"{hub}/ears") == 2


@pytest.mark.parametrize("breaks", [terminated, reset])
async def test_after_an_interruption_everybody_looks_and_hears_again(
    breaks: Any, target: PostgresTarget, proxy: FaultProxy, postgres_server: ThrowawayPostgres
) -> None:
    async with two(target) as (one, other):
        there = Listener(other)
        await breaks(proxy, postgres_server.dsn, target.hub)
        await there.until(lambda it: it.work > 0 and None in it.changed)  # told to look
        await until(lambda: one.hears and other.hears)
        there.forget()
        one.give(True, {"a"})
        await there.until(lambda it: "a" in it.ids())


async def test_what_is_said_during_an_interruption_is_said_after_it(
    target: PostgresTarget, proxy: FaultProxy
) -> None:
    async with two(target) as (one, other):
        there = Listener(other)
        proxy.refuse()
        proxy.reset()
        await until(lambda: not one.hears and not other.hears)
        one.give(True, {"a"})
        proxy.accept()
        await there.until(lambda it: it.work > 0 and None in it.changed)
        await until(lambda: one.hears and other.hears)


async def test_silence_is_noticed_by_the_beat(
    target: PostgresTarget, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ears_module, "_STATEMENT_SECONDS", 0.3)
    async with two(target, beat_seconds=0.05, answer_seconds=0.1) as (one, other):
        there = Listener(other)
        proxy.hold("/ears", way="down")  # half open: what is said still goes out
        await until(lambda: not other.hears)
        proxy.release()
        await until(lambda: one.hears and other.hears)
        there.forget()
        one.give(True, {"a"})
        await there.until(lambda it: "a" in it.ids())


async def test_who_hears_others_does_not_call(
    target: PostgresTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call wakes all who listen: if each of many called, they would be woken by the square of their number."""
    ears = Ears(target)
    said = [f"{'0' * 12}{text}" for text in ("?", "w", "-")] + [f"{ears._origin}?", ""]
    beats: list[str] = []

    async def say_for(seconds: float) -> None:
        beats.append(said[len(beats)])
        ears._heard(None, 0, ears._channel, beats[-1])

    monkeypatch.setattr(ears, "_say_for", say_for)
    monkeypatch.setattr(ears, "_is_alive", lambda: True)
    await ears._say_while_heard()
    assert beats == said[:4]  # its own call shows nothing that it did not ask for


async def test_words_of_a_later_release_mean_anything(
    target: PostgresTarget, postgres_server: ThrowawayPostgres
) -> None:
    async with opened(target) as ears:
        await until(lambda: ears.hears)
        there = Listener(ears)
        connection = await asyncpg.connect(postgres_server.dsn)
        await connection.execute("select pg_notify($1, '000000000000~new')", ears._channel)
        await there.until(lambda it: it.work == 1 and it.changed == [None])
        await connection.close()


async def test_where_nobody_answers_opening_does_not_fail_and_goes_on(
    target: PostgresTarget, proxy: FaultProxy
) -> None:
    proxy.refuse()
    async with opened(target) as ears:
        assert not ears.hears
        ears.give(True, {"a"})
        proxy.accept()
        await until(lambda: ears.hears)


async def test_a_session_that_hears_only_itself_is_deaf(
    target: PostgresTarget, proxy: FaultProxy, caplog: pytest.LogCaptureFixture
) -> None:
    """As behind a pooler: a notification comes along with an answer, and at no other time."""
    there_is_no_other = PostgresTarget(
        target.dsn.replace("/postgres", "/template1"), hub=target.hub, direct_dsn=target.dsn
    )
    caplog.set_level(logging.WARNING)
    async with opened(there_is_no_other, answer_seconds=0.1, deaf_seconds=0.05) as ears:
        await until(lambda: "notifications do not arrive" in caplog.text)
        assert not ears.hears
        await until(lambda: proxy.accepted > 6)  # it tries from time to time
        assert caplog.text.count("notifications do not arrive") == 1


async def test_it_opens_and_closes_again(target: PostgresTarget, proxy: FaultProxy) -> None:
    ears = Ears(target)
    await ears.close()
    for _ in range(2):
        await ears.open()
        await ears.open()
        await until(lambda: ears.hears)
        await ears.close()
        await ears.close()
        assert not ears.hears
        await until(lambda: proxy.names() == [])


async def test_last_words_are_said(target: PostgresTarget) -> None:
    async with two(target) as (one, other):
        there = Listener(other)
        one.give(True, {"the last"})
        await one.close()
        await there.until(lambda it: it.work == 1 and it.ids() == {"the last"})


async def test_closing_does_not_wait_for_a_server_that_hangs(
    target: PostgresTarget, proxy: FaultProxy
) -> None:
    async with asyncio.timeout(PATIENCE):
        async with opened(target) as ears:
            await until(lambda: ears.hears)
            proxy.hold()
            ears.give(True, {"a"})
            await asyncio.sleep(0)
        hung = Ears(target)
        await hung.open()
        await hung.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
async def test_a_forked_child_speaks_for_itself(target: PostgresTarget) -> None:
    async with two(target) as (one, other):
        there = Listener(other)

        async def live() -> None:
            assert one.hears
            one.give(True, {"from the child"})
            assert not one.hears
            await until(lambda: one.hears)
            one.give(True, {"again"})
            await one.close()

        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                asyncio.run(live())
                status = 0
            finally:
                os._exit(status)
        await there.until(lambda it: {"from the child", "again"} <= it.ids())
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert one.hears
        one.give(True, {"from the parent"})
        await there.until(lambda it: "from the parent" in it.ids())
