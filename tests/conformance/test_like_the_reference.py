"""The law above all examples: whatever is asked, the answers are those of the store in memory."""

from __future__ import annotations

import asyncio
import tempfile
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings, strategies as st

from durable_async.backend import Backend
from durable_async.backends.memory import MemoryBackend, MemoryStore
from durable_async.backends.postgres import PostgresBackend
from durable_async.backends.sqlite import SqliteBackend
from durable_async.errors import BackendError
from durable_async.failure import FailureDetails
from durable_async.model.history import ParentLink
from durable_async.model.policy import ReusePolicy
from durable_async.model.records import (
    Abandon,
    ActivityProgress,
    ActivityRecount,
    ActivityResult,
    ClaimedActivity,
    ClaimedInstance,
    CommitItem,
    Fence,
    InstanceFilter,
    Mail,
    NewInstance,
    NextExecution,
    Outgoing,
    Park,
    QueuedActivity,
    Recount,
    Release,
    Rewrite,
    TurnCommit,
)
from durable_async.model.status import Status
from durable_async.testing.conformance import ManualClock, StoreClock
from durable_async.testing.postgres import LabClock, PostgresLab

from .clocked import ClockedEnvironment

IDS = ("a", "b", "c")
SECOND_US = 1_000_000

Store = Callable[[], tuple[StoreClock, list[Backend]]]
"""Makes two processes' ways to a new store, and its clock."""

some_id = st.sampled_from(IDS)
mostly_owned = st.integers(0, 7)
some_execution = st.sampled_from([None, None, 1, 2, 3])
delay = st.sampled_from([None, 0, 5, 50])

letters = st.builds(
    partial(dict, kind="letter"),
    to=some_id,
    execution=some_execution,
    urgent=st.booleans(),
    final=st.sampled_from([False, False, False, True]),
    request=st.sampled_from([None, None, "r1", "r2"]),
)
starts = st.builds(
    partial(dict, kind="start"),
    id=some_id,
    name=st.sampled_from(["o", "o", "unregistered"]),
    reuse=st.sampled_from(ReusePolicy),
    delay=delay,
    tags=st.sampled_from([{}, {"k": "1"}, {"k": "2", "l": "1"}]),
    parent=st.sampled_from([None, "a", "b"]),
    request=st.sampled_from([None, None, "r1", "r2"]),
)
turns = st.builds(
    partial(dict, kind="turn"),
    of=mostly_owned,
    back=st.sampled_from([0, 0, 0, 0, 1]),
    status=st.sampled_from([None] * 10 + [Status.RUNNING] * 3 + [Status.FAILED, *Status]),
    custom=st.sampled_from([None, b"", b"c"]),
    consume=st.integers(0, 3),
    outbox=st.lists(letters, max_size=2),
    children=st.lists(starts, max_size=1),
    queue=st.lists(st.integers(1, 3), max_size=2),
    cancel=st.lists(st.integers(1, 3), max_size=1),
    renew=st.sampled_from([False, False, False, True]),
)
items = st.one_of(
    turns,
    turns,
    st.builds(partial(dict, kind="release"), of=mostly_owned, delay=delay, seen=st.integers(0, 3)),
    st.builds(partial(dict, kind="abandon"), of=mostly_owned, delay=st.sampled_from([0, 5, 50])),
    st.builds(partial(dict, kind="park"), of=mostly_owned),
    st.builds(partial(dict, kind="result"), index=st.integers(0, 3), to=some_id),
    st.builds(partial(dict, kind="progress"), index=st.integers(0, 3), to=some_id),
    st.builds(partial(dict, kind="recount"), of=mostly_owned, attempts=st.integers(0, 4)),
    st.builds(
        partial(dict, kind="recount activity"),
        index=st.integers(0, 3),
        attempts=st.integers(0, 4),
        returned=st.booleans(),
    ),
)
worker = st.integers(0, 1)
start_all = {
    "do": "create",
    "news": [
        {
            "id": one,
            "name": "o",
            "reuse": ReusePolicy.REJECT,
            "delay": None,
            "tags": {"k": "1"},
            "parent": None,
            "request": None,
        }
        for one in IDS
    ],
}
steps = st.one_of(
    st.builds(partial(dict, do="create"), news=st.lists(starts, min_size=1, max_size=3)),
    st.builds(partial(dict, do="send"), letters=st.lists(letters, min_size=1, max_size=3)),
    st.builds(
        partial(dict, do="fetch"),
        by=worker,
        instances=st.integers(0, 3),
        activities=st.integers(0, 2),
    ),
    st.builds(
        partial(dict, do="fetch"), by=worker, instances=st.just(3), activities=st.integers(0, 2)
    ),
    st.builds(
        partial(dict, do="lose"), by=worker, instances=st.integers(1, 3), activities=st.just(2)
    ),
    st.builds(partial(dict, do="commit"), by=worker, items=st.lists(items, max_size=5)),
    st.builds(partial(dict, do="commit"), by=worker, items=st.lists(turns, min_size=1, max_size=3)),
    st.builds(partial(dict, do="commit"), by=worker, items=st.lists(turns, min_size=1, max_size=2)),
    st.builds(partial(dict, do="wait"), seconds=st.sampled_from([1, 10, 60])),
    st.builds(partial(dict, do="take_over"), by=worker),
    st.builds(partial(dict, do="retire"), by=worker),
    st.builds(partial(dict, do="purge"), ids=st.lists(some_id, max_size=3)),
    st.builds(partial(dict, do="unpark"), ids=st.lists(some_id, max_size=3)),
    st.builds(
        partial(dict, do="rewrite"), ids=st.lists(some_id, min_size=1, max_size=2, unique=True)
    ),
)


