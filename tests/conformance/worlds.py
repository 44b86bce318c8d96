"""A store with two workers on it, driven by a script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from durable_async.backend import Backend
from durable_async.errors import BackendError
from durable_async.failure import FailureDetails
from durable_async.model.history import ParentLink
from durable_async.model.records import (
    NO_WILL,
    Abandon,
    ActivityProgress,
    ActivityRecount,
    ActivityResult,
    Answer,
    ClaimedActivity,
    ClaimedInstance,
    CommitItem,
    EntityFilter,
    Fence,
    InstanceFilter,
    Mail,
    NewInstance,
    NextExecution,
    Outgoing,
    Park,
    QueryOrder,
    QueuedActivity,
    Recount,
    Release,
    Rewrite,
    TurnCommit,
    Will,
)
from durable_async.model.status import Status
from durable_async.model.upkeep import Expiry
from durable_async.testing.conformance import StoreClock

from .scripts import ENTITIES, IDS, KIND, REQUESTS, Step

SECOND_US = 1_000_000


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

    Ids of letters and activities differ between stores, so that letters are spoken of by their receivers and bodies.
    """

    def __init__(self, clock: StoreClock, backends: Sequence[Backend]) -> None:
        self.clock = clock
        self.backends = backends
        self.processes: list[Process] = []
        self.letter_ids: dict[tuple[bytes, str], int] = {}
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

    async def do(self, step: Step) -> Any:
        """Carry out a step; answer what every store must answer alike."""
        try:
            return await getattr(self, f"do_{step['do']}")(step)
        except BackendError as error:
            return type(error)

    async def do_create(self, step: Step) -> Any:
        return await self.backends[0].create([self.new(one) for one in step["news"]])

    async def do_send(self, step: Step) -> Any:
        letters = [self.letter(one) for one in step["letters"]]
        return await self.backends[1].send(alike(letters, opened(letters)))

    async def do_fetch(self, step: Step) -> Any:
        process = self.processes[step["by"]]
        work = await process.backend.fetch(
            process.fence,
            number=process.next_fetch(),
            instances=step["instances"],
            activities=step["activities"],
            names=frozenset({"o", KIND}) if step["named"] else None,
            activity_names=frozenset({"x"}) if step["named"] else None,
            history_bytes_max=1000,
            passed_over=frozenset(("o", version) for version in step["over"]),
        )
        process.claims |= {one.instance_id: one for one in work.claimed}
        process.activities += work.activities
        claimed_mail = [mail for one in work.claimed for mail in one.mail]
        self.learn([*claimed_mail, *work.mail])
        return (
            [describe(one) for one in work.claimed],
            {(mail.instance_id, mail.letter) for mail in work.mail},
            [(one.attempts, one.activity) for one in work.activities],
            work.next_ready_us,
        )

    async def do_lose(self, step: Step) -> Any:
        """Fetch, and lose the answer."""
        process = self.processes[step["by"]]
        claims, activities = dict(process.claims), list(process.activities)
        await self.do_fetch(step)
        process.claims, process.activities = claims, activities
        await process.backend.take_stock(process.fence, process.fetches)

    def learn(self, letters: Sequence[Mail]) -> None:
        self.letter_ids |= {(mail.letter, mail.instance_id): mail.id for mail in letters}

    def known(self, count: int) -> tuple[int, ...]:
        """Return the ids of some letters, the same on every store."""
        return tuple(self.letter_ids[one] for one in sorted(self.letter_ids)[-count:] if count)

    async def do_commit(self, step: Step) -> Any:
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

    async def do_wait(self, step: Step) -> Any:
        self.clock.advance(step["seconds"])

    async def do_take_over(self, step: Step) -> Any:
        process = self.processes[step["by"]]
        return await process.backend.take_over(process.fence)

    async def do_retire(self, step: Step) -> Any:
        process = self.processes[step["by"]]
        await process.backend.retire_worker(process.fence)
        lease_seconds = 3000 if self.count % 2 else 30
        name = self.unique("worker").decode()
        process.fence = await process.backend.register_worker(name, lease_seconds)

    async def do_purge(self, step: Step) -> Any:
        return sorted(await self.backends[0].purge(step["ids"]))

    async def do_expire(self, step: Step) -> Any:
        expiry = Expiry(
            age_us=step["age"] * SECOND_US,
            statuses=(Status.COMPLETED, Status.FAILED, Status.TERMINATED),
            names=step["names"],
            other_than=step["other_than"],
        )
        found = await self.backends[0].expire(expiry, limit=step["limit"], deletes=step["deletes"])
        place = None if found.place is None else found.place[1]
        return sorted(found.names.items()), place, found.more

    async def do_discard(self, step: Step) -> Any:
        return sorted(await self.backends[1].discard_entities(step["ids"]))

    async def do_unpark(self, step: Step) -> Any:
        return sorted(await self.backends[0].unpark(step["ids"]))

    async def do_rewrite(self, step: Step) -> Any:
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

    def new(self, one: Step) -> NewInstance:
        parent = None if one["parent"] is None else ParentLink(one["parent"], 1, 1)
        return NewInstance(
            instance_id=one["id"],
            name=one["name"],
            version=one["version"],
            events=self.unique("start"),
            created_at_us=self.count,
            start_at_us=self.at(one["delay"]) or 0,
            tags=one["tags"],
            reuse=one["reuse"],
            parent=parent,
            refusal=None if parent is None else self.unique("refused"),
            request_id=one["request"],
        )

    def letter(self, one: Step) -> Outgoing:
        is_entity = one["to"] in ENTITIES
        return Outgoing(
            instance_id=one["to"],
            execution=None if is_entity else one["execution"],
            letter=self.unique("letter"),
            urgent=one["urgent"],
            final=one["final"] and not is_entity,
            opens=KIND if is_entity and one["opens"] else None,
            request_id=one["request"],
        )

    def at(self, seconds: int | None) -> int | None:
        return None if seconds is None else self.clock.now_us() + seconds * SECOND_US

    def item(self, process: Process, one: Step) -> list[CommitItem]:
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

    def of_activity(self, item_id: int, one: Step) -> CommitItem:
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

    def turn(self, process: Process, one: Step) -> TurnCommit:
        instance_id = self.instance(process, one["of"])
        if instance_id in ENTITIES:
            return self.entity_turn(process.claims[instance_id], one)
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
            will=self.will(one),
            answers=self.answers(one),
            group=one["group"],
        )

    def entity_turn(self, claim: ClaimedInstance, one: Step) -> TurnCommit:
        return TurnCommit(
            instance_id=claim.instance_id,
            execution=claim.execution,
            turn=1,
            events=b"",
            consumed=self.known(one["consume"]),
            outbox=tuple(self.letter(out) for out in one["outbox"]),
            children=tuple(self.new(child) for child in one["children"]),
            state=one["state"],
            answers=self.answers(one),
            group=one["group"],
        )

    def will(self, one: Step) -> Will | None:
        if one["will"] is None:
            return None
        letter = self.unique("will")
        return Will(receivers=tuple(one["will"]), letter=letter) if one["will"] else NO_WILL

    def answers(self, one: Step) -> tuple[Answer, ...]:
        return tuple(
            Answer(request_id=request, answer=self.unique("answer")) for request in one["answers"]
        )

    async def see(self) -> Any:
        """Answer all that clients can see."""
        backend = self.backends[0]
        records = await backend.read([*IDS, *ENTITIES], payloads=True)
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
            (await backend.query(where, limit=2, page=None, payloads=False, order=order)).items
            for where in wheres
            for order in QueryOrder
        ]
        counts = await backend.statistics()
        by_status = {status: count for status, count in counts.by_status.items() if count}
        numbers = (counts.entities, counts.parked, counts.letters, counts.queued_activities)
        mailboxes = [
            in_order(await backend.read_letters(one, limit=100)) for one in (*IDS, *ENTITIES)
        ]
        return (
            *(records, histories, pages, by_status, numbers, mailboxes),
            await backend.read_answers(REQUESTS),
            await self.see_entities(backend),
        )

    async def see_entities(self, backend: Backend) -> Any:
        pages = [
            await backend.query_entities(where, limit=1, page=None)
            for where in (EntityFilter(), EntityFilter(id_prefix="@e@2", has_state=True))
        ]
        return await backend.read_entities([*ENTITIES, *IDS]), pages


