"""A letter to a worker of the sender's own process leaves no mark, and reaches it all the same, whatever answer is lost on the way."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from durable_async.backends.postgres import PostgresBackend
from durable_async.backends.postgres.near import Near
from durable_async.errors import BackendUnavailableError
from durable_async.model.records import Abandon, Mail, Will
from durable_async.model.status import Status
from durable_async.testing.conformance.driver import (
    Driver,
    bodies,
    deliver,
    entity,
    entity_turn,
    ids,
    letter,
    new,
    operation,
    release,
    turn,
)
from durable_async.testing.postgres import PostgresLab, ThrowawayPostgres
from durable_async.testing.proxy import FaultProxy

from .schemas import backend, connected

PATIENCE = 30.0

MARKS = "select count(*) from durable_async.marks m join durable_async.hubs h using (hub) where h.name = $1"
FETCHED = "select fetched from durable_async.leases l join durable_async.hubs h using (hub) where h.name = $1 and worker = $2"
LOCK = "select from durable_async.instances i join durable_async.hubs h using (hub) where h.name = $1 and i.id = $2 for update of i"
ANSWER = """
insert into durable_async.requests (hub, id, answer, answered_at_us) select hub, $2, 'delivered', 0 from durable_async.hubs where name = $1
"""
WAITING = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and application_name like 'durable_async/' || $1 || '/%'"


class Process:
    """A process with a worker that owns the entity ``a``; another one far away, and somebody who holds things up."""

    def __init__(self, dsn: str, proxy: FaultProxy, hub: str) -> None:
        self.dsn = dsn
        self.proxy = proxy
        self.hub = hub
        self.backend = backend(proxy.through(dsn), hub=hub)
        self.far = backend(dsn, hub=hub)

    async def begin(self) -> None:
        await self.backend.open()
        await self.far.open()
        self.worker = await Driver.register(self.backend, "worker")
        self.claimed = await self.worker.open("a")
        await self.worker.commit(entity_turn(self.claimed, consumed=(self.claimed.mail[0].id,)))

    async def end(self) -> None:
        await self.backend.close()
        await self.far.close()

    async def ask(self, sql: str, *values: Any) -> Any:
        async with connected(self.dsn) as connection:
            return await connection.fetchval(sql, self.hub, *values)

    async def fetched(self) -> int:
        """Return the number of the worker's last fetch that wrote something."""
        return int(await self.ask(FETCHED, "worker"))

    async def until_waiting(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while await self.ask(WAITING) < count:
                await asyncio.sleep(0.005)

    async def until_told(self) -> list[bytes]:
        """Fetch until there is something."""
        async with asyncio.timeout(PATIENCE):
            while not (mail := await self.worker.fetch_mail()):
                await asyncio.sleep(0.005)
        return bodies(mail)


@pytest.fixture
async def process(
    postgres_server: ThrowawayPostgres, proxy: FaultProxy, fresh_name: str
) -> AsyncIterator[Process]:
    one = Process(postgres_server.dsn, proxy, fresh_name)
    await one.begin()
    yield one
    await one.end()


async def by_client(process: Process) -> None:
    await deliver(process.backend, operation("a", b"1"))


async def by_sibling(process: Process) -> None:
    sibling = await Driver.register(process.backend, "sibling")
    sender = await sender_of(sibling)
    await sibling.restate(sender, outbox=(operation("a", b"1"),))


async def sender_of(driver: Driver) -> Any:
    await driver.backend.create([new("sender", name="sender")])
    [claimed] = (await driver.fetch(names=frozenset({"sender"}))).claimed
    return claimed


async def by_itself(process: Process) -> None:
    sender = await sender_of(process.worker)
    await process.worker.restate(sender, outbox=(operation("a", b"1"),))


@pytest.mark.parametrize("send", [by_client, by_sibling, by_itself])
async def test_it_is_told_without_a_mark_and_without_writing(
    process: Process, send: Callable[[Process], Awaitable[None]]
) -> None:
    await send(process)
    assert await process.ask(MARKS) == 0
    before = await process.fetched()
    assert bodies(await process.worker.fetch_mail()) == [b"1"]
    assert await process.fetched() == before
    assert await process.worker.fetch_mail() == ()


async def test_who_sends_from_elsewhere_marks(process: Process) -> None:
    await deliver(process.far, operation("a", b"1"))
    assert await process.ask(MARKS) == 1
    assert bodies(await process.worker.fetch_mail()) == [b"1"]
    assert await process.ask(MARKS) == 0


async def test_what_waits_in_the_mailbox_is_not_told_again_with_each_letter(
    process: Process,
) -> None:
    for number in range(5):
        await deliver(process.backend, operation("a", b"%d" % number))
        assert bodies(await process.worker.fetch_mail()) == [b"%d" % number]


async def test_what_was_let_go_and_claimed_again_is_told_once(process: Process) -> None:
    await deliver(process.backend, operation("a", b"1"))
    await process.worker.commit(release(entity("a")))
    work = await process.worker.fetch()
    assert [bodies(one.mail) for one in work.claimed] == [[b"1"]]
    assert work.mail == ()
    await process.worker.commit(
        entity_turn(work.claimed[0], consumed=(work.claimed[0].mail[0].id,))
    )
    assert await process.worker.fetch_mail() == ()


async def test_a_letter_that_ends_its_receiver_is_marked(process: Process) -> None:
    """Whether it was shown decides what becomes of a receiver that is given up."""
    claimed = await process.worker.start("b")
    await deliver(process.backend, letter("b", b"end", final=True), operation("a", b"1"))
    assert await process.ask(MARKS) == 1
    await process.worker.commit(Abandon(instance_id="b", retry_at_us=2**60))
    work = await process.worker.fetch()
    assert ids(work.claimed) == [claimed.instance_id]
    assert bodies(work.mail) == [b"1"]


async def test_a_commit_that_lets_others_act_marks(process: Process) -> None:
    """What comes of a child, of a will, or of a letter to whoever is free must not overtake the letter."""
    sender = await sender_of(process.worker)
    await process.backend.create([new("free", name="unregistered")])
    said = operation("a", b"1")
    for number, one in enumerate(
        (
            turn(sender, 1, outbox=(said, letter("free"))),
            turn(sender, 2, outbox=(said, operation("newborn"))),
            turn(sender, 3, outbox=(said,), children=(new("child"),)),
        ),
        start=1,
    ):
        await process.worker.commit(one)
        assert await process.ask(MARKS) == 1
        assert bodies(await process.worker.fetch_mail()) == [b"1"] * number
    will = Will(receivers=(entity("a"),), letter=b"will")
    await process.worker.commit(turn(sender, 4, will=will, outbox=(said,), status=Status.COMPLETED))
    assert await process.ask(MARKS) == 1
    assert bodies(await process.worker.fetch_mail())[-2:] == [b"1", b"will"]


# -- answers that are lost


@pytest.mark.parametrize("role", ["/client", "/commits"])
async def test_a_letter_whose_answer_is_lost_is_told(process: Process, role: str) -> None:
    send = by_client if role == "/client" else by_itself
    if role == "/commits":
        await process.backend.create([new("sender", name="sender")])
    await send_and_lose(process, send, role)
    assert await process.ask(MARKS) == 0
    assert bodies(await process.worker.fetch_mail()) == [b"1"]
    await deliver(process.backend, operation("a", b"2"))
    assert await process.ask(MARKS) == 0  # as before
    assert bodies(await process.worker.fetch_mail())[-1:] == [b"2"]


async def send_and_lose(
    process: Process, send: Callable[[Process], Awaitable[None]], role: str
) -> None:
    if role == "/commits":
        sender = await sender_of(process.worker)
        process.proxy.lose_answers(1, role)
        with pytest.raises(BackendUnavailableError):
            await process.worker.commit(turn(sender, outbox=(operation("a", b"1"),)))
    else:
        process.proxy.lose_answers(1, role)
        with pytest.raises(BackendUnavailableError):
            await send(process)


async def test_a_statement_that_outlives_its_connection_marks(process: Process) -> None:
    """It has not come to the receiver yet when the worker looks; the worker's term is another one then."""
    await process.far.create([new("@", name="in the way")])  # comes first in the order of locks
    async with connected(process.dsn) as holder:
        await holder.execute("begin")
        await holder.fetch(LOCK, process.hub, "@")
        letters = (letter("@"), operation("a", b"1"))
        sending = asyncio.create_task(deliver(process.backend, *letters))
        await process.until_waiting(1)
        process.proxy.reset("/client")
        with pytest.raises(BackendUnavailableError):
            await sending
        assert await process.worker.fetch_mail() == ()
        await holder.execute("rollback")
        assert await process.until_told() == [b"1"]


async def test_a_statement_that_has_its_receiver_already_is_waited_for(process: Process) -> None:
    """It has read the old term and not committed yet when the worker looks: that one waits for the receiver's lock."""
    async with connected(process.dsn) as holder:
        await holder.execute("begin")
        await holder.execute(ANSWER, process.hub, "send r")
        said = operation("a", b"1", request_id="r")
        sending = asyncio.create_task(deliver(process.backend, said))
        await process.until_waiting(1)
        process.proxy.reset("/client")
        with pytest.raises(BackendUnavailableError):
            await sending
        fetching = asyncio.create_task(process.worker.fetch_mail())
        await process.until_waiting(2)
        await holder.execute("rollback")
        assert bodies(await fetching) == [b"1"]


async def test_a_sender_that_leaves_early_tells_all_the_same(process: Process) -> None:
    async with connected(process.dsn) as holder:
        await holder.execute("begin")
        await holder.fetch(LOCK, process.hub, entity("a"))
        sending = asyncio.create_task(by_client(process))
        await process.until_waiting(1)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await holder.execute("rollback")
        assert await process.until_told() == [b"1"]
    assert await process.ask(MARKS) == 0
    assert process.proxy.cancels == 0


async def test_an_answer_that_comes_late_tells_of_nothing_that_was_taken(process: Process) -> None:
    """Another letter has led to the mailbox meanwhile."""
    process.proxy.hold("/client", way="down")
    sending = asyncio.create_task(by_client(process))
    async with asyncio.timeout(PATIENCE):
        while not await process.far.read_letters(entity("a"), limit=1):
            await asyncio.sleep(0.005)
    await deliver(process.far, operation("a", b"2"))
    mail = await process.worker.fetch_mail()
    assert bodies(mail) == [b"1", b"2"]
    taken = tuple(one.id for one in mail)
    await process.worker.commit(entity_turn(process.claimed, consumed=taken))
    process.proxy.release()
    await sending
    assert await process.worker.fetch_mail() == ()


async def test_a_letter_is_not_overtaken_by_one_whose_answer_is_faster(process: Process) -> None:
    sender = await sender_of(process.worker)
    await deliver(process.backend, operation("a", b"0"))
    assert bodies(await process.worker.fetch_mail()) == [b"0"]
    process.proxy.hold("/client", way="down")
    sending = asyncio.create_task(by_client(process))
    async with asyncio.timeout(PATIENCE):
        while len(await process.far.read_letters(entity("a"), limit=2)) < 2:
            await asyncio.sleep(0.005)
    await process.worker.commit(turn(sender, outbox=(operation("a", b"2"),)))
    assert bodies(await process.worker.fetch_mail()) == [b"1", b"2"]
    process.proxy.release()
    await sending
    assert await process.worker.fetch_mail() == ()


@pytest.mark.parametrize("is_repeated", [False, True])
async def test_a_fetch_that_fails_forgets_nothing(process: Process, is_repeated: bool) -> None:
    await by_client(process)
    process.proxy.lose_answers(1, "/work")
    with pytest.raises(BackendUnavailableError):
        await process.worker.fetch_mail()
    if not is_repeated:
        await process.backend.take_stock(process.worker.fence, process.worker.fetches)
    assert bodies(await process.worker.fetch_mail()) == [b"1"]


async def test_who_has_gone_is_told_nothing(process: Process) -> None:
    await process.backend.retire_worker(process.worker.fence)
    await by_client(process)
    successor = await Driver.register(process.backend, "successor")
    assert bodies((await successor.claim_one()).mail) == [b"1"]


def test_a_forked_child_has_no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Letters that it sends reach the parent by marks."""
    near = Near()
    near.add("worker")
    near.tell([("worker", 1)])
    assert near.terms() == (["worker"], [0])
    child = os.getpid() + 1
    monkeypatch.setattr(os, "getpid", lambda: child)
    assert near.terms() == (None, None)
    assert not near.has_news("worker")
    assert not near.doubt()


def test_what_was_reported_is_remembered_of_a_bounded_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("durable_async.backends.postgres.near._REPORTED_MAX", 3)
    near = Near()
    near.add("worker")
    near.report("worker", [{"key": key, "n": 10 + key} for key in (1, 2, 3, 1, 4)])
    for key in (1, 2, 3, 4):
        near.tell([("worker", key)])
    assert near.take("worker") == {1: 11, 2: 0, 3: 13, 4: 14}


# -- the law


class Lossy:
    """A connection that loses the answer to one statement."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def fetch(self, *arguments: Any) -> Any:
        await self._connection.fetch(*arguments)
        raise ConnectionResetError


class LossyBackend(PostgresBackend):
    """Loses the next answer of a link when it is told to."""

    loses = False

    async def _on(self, run: Any, name: str, values: tuple[Any, ...]) -> list[Any]:
        return await super()._on(self._lossy(run), name, values)

    async def _put(self, run: Any, name: str, values: tuple[Any, ...], told_of: Any) -> list[Any]:
        return await super()._put(self._lossy(run), name, values, told_of)

    def _lossy(self, run: Any) -> Any:
        if not self.loses:
            return run
        self.loses = False
        return lambda job: run(lambda connection: job(Lossy(connection)))


STEPS = st.lists(
    st.sampled_from(
        [
            *["near", "near", "far", "commit", "fetch", "fetch", "take", "take all"],
            *["lose near", "lose commit", "lose fetch", "let go"],
        ]
    ),
    max_size=25,
)


class Mailbox:
    """One entity, its owner, and what of its letters the owner was told."""

    def __init__(self, near: LossyBackend, far: PostgresBackend) -> None:
        self.near = near
        self.far = far
        self.told: dict[int, Mail] = {}
        self.count = 0

    async def begin(self) -> None:
        await self.near.open()
        await self.far.open()
        self.worker = await Driver.register(self.near, "worker")
        self.sibling = await Driver.register(self.near, "sibling")
        self.sender = await sender_of(self.sibling)
        self.claimed = await self.worker.open("a")
        self.hear(self.claimed.mail)

    async def end(self) -> None:
        await self.near.close()
        await self.far.close()

    def hear(self, mail: tuple[Mail, ...]) -> None:
        self.told |= {one.id: one for one in mail}

    async def check(self, mail: tuple[Mail, ...]) -> None:
        """What is told is in the mailbox, and so was told all that lies before it."""
        there = [one.id for one in await self.far.read_letters(entity("a"), limit=1_000)]
        self.hear(mail)
        assert [one.id for one in mail] == sorted(one.id for one in mail)
        assert {one.id for one in mail} <= set(there)
        last = max(self.told, default=0)
        assert [one for one in there if one <= last] == sorted(self.told)

    async def do(self, step: str) -> None:
        match step.split():
            case ["near"]:
                await deliver(self.near, self.letter())
            case ["far"]:
                await deliver(self.far, self.letter())
            case ["commit"]:
                await self.sibling.commit(self.turn())
            case ["fetch"]:
                await self.check((await self.worker.fetch()).mail)
            case ["take", *all_of_them]:
                await self.take(1_000 if all_of_them else 1)
            case ["let", "go"]:
                await self.let_go()
            case [_, what]:
                await self.lose(what)
            case _:
                raise AssertionError(step)

    def letter(self) -> Any:
        self.count += 1
        return operation("a", b"%d" % self.count)

    def turn(self) -> Any:
        self.count += 1
        return turn(self.sender, self.count, outbox=(self.letter(),))

    async def take(self, count: int) -> None:
        taken = tuple(sorted(self.told)[:count])
        await self.worker.commit(entity_turn(self.claimed, consumed=taken))
        for one in taken:
            del self.told[one]

    async def let_go(self) -> None:
        await self.worker.commit(release(entity("a"), wake_at_us=1))
        work = await self.worker.fetch()
        [self.claimed] = work.claimed
        assert [one.id for one in self.claimed.mail] >= sorted(self.told)
        await self.check(self.claimed.mail)

    async def lose(self, what: str) -> None:
        self.near.loses = True
        with pytest.raises(BackendUnavailableError):
            match what:
                case "near":
                    await deliver(self.near, self.letter())
                case "commit":
                    await self.sibling.commit(self.turn())
                case _:
                    await self.worker.fetch()
        if what == "commit":
            self.sibling.fence = await self.near.read_fence("sibling")
        if what == "fetch":
            await self.near.take_stock(self.worker.fence, self.worker.fetches)


@settings(max_examples=25)
@given(STEPS)
def test_all_are_told_in_order_whatever_is_lost(
    postgres_lab: PostgresLab, steps: list[str]
) -> None:
    async def live() -> None:
        hub = f"law{os.urandom(6).hex()}"
        box = Mailbox(LossyBackend(postgres_lab.dsn, hub=hub), backend(postgres_lab.dsn, hub=hub))
        await box.begin()
        try:
            for step in steps:
                await box.do(step)
            await box.check((await box.worker.fetch()).mail)
            there = await box.far.read_letters(entity("a"), limit=1_000)
            assert sorted(box.told) == [one.id for one in there]
        finally:
            await box.end()

    asyncio.run(live())