@dataclass
class Process:
    """One worker on one store, and what it knows."""

    backend: Backend
    fence: Fence
    claims: dict[str, ClaimedInstance] = field(default_factory=dict)
    activities: list[ClaimedActivity] = field(default_factory=list)
    fetches: int = 0

    def next_fetch(self) -> int:
        self.fetches += 1
        return self.fetches


class World:
    """Two workers on one store, told what to do in words that mean the same on every store.

    Ids of letters and activities differ between stores, so that letters are spoken of by their unique bodies.
    """

    def __init__(self, clock: StoreClock, backends: Sequence[Backend]) -> None:
        self.clock = clock
        self.backends = backends
        self.processes: list[Process] = []
        self.letter_ids: dict[bytes, int] = {}
        self.turns: dict[tuple[str, int], int] = {}
        self.count = 0

    async def open(self) -> None:
        for number, backend in enumerate(self.backends):
            await backend.open()
            fence = await backend.register_worker(f"w{number}", 3000 if number else 30)
            self.processes.append(Process(backend, fence))

    def unique(self, what: str) -> bytes:
        self.count += 1
        return f"{what} {self.count}".encode()

    async def do(self, step: dict[str, Any]) -> Any:
        """Carry out a step; answer what every store must answer alike."""
        try:
            return await getattr(self, f"do_{step['do']}")(step)
        except BackendError as error:
            return type(error)

    async def do_create(self, step: dict[str, Any]) -> Any:
        return await self.backends[0].create([self.new(one) for one in step["news"]])

    async def do_send(self, step: dict[str, Any]) -> Any:
        return await self.backends[1].send([self.letter(one) for one in step["letters"]])

    async def do_fetch(self, step: dict[str, Any]) -> Any:
        process = self.processes[step["by"]]
        work = await process.backend.fetch(
            process.fence,
            number=process.next_fetch(),
            instances=step["instances"],
            activities=step["activities"],
            names=frozenset({"o"}),
            activity_names=frozenset({"x"}),
            history_bytes_max=1000,
        )
        process.claims |= {one.instance_id: one for one in work.claimed}
        process.activities += work.activities
        claimed_mail = [mail for one in work.claimed for mail in one.mail]
        self.learn([*claimed_mail, *work.mail])
        return (
            [describe(one) for one in work.claimed],
            {mail.letter for mail in work.mail},
            [(one.attempts, one.activity) for one in work.activities],
            work.next_ready_us,
        )

    async def do_lose(self, step: dict[str, Any]) -> Any:
        """Fetch, and lose the answer."""
        process = self.processes[step["by"]]
        claims, activities = dict(process.claims), list(process.activities)
        await self.do_fetch(step)
        process.claims, process.activities = claims, activities
        await process.backend.take_stock(process.fence, process.fetches)

    def learn(self, letters: Sequence[Mail]) -> None:
        self.letter_ids |= {mail.letter: mail.id for mail in letters}

    def known(self, count: int) -> tuple[int, ...]:
        """Return the ids of some letters, the same on every store."""
        return tuple(self.letter_ids[body] for body in sorted(self.letter_ids)[-count:] if count)

    async def do_commit(self, step: dict[str, Any]) -> Any:
        process = self.processes[step["by"]]
        batch = independent([item for one in step["items"] for item in self.item(process, one)])
        result = await process.backend.commit(process.fence, batch)
        process.fence = result.fence
        for item in batch:
            if isinstance(item, TurnCommit) and item.next_execution is not None:
                claim = process.claims.get(item.instance_id)
                if claim is not None and item.instance_id not in result.dropped:
                    following = msgspec.structs.replace(claim, execution=item.execution + 1)
                    process.claims[item.instance_id] = following
        return result.dropped, result.fence.seq

    async def do_wait(self, step: dict[str, Any]) -> Any:
        self.clock.advance(step["seconds"])

    async def do_take_over(self, step: dict[str, Any]) -> Any:
        process = self.processes[step["by"]]
        return await process.backend.take_over(process.fence)

    async def do_retire(self, step: dict[str, Any]) -> Any:
        process = self.processes[step["by"]]
        await process.backend.retire_worker(process.fence)
        lease_seconds = 3000 if self.count % 2 else 30
        name = self.unique("worker").decode()
        process.fence = await process.backend.register_worker(name, lease_seconds)

    async def do_purge(self, step: dict[str, Any]) -> Any:
        return sorted(await self.backends[0].purge(step["ids"]))

    async def do_unpark(self, step: dict[str, Any]) -> Any:
        return sorted(await self.backends[0].unpark(step["ids"]))

    async def do_rewrite(self, step: dict[str, Any]) -> Any:
        records = await self.backends[0].read(step["ids"], payloads=False)
        rewrites = [
            Rewrite(
                instance_id=record.instance_id,
                execution=record.execution,
                events=self.unique("rewritten"),
                parent=record.parent,
            )
            for record in records
            if record is not None
        ]
        return await self.backends[1].rewrite(rewrites)

    # -- words into records

    def new(self, one: dict[str, Any]) -> NewInstance:
        parent = None if one["parent"] is None else ParentLink(one["parent"], 1, 1)
        return NewInstance(
            instance_id=one["id"],
            name=one["name"],
            version=None,
            events=self.unique("start"),
            created_at_us=self.count,
            start_at_us=self.at(one["delay"]) or 0,
            tags=one["tags"],
            reuse=one["reuse"],
            parent=parent,
            refusal=None if parent is None else self.unique("refused"),
            request_id=one["request"],
        )

    def letter(self, one: dict[str, Any]) -> Outgoing:
        return Outgoing(
            instance_id=one["to"],
            execution=one["execution"],
            letter=self.unique("letter"),
            urgent=one["urgent"],
            final=one["final"],
            request_id=one["request"],
        )

    def at(self, seconds: int | None) -> int | None:
        return None if seconds is None else self.clock.now_us() + seconds * SECOND_US

    def item(self, process: Process, one: dict[str, Any]) -> list[CommitItem]:
        match one["kind"]:
            case "turn":
                return [self.turn(process, one)]
            case "release":
                seen = self.known(one["seen"])
                return [
                    Release(
                        instance_id=self.instance(process, one["of"]),
                        wake_at_us=self.at(one["delay"]),
                        seen=seen,
                    )
                ]
            case "abandon":
                return [
                    Abandon(
                        instance_id=self.instance(process, one["of"]),
                        retry_at_us=self.at(one["delay"]) or 0,
                    )
                ]
            case "park":
                return [Park(instance_id=self.instance(process, one["of"]), reason="parked")]
            case "recount":
                instance_id = self.instance(process, one["of"])
                return [Recount(instance_id=instance_id, attempts=one["attempts"])]
            case _:
                found = process.activities[one["index"] : one["index"] + 1]
                return [self.of_activity(claimed.item_id, one) for claimed in found]

    def of_activity(self, item_id: int, one: dict[str, Any]) -> CommitItem:
        if one["kind"] == "recount activity":
            returned = one["returned"]
            return ActivityRecount(item_id=item_id, attempts=one["attempts"], is_returned=returned)
        outgoing = Outgoing(instance_id=one["to"], execution=None, letter=self.unique("result"))
        if one["kind"] == "result":
            return ActivityResult(item_id=item_id, outgoing=outgoing)
        return ActivityProgress(item_id=item_id, outgoing=outgoing, options=self.unique("options"))

    def instance(self, process: Process, choice: int) -> str:
        """Choose among what this process claimed at some time, and now and then among all."""
        claimed = sorted(process.claims)
        return claimed[choice % len(claimed)] if claimed and choice < 6 else IDS[choice % len(IDS)]

    def turn(self, process: Process, one: dict[str, Any]) -> TurnCommit:
        instance_id = self.instance(process, one["of"])
        claim = process.claims.get(instance_id)
        execution = 1 if claim is None else claim.execution
        place = (instance_id, execution)
        number = self.turns.get(place, 0) + 1 - one["back"]
        self.turns[place] = max(number, self.turns.get(place, 0))
        taken = self.known(one["consume"])
        ended = one["status"] in (Status.COMPLETED, Status.FAILED, Status.TERMINATED)
        renewed = one["renew"] and not ended
        return TurnCommit(
            instance_id=instance_id,
            execution=execution,
            turn=max(number, 1),
            events=self.unique("turn"),
            consumed=taken,
            status=one["status"],
            output=b"out" if one["status"] is Status.COMPLETED else None,
            failure=FailureDetails("E", "m") if one["status"] is Status.FAILED else None,
            custom_status=one["custom"],
            outbox=tuple(self.letter(out) for out in one["outbox"]),
            children=tuple(self.new(child) for child in one["children"]),
            queued=tuple(
                QueuedActivity(
                    instance_id=instance_id,
                    execution=execution,
                    seq=seq,
                    attempt=1,
                    name="x",
                    input=self.unique("input"),
                )
                for seq in one["queue"]
            ),
            cancelled=tuple(one["cancel"]),
            next_execution=NextExecution(events=self.unique("renewed"), version="2")
            if renewed
            else None,
        )

    async def see(self) -> Any:
        """Answer all that clients can see."""
        backend = self.backends[0]
        records = await backend.read(IDS, payloads=True)
        histories = [
            await backend.read_history(one.instance_id, bytes_max=10_000)
            for one in records
            if one is not None
        ]
        wheres = [
            InstanceFilter(),
            InstanceFilter(tags={"k": "1"}),
            InstanceFilter(parent_id="a"),
            InstanceFilter(parked=True),
            InstanceFilter(statuses=(Status.PENDING, Status.FAILED), id_prefix="b"),
        ]
        pages = [
            (await backend.query(where, limit=2, page=None, payloads=False)).items
            for where in wheres
        ]
        counts = await backend.statistics()
        by_status = {status: count for status, count in counts.by_status.items() if count}
        letters_and_queue = (counts.letters, counts.queued_activities)
        return records, histories, pages, by_status, counts.parked, letters_and_queue