def in_order(mail: Sequence[Mail]) -> tuple[list[Any], set[Any]]:
    """Tell letters that were sent, in their order, from those that come from the store, before or after those of other turns."""
    letters = [(one.execution, one.letter) for one in mail]
    others = {one for one in letters if one[1].startswith((b"refused", b"will"))}
    return [one for one in letters if one not in others], others


def independent(batch: Sequence[CommitItem]) -> list[CommitItem]:
    """Leave out what depends on the order between instances, or on what a group promises to come before."""
    kept: list[CommitItem] = []
    taken = {getattr(item, "instance_id", None) for item in batch}
    outbox = [out for item in batch if isinstance(item, TurnCommit) for out in item.outbox]
    answered: set[str] = set()
    begun: set[str] = set()
    for item in batch:
        if isinstance(item, ActivityResult | ActivityProgress):
            taken.add(item.outgoing.instance_id)
        if isinstance(item, TurnCommit):
            mine = [one for one in item.answers if one.request_id not in answered]
            answered.update(one.request_id for one in mine)
            turn = msgspec.structs.replace(
                item,
                children=tuple(unmentioned(item.children, taken)),
                outbox=tuple(alike(item.outbox, opened(outbox))),
                answers=tuple(mine),
                group=0 if item.instance_id in begun else item.group,
            )
            taken.update(out.instance_id for out in item.outbox)
            kept.append(turn)
        else:
            kept.append(item)
        begun.add(getattr(item, "instance_id", ""))
    return kept


def unmentioned(children: Iterable[NewInstance], taken: set[str | None]) -> list[NewInstance]:
    """Return those whom no item is about, no letter before was for, and no turn before started."""
    kept: list[NewInstance] = []
    for new in children:
        if new.instance_id not in taken:
            taken.add(new.instance_id)
            kept.append(new)
    return kept


def opened(letters: Iterable[Outgoing]) -> set[str]:
    """Return the entities that one of these letters opens."""
    return {out.instance_id for out in letters if out.opens is not None}


def alike(letters: Iterable[Outgoing], entities: set[str]) -> list[Outgoing]:
    """Let all letters to these entities open them."""
    return [
        msgspec.structs.replace(out, opens=KIND) if out.instance_id in entities else out
        for out in letters
    ]


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
        one.state,
    )
