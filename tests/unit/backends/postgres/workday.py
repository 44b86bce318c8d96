"""Every verb of a worker and of a client once, so that every statement of the functions runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from durable_async.backend import Backend
from durable_async.failure import FailureDetails
from durable_async.model.history import ParentLink
from durable_async.model.policy import ReusePolicy
from durable_async.model.records import (
    Abandon,
    ActivityProgress,
    ActivityRecount,
    ActivityResult,
    Answer,
    ClaimedInstance,
    EntityFilter,
    InstanceFilter,
    NewInstance,
    NextExecution,
    Outgoing,
    Park,
    QueryOrder,
    Recount,
    Rewrite,
    TurnCommit,
    UnclaimedActivity,
    Will,
)
from durable_async.model.status import Status
from durable_async.model.upkeep import Expiry
from durable_async.testing.conformance.driver import (
    ENTITY,
    Driver,
    entity,
    entity_turn,
    letter,
    new,
    operation,
    queued,
    release,
    turn,
)

TAGS = {"customer": "c4"}


async def _expire(backend: Backend) -> None:
    old = Expiry(age_us=0, statuses=(Status.COMPLETED,), other_than=("absent",))
    for deletes in (False, True):
        found = await backend.expire(old, limit=3, deletes=deletes)
        await backend.expire(old, limit=3, after=found.place, deletes=deletes)


async def ask_as_client(backend: Backend, name: str) -> None:
    """Start, send, read and query; each request twice, for its answer must be found again."""
    await _ask_for_entities(backend, name)
    fresh = [new(f"{name}-{n}", tags=TAGS, request_id=f"{name}-start-{n}") for n in range(12)]
    letters = [letter(f"{name}-{n}", request_id=f"{name}-send-{n}") for n in range(12)]
    for _ in range(2):
        await backend.create(fresh)
        await backend.send(letters)
    await backend.create([new(f"{name}-0", reuse=ReusePolicy.REPLACE, tags=TAGS)])
    await backend.read([f"{name}-{n}" for n in range(12)], payloads=True)
    await backend.read_history(f"{name}-1", after_turn=0, bytes_max=1_000)
    for where in (
        InstanceFilter(),
        InstanceFilter(tags=TAGS),
        InstanceFilter(parent_id=f"{name}-0"),
    ):
        for order in QueryOrder:
            page = await backend.query(where, limit=5, page=None, payloads=True, order=order)
            if page.next_page is not None:
                await backend.query(
                    where, limit=5, page=page.next_page, payloads=False, order=order
                )


async def _ask_for_entities(backend: Backend, name: str) -> None:
    keys = [f"{name}-{n}" for n in range(4)]
    signals = [operation(key, request_id=f"{name}-signal-{key}") for key in keys]
    for _ in range(2):
        await backend.send(signals)
    await backend.read_entities([entity(key) for key in keys])
    await backend.read_letters(entity(keys[0]), limit=5)
    await backend.read_answers([f"{name}-answer", "never"])
    await backend.read_workers()
    await backend.read_queued(f"{name}-0")
    page = await backend.query_entities(EntityFilter(id_prefix=f"{ENTITY}@"), limit=3, page=None)
    await backend.query_entities(EntityFilter(has_state=False), limit=3, page=page.next_page)


async def work(driver: Driver) -> None:
    """Claim, commit every kind of item, and look after what was claimed."""
    await _work_on_entities(driver)
    claimed = (await driver.fetch(instances=9)).claimed
    passed_over = frozenset({("absent", "1"), (claimed[0].name, "absent")})
    anything = await driver.fetch(
        instances=1, activities=1, names=None, activity_names=None, passed_over=passed_over
    )
    claimed += anything.claimed
    await driver.commit(*(_plain_turn(one) for one in claimed[:2]))
    await _append(driver, claimed[1])
    await driver.commit(_rich_turn(claimed[0]))
    await driver.backend.send(
        [letter(claimed[0].instance_id, request_id=f"{claimed[0].instance_id}-alone")]
    )
    await driver.fetch_mail()
    await _run_activities(driver, claimed[0])
    await driver.commit(
        turn(claimed[0], _next(claimed[0], 2), cancelled=(3,), consumed=(1, 2)),
        turn(
            claimed[2], _next(claimed[2]), next_execution=NextExecution(events=b"n", version=None)
        ),
        turn(claimed[3], _next(claimed[3]), status=Status.FAILED, failure=FailureDetails("E", "m")),
        release(claimed[4].instance_id, claimed[4].mail),
        Abandon(instance_id=claimed[5].instance_id, retry_at_us=2**60),
        Park(instance_id=claimed[6].instance_id, reason="why"),
        Recount(instance_id=claimed[7].instance_id, attempts=0),
    )
    await driver.commit(
        turn(claimed[1], _next(claimed[1], 1), status=Status.COMPLETED, output=b"1")
    )
    await driver.commit(turn(claimed[8], 0), turn(claimed[9], _next(claimed[9])))
    await _leave_wills(driver, claimed[8:])
    await _clean_up(driver, claimed)


async def _append(driver: Driver, of: ClaimedInstance) -> None:
    """So often that the server plans for the last time, and once while a letter waits that ends it."""
    for later in range(10, 18):
        await driver.commit(turn(of, _next(of, later)))
    await driver.commit(turn(of, _next(of, 19), status=Status.RUNNING))
    await driver.backend.send([letter(of.instance_id, final=True)])
    await driver.commit(turn(of, _next(of, 18)))
    await driver.commit(turn(of, _next(of, 20), status=Status.RUNNING))


async def _work_on_entities(driver: Driver) -> None:
    """Those that came into being first are claimed first."""
    first, second, third = (await driver.fetch(instances=3)).claimed
    taken = tuple(mail.id for mail in first.mail)
    answer = Answer(request_id=f"{driver.fence.worker_id}-answer", answer=b"1")
    await driver.commit(
        entity_turn(first, state=b"state", consumed=taken, answers=(answer,), group=1),
        entity_turn(second, outbox=(_signal(first), operation("born in a turn")), group=1),
        entity_turn(third, state=b"", consumed=tuple(mail.id for mail in third.mail)),
    )
    await driver.fetch_mail()
    await driver.backend.send([_signal(second)])  # handed over
    await driver.fetch_mail()
    driver.backend._near.doubt()  # type: ignore[attr-defined]
    await driver.fetch_mail()
    await _start_and_take(driver)
    await driver.backend.discard_entities([third.instance_id, second.instance_id])
    await driver.commit(entity_turn(third, outbox=(operation("not born after all"),)))


async def _start_and_take(driver: Driver) -> None:
    """Take what is started, and give it back as if that had not been heard."""
    near = driver.backend._near  # type: ignore[attr-defined]
    stop = driver.backend.offer(driver.fence, _Everything())
    await driver.backend.create([new(f"{driver.fence.worker_id}-taken")])
    near.doubt()
    near._workers[driver.fence.worker_id].lost.add(-1)
    await driver.fetch_mail()
    stop()


class _Everything:
    def choose(self, instances: Sequence[NewInstance]) -> Sequence[bool]:
        return [True for _ in instances]

    def take(self, claimed: ClaimedInstance, *, is_told: bool) -> None:
        """It is given back anyway."""


async def _leave_wills(driver: Driver, of: tuple[ClaimedInstance, ...]) -> None:
    """One is parked, and one replaced."""
    will = Will(receivers=(of[0].instance_id, entity("heir")), letter=b"will")
    await driver.backend.send([operation("heir")])
    await driver.commit(*(turn(one, _next(one, 5), will=will) for one in of))
    await driver.commit(Park(instance_id=of[0].instance_id, reason="why"))
    await driver.backend.create([new(of[1].instance_id, reuse=ReusePolicy.REPLACE)])


def _signal(to: ClaimedInstance) -> Outgoing:
    return letter(to.instance_id, opens=to.name)


async def _run_activities(driver: Driver, of: ClaimedInstance) -> None:
    activities = (await driver.fetch_activities(2)).activities
    ids = [one.item_id for one in activities]
    await driver.backend.unwanted_activities("somebody", ids)
    report = letter(of.instance_id)
    await driver.commit(
        ActivityProgress(item_id=ids[0], outgoing=report, options=b"o"),
        ActivityRecount(item_id=ids[1], attempts=0),
        UnclaimedActivity(
            instance_id=of.instance_id, execution=of.execution, seq=4, outgoing=report
        ),
    )
    await driver.commit(ActivityResult(item_id=ids[0], outgoing=report))


async def _clean_up(driver: Driver, claimed: tuple[ClaimedInstance, ...]) -> None:
    backend, fence = driver.backend, driver.fence
    await driver.renew()
    await backend.read_fence(fence.worker_id)
    await backend.purge([claimed[1].instance_id])
    await _expire(backend)
    await backend.unpark([claimed[6].instance_id])
    failed = claimed[3]
    again = Rewrite(
        instance_id=failed.instance_id,
        execution=failed.execution,
        events=b"again",
        parent=None,
        mail=(b"x",),
    )
    assert await backend.rewrite([again])
    await backend.take_stock(fence, driver.fetches)


def _plain_turn(of: ClaimedInstance) -> TurnCommit:
    return turn(of, _next(of), consumed=tuple(mail.id for mail in of.mail))


def _rich_turn(of: ClaimedInstance) -> TurnCommit:
    link: Any = ParentLink(of.instance_id, of.execution, 9)
    child = f"{of.instance_id}-child"
    return turn(
        of,
        _next(of, 1),
        custom_status=b"1",
        outbox=(letter(child), letter("nobody")),
        children=(new(child, parent=link), new(of.instance_id, parent=link, refusal=b"no")),
        queued=tuple(queued(of, seq) for seq in range(1, 6)),
    )


def _next(of: ClaimedInstance, later: int = 0) -> int:
    return len(of.history) + later