def in_order(mail: Sequence[Mail]) -> tuple[list[Any], set[Any]]:
    """Tell letters that were sent, in their order, from refusals, which come from the store and before or after them."""
    letters = [(one.execution, one.letter) for one in mail]
    refused = {one for one in letters if one[1].startswith(b"refused")}
    return [one for one in letters if one not in refused], refused


def independent(batch: list[CommitItem]) -> list[CommitItem]:
    """Let turns start only whom no other item is about, no letter before was for, and no turn before started: there no order is promised."""
    taken = {getattr(item, "instance_id", None) for item in batch}

    def alone(item: TurnCommit) -> TurnCommit:
        children: list[NewInstance] = []
        for new in item.children:
            if new.instance_id not in taken:
                taken.add(new.instance_id)
                children.append(new)
        taken.update(out.instance_id for out in item.outbox)
        return msgspec.structs.replace(item, children=tuple(children))

    kept: list[CommitItem] = []
    for item in batch:
        if isinstance(item, ActivityResult | ActivityProgress):
            taken.add(item.outgoing.instance_id)
        kept.append(alone(item) if isinstance(item, TurnCommit) else item)
    return kept


def describe(one: ClaimedInstance) -> Any:
    return (
        one.instance_id,
        one.status,
        one.execution,
        one.version,
        one.attempts,
        one.start_at_us,
        one.parent,
        one.history,
        *in_order(one.mail),
        set(one.queued),
    )


def same(step: dict[str, Any], reference: Any, answer: Any) -> bool:
    """Compare answers; letters reported before may be reported again."""
    if step["do"] == "fetch" and isinstance(reference, tuple):
        first, mail, *rest = reference
        first_too, mail_too, *rest_too = answer
        return first == first_too and mail <= mail_too and rest == rest_too
    return bool(reference == answer)


async def live(script: list[dict[str, Any]], store: Store) -> None:
    beginning = [start_all, {"do": "fetch", "by": 0, "instances": 2, "activities": 0}]
    clock = ManualClock()
    memory = MemoryStore(clock)
    reference = World(clock, [MemoryBackend(memory), MemoryBackend(memory)])
    tested = World(*store())
    try:
        await reference.open()
        await tested.open()
        for step in [*beginning, *script]:
            wanted, got = await reference.do(step), await tested.do(step)
            assert same(step, wanted, got), (step, wanted, got)
            assert await reference.see() == await tested.see(), step
    finally:
        for backend in (*reference.backends, *tested.backends):
            await backend.close()


class QuickSqlite(SqliteBackend):
    """Nobody cuts the power here, and waiting for the disk is most of the time."""

    async def open(self) -> None:
        await super().open()
        self._connections["writer"].execute("pragma synchronous = off")


@settings(max_examples=60)
@given(st.lists(steps, min_size=5, max_size=25))
def test_any_script_gives_the_answers_of_the_reference_on_sqlite(
    script: list[dict[str, Any]],
) -> None:
    def store() -> tuple[StoreClock, list[Backend]]:
        clock = ManualClock()
        environment = ClockedEnvironment(clock)
        file = Path(folder) / "h.db"
        return clock, [QuickSqlite(file, environment=environment, inline=True) for _ in range(2)]

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(live(script, store))


@settings(max_examples=30)
@given(st.lists(steps, min_size=5, max_size=25))
def test_any_script_gives_the_answers_of_the_reference_on_postgres(
    postgres_lab: PostgresLab, script: list[dict[str, Any]]
) -> None:
    def store() -> tuple[StoreClock, list[Backend]]:
        name = f"law{uuid.uuid4().hex[:12]}"
        clock = LabClock(postgres_lab, name, ManualClock().now_us())
        dsn = postgres_lab.dsn_with_clock(name)
        environment = ClockedEnvironment(clock)
        return clock, [PostgresBackend(dsn, environment=environment, hub=name) for _ in range(2)]

    asyncio.run(live(script, store))
