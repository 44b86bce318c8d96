"""Views read what the engine wrote: each byte of a history, each place where an instance can be, each way in which a worker can be."""

from __future__ import annotations

import typing
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from durable_async.backends.postgres import PostgresBackend
from durable_async.failure import FailureDetails
from durable_async.model import history as h
from durable_async.model.entities import EntityLock, EntitySnapshot, ParkedOperation
from durable_async.model.records import Abandon, Park
from durable_async.model.status import Status
from durable_async.serialization.events import encode_events, encode_letter, encode_snapshot
from durable_async.testing.conformance.driver import (
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
from durable_async.testing.postgres import PostgresLab

from .schemas import backend, connected, opened

SECOND_US = 1_000_000
FAILURE = FailureDetails("builtins.ValueError", "no")

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(-1e15, 1e15, allow_subnormal=False)
    | st.text(max_size=80)
    | st.binary(max_size=400),
    lambda inner: (
        st.lists(inner, max_size=20)
        | st.dictionaries(
            st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40), inner
        )
    ),
    max_leaves=40,
)


@pytest.fixture(scope="module")
def owner(postgres_lab: PostgresLab) -> Iterator[Any]:
    connection: Any = postgres_lab.call(asyncpg.connect(postgres_lab.owner_dsn))
    yield connection
    postgres_lab.call(connection.close())


def ask(lab: PostgresLab, connection: Any, sql: str, *arguments: Any) -> Any:
    return lab.call(connection.fetchval(sql, *arguments))


def shown(value: Any, *, payloads: bool) -> Any:
    """Return a value as JSON shows it."""
    match value:
        case bytes():
            return readable(value) if payloads else None
        case str() if "\0" in value:
            return readable(value.encode())
        case list():
            return [shown(one, payloads=payloads) for one in value]
        case dict():
            return {key: shown(one, payloads=payloads) for key, one in value.items()}
        case _:
            return value


def readable(data: bytes) -> str:
    if b"\0" not in data:
        try:
            return data.decode()
        except UnicodeDecodeError:
            pass
    return "".join(
        "\\\\" if byte == 92 else f"\\{byte:03o}" if byte == 0 or byte > 127 else chr(byte)
        for byte in data
    )


class TestBytes:
    @given(turn_events=st.lists(values, max_size=30), payloads=st.booleans())
    @settings(max_examples=60)
    def test_what_msgspec_wrote_is_read(
        self, postgres_lab: PostgresLab, owner: Any, turn_events: list[Any], payloads: bool
    ) -> None:
        data = msgspec.msgpack.encode(turn_events)
        sql = (
            "select coalesce(jsonb_agg(e.event order by e.place), '[]')::text"
            " from durable_async.events_of($1, $2) e"
        )
        answer = ask(postgres_lab, owner, sql, data, payloads)
        assert msgspec.json.decode(answer) == shown(turn_events, payloads=payloads)

    @pytest.mark.parametrize("number", [1.7e308, -1.7e308, 5.5e200, 2.3e-308, 0.1, -0.0])
    def test_floats_at_the_edges(
        self, postgres_lab: PostgresLab, owner: Any, number: float
    ) -> None:
        sql = "select event::text from durable_async.events_of($1, true)"
        answer = ask(postgres_lab, owner, sql, msgspec.msgpack.encode([number]))
        assert float(answer) == number

    @pytest.mark.parametrize("size", [15, 16, 31, 32, 255, 256, 65_535, 65_536])
    def test_sizes_at_the_edges(self, postgres_lab: PostgresLab, owner: Any, size: int) -> None:
        data = msgspec.msgpack.encode([["x" * size, b"y" * size, size, -size]])
        sql = "select event::text from durable_async.events_of($1, true)"
        answer = ask(postgres_lab, owner, sql, data)
        assert msgspec.json.decode(answer) == ["x" * size, "y" * size, size, -size]

    def test_a_turn_may_hold_many_events(self, postgres_lab: PostgresLab, owner: Any) -> None:
        data = encode_events([h.TimerFired(seq) for seq in range(70_000)])
        sql = "select count(*) from durable_async.events_of($1, false)"
        assert ask(postgres_lab, owner, sql, data) == 70_000

    def test_every_event_is_named(self, postgres_lab: PostgresLab, owner: Any) -> None:
        sql = "select jsonb_object_agg(tag, jsonb_build_array(kind, fields))::text from durable_async.event_kinds()"
        named = msgspec.json.decode(ask(postgres_lab, owner, sql))
        kinds = typing.get_args(h.HistoryEvent | h.EntityLetter)
        infos = [msgspec.structs.fields(kind) for kind in kinds]
        assert named == {
            str(kind.__struct_config__.tag): [kind.__name__, [field.name for field in fields]]
            for kind, fields in zip(kinds, infos, strict=True)
        }


A, B = "@account@a", "@account@b"
START = h.ExecutionStarted("checkout", None, b"1")


def at(second: int) -> h.TurnStarted:
    return h.TurnStarted(second * SECOND_US)


WAITS: list[tuple[list[list[h.HistoryEvent]], list[tuple[Any, ...]]]] = [
    ([[START]], []),
    ([[START], [at(1), h.ActivityScheduled(1, "a", b"")]], [(1, "activity", "a", 1, 1, None)]),
    (
        [[START], [at(1), h.ActivityScheduled(1, "a", b"")], [at(2), h.ActivityCompleted(1, b"")]],
        [],
    ),
    (
        [
            [START],
            [at(1), h.ActivityScheduled(1, "a", b"")],
            [at(2), h.ActivityFailed(1, 1, FAILURE)],
        ],
        [],
    ),
    (
        [
            [START, at(1), h.ActivityScheduled(1, "a", b"")],
            [at(2), h.ActivityFailed(1, 1, FAILURE, 9 * SECOND_US)],
        ],
        [(1, "retry", "a", 2, 2, 9)],
    ),
    (
        [
            [START, at(1), h.ActivityScheduled(1, "a", b"")],
            [at(2), h.ActivityFailed(1, 1, FAILURE, 9 * SECOND_US), at(9), h.ActivityRetried(1, 2)],
        ],
        [(1, "activity", "a", 2, 9, None)],
    ),
    ([[START, at(1), h.ActivityScheduled(1, "a", b""), h.ActivityCancelRequested(1)]], []),
    ([[START, at(1), h.TimerCreated(1, 7 * SECOND_US)]], [(1, "timer", None, None, 1, 7)]),
    ([[START, at(1), h.TimerCreated(1, 7 * SECOND_US), h.TimerCancelled(1)]], []),
    ([[START, at(1), h.TimerCreated(1, 7 * SECOND_US)], [at(7), h.TimerFired(1)]], []),
    (
        [[START, at(1), h.SubOrchestrationScheduled(1, "c", "kid", None, None)]],
        [(1, "child", "c", None, 1, None)],
    ),
    (
        [
            [START, at(1), h.SubOrchestrationScheduled(1, "c", "kid", None, None)],
            [at(2), h.SubOrchestrationFailed(1, FAILURE), h.TimerCreated(2, 0)],
        ],
        [(2, "timer", None, None, 2, 0)],
    ),
    ([[START, at(1), h.EventSent(1, "other", "e", None)]], []),
    ([[START, at(1), h.EntitySignaled(1, A, "add", b"1")]], []),
    (
        [[START, at(1), h.EntityCalled(1, A, "get", None)]],
        [(1, "entity call", "get", None, 1, None)],
    ),
    (
        [[START, at(1), h.EntityLocksRequested(1, (A, B))]],
        [(1, "lock", f"{A}, {B}", None, 1, None)],
    ),
    (
        [[START, at(1), h.EntityLocksRequested(1, (A, B))], [at(2), h.EntityLocked(1, A)]],
        [(1, "lock", B, None, 1, None)],
    ),
    (
        [
            [START, at(1), h.EntityLocksRequested(1, (A, B))],
            [at(2), h.EntityLocked(1, B), h.EntityLocked(1, A)],
            [at(3), h.EntityCalled(2, B, "get", None, 1)],
        ],
        [(2, "entity call", "get", None, 3, None)],
    ),
    (
        [
            [START, at(1), h.EntityLocksRequested(1, (A, B))],
            [at(2), h.EntityLocked(1, B), h.EntityLocksReleased(1)],
        ],
        [],
    ),
]
CALL_ENDS: tuple[h.HistoryEvent, ...] = (
    h.EntityCallCompleted(1, b"1"),
    h.EntityCallFailed(1, FAILURE),
    h.EntityCallAbandoned(1),
)
WAITS.extend(
    ([[START, at(1), h.EntityCalled(1, A, "get", None)], [at(2), end]], []) for end in CALL_ENDS
)


@pytest.mark.parametrize(("turns", "waits"), WAITS)
def test_what_is_open_follows_from_history(
    postgres_lab: PostgresLab, owner: Any, turns: list[list[Any]], waits: list[tuple[Any, ...]]
) -> None:
    sql = (
        "select seq, kind, name, attempt, extract(epoch from since)::integer, extract(epoch from due)::integer"
        " from durable_async.waits_of($1)"
    )
    rows = postgres_lab.call(owner.fetch(sql, [encode_events(one) for one in turns]))
    assert [tuple(row) for row in rows] == waits


class Place:
    """A hub with a worker that does what it is told, and what the views say of it."""

    def __init__(self, dsn: str, one: PostgresBackend, worker: Driver, hub: str) -> None:
        self.dsn = dsn
        self.backend = one
        self.worker = worker
        self.hub = hub

    async def see(self, view: str, columns: str, where: str = "true") -> list[tuple[Any, ...]]:
        sql = f"select {columns} from durable_async.{view} where hub = $1 and {where} order by 1"
        async with connected(self.dsn) as connection:
            return [tuple(row) for row in await connection.fetch(sql, self.hub)]

    async def state(self, instance_id: str) -> tuple[Any, ...]:
        [row] = await self.see(
            "v_instances", "state, waiting_for, until is not null", f"id = '{instance_id}'"
        )
        return row


@pytest.fixture
async def place(postgres_lab: PostgresLab, fresh_name: str) -> AsyncIterator[Place]:
    one = backend(postgres_lab.dsn, hub=fresh_name)
    await one.open()
    yield Place(postgres_lab.dsn, one, await Driver.register(one, "w"), fresh_name)
    await one.close()


def started(instance_id: str, **fields: Any) -> Any:
    return new(instance_id, events=encode_events([START]), **fields)


LATER_US = 2**52


async def test_where_an_instance_is(place: Place) -> None:
    worker = place.worker
    await place.backend.create([started("later", start_at_us=LATER_US)])
    await place.backend.create([started(name) for name in "abcdef"])
    assert await place.state("later") == ("scheduled", "its start", True)
    assert await place.state("a") == ("ready", "a worker with checkout", False)
    claimed = {one.instance_id: one for one in await worker.claim()}
    assert await place.state("a") == ("owned", "an event", False)
    await worker.commit(
        turn(claimed["a"], status=Status.COMPLETED, events=encode_events([at(1)])),
        turn(claimed["e"], status=Status.SUSPENDED, events=encode_events([at(1)])),
        turn(claimed["f"], events=encode_events([at(1), h.TimerCreated(1, LATER_US)])),
        turn(claimed["b"], events=encode_events([at(1), h.ActivityScheduled(1, "x", b"")])),
        release("b"),
        release("f", wake_at_us=LATER_US),
        Park(instance_id="c", reason="it crashed five times"),
        Abandon(instance_id="d", retry_at_us=LATER_US),
    )
    assert await place.state("a") == ("ended", None, False)
    assert await place.state("b") == ("idle", "activity x", False)
    assert await place.state("c") == ("parked", "an operator: it crashed five times", False)
    assert await place.state("d") == ("held back", "the next attempt", True)
    assert await place.state("e") == ("owned", "being resumed, an event", False)
    kind, waiting_for, has_until = await place.state("f")
    assert (kind, has_until) == ("sleeping", True)
    assert waiting_for.startswith("timer until 2112-")
    assert waiting_for.endswith(", an event")


async def test_since_when(place: Place) -> None:
    await place.backend.create([started("a")])
    [claimed] = await place.worker.claim()
    since = "extract(epoch from since)::bigint"
    await place.worker.commit(turn(claimed, events=encode_events([at(77)])))
    assert await place.see("v_instances", since) == [(77,)]
    await place.worker.commit(
        turn(claimed, 2, status=Status.COMPLETED, events=encode_events([at(78)]))
    )
    assert await place.see("v_instances", f"since = completed_at, {since} > 1000") == [(True, True)]


async def test_the_owner_and_the_queue(place: Place) -> None:
    worker = place.worker
    await place.backend.create([started("a")])
    [claimed] = await worker.claim()
    scheduled = [h.ActivityScheduled(seq, "charge", b"") for seq in (1, 2, 3)]
    await worker.commit(
        turn(
            claimed,
            status=Status.RUNNING,
            events=encode_events([at(1), *scheduled]),
            queued=(queued(claimed, 1), queued(claimed, 2)),
        )
    )
    await worker.fetch_activities(1)
    assert await place.see("v_queue", "seq, state, owner, claims") == [
        (1, "claimed", "w", 1),
        (2, "free", None, 0),
    ]
    assert await place.see("v_waits", "seq, runs_on, is_queued") == [
        (1, "w", False),
        (2, None, True),
        (3, "w", False),
    ]
    assert await place.see("v_instances", "owner, pid is not null, queued_activities") == [
        ("w", True, 2)
    ]
    assert await place.see("v_workers", "id, state, instances, queued_activities, commits") == [
        ("w", "alive", 1, 1, 1)
    ]
    columns = "running, owned, ready, workers, free_activities, claimed_activities, overdue is null"
    assert await place.see("v_hubs", columns) == [(1, 1, 0, 1, 1, 1, True)]


async def test_what_a_mailbox_holds(place: Place, postgres_lab: PostgresLab) -> None:
    await place.backend.create([started("a")])
    body = encode_letter(h.EventRaised("approved", b'{"by":"\xc3\x89va"}'))
    await place.backend.send([letter("a", body)])
    assert await place.see("v_letters", "instance_id, letter, name, details ->> 1") == [
        ("a", "EventRaised", "approved", '{"by":"Éva"}')
    ]
    assert await place.see("v_instances", "letters") == [(1,)]
    assert await place.see("v_history", "event, details ->> 'name', details ->> 'input'") == [
        ("ExecutionStarted", "checkout", "1")
    ]


def locked_by(holder: str, until_second: int = 0, **fields: Any) -> bytes:
    lock = EntityLock(h.ParentLink(holder, 1, 7), 5 * SECOND_US, until_second * SECOND_US)
    return encode_snapshot(EntitySnapshot(lock=lock, **fields))


async def test_where_an_entity_is_and_what_it_holds(place: Place) -> None:
    worker = place.worker
    names = ("idle", "owned", "parked", "held back", "sleeping", "ready")
    await place.backend.send([operation(name) for name in names])
    claimed = {one.instance_id: one for one in await worker.claim()}
    parked = ParkedOperation(h.EntityOperation("boom", b"1"), "it crashed", 9 * SECOND_US)
    states = {
        "idle": encode_snapshot(EntitySnapshot(state=b"{}")),
        "owned": locked_by("holder", 99, state=b"null"),
        "parked": locked_by("holder"),
        "held back": encode_snapshot(EntitySnapshot(parked=(parked, parked))),
        "sleeping": b"",
        "ready": b"no snapshot",
    }
    await worker.commit(
        *(entity_turn(claimed[entity(name)], state=states[name]) for name in names),
        release(entity("idle"), claimed[entity("idle")].mail),
        Park(instance_id=entity("parked"), reason="poison"),
        Abandon(instance_id=entity("held back"), retry_at_us=LATER_US),
        release(entity("sleeping"), claimed[entity("sleeping")].mail, wake_at_us=LATER_US),
        release(entity("ready")),
    )
    columns = (
        "key, state, until is not null, has_state, parked_operations, locked_by, letters, owner"
    )
    assert await place.see("v_entities", columns, "name = 'counter'") == [
        ("held back", "held back", True, False, 2, None, 1, None),
        ("idle", "idle", False, True, 0, None, 1, None),
        ("owned", "owned", False, True, 0, "holder", 1, "w"),
        ("parked", "parked", False, False, 0, "holder", 1, None),
        ("ready", "ready", False, True, 0, None, 1, None),
        ("sleeping", "sleeping", True, False, 0, None, 1, None),
    ]
    lock = "extract(epoch from locked_since)::integer, extract(epoch from locked_until)::integer"
    for key, times in (("owned", (5, 99)), ("parked", (5, None)), ("idle", (None, None))):
        assert await place.see("v_entities", lock, f"key = '{key}'") == [times]
    assert await place.see("v_hubs", "running, entities, parked, owned") == [(0, 6, 1, 1)]


async def test_entities_are_no_orchestrations(place: Place) -> None:
    await place.backend.create([started("a")])
    await place.backend.send([operation("a", encode_letter(h.EntityOperation("add", b"1")))])
    await place.worker.claim()
    for view in ("v_instances", "v_history"):
        assert await place.see(view, "id") == [("a",)]
    assert await place.see("v_letters", "instance_id, letter, name") == [
        (entity("a"), "EntityOperation", "add")
    ]
    [row] = await place.see("v_workers", "instances")
    assert row == (2,)


async def test_who_holds_a_lock_and_who_waits_for_it(place: Place) -> None:
    """In order; whoever is not going any more is on the way out."""
    worker = place.worker
    await place.backend.create([started(name) for name in ("held", "first", "ended")])
    requests = [
        operation("a", encode_letter(h.EntityLockRequest(h.ParentLink(name, 1, seq))))
        for name, seq in (("first", 3), ("ended", 4), ("never there", 5))
    ]
    others = encode_letter(h.EntityOperation("add", b"1"))
    await place.backend.send([operation("a", others), *requests, operation("b", others)])
    claimed = {one.instance_id: one for one in await worker.claim()}
    await worker.commit(
        entity_turn(claimed[entity("a")], state=locked_by("held", 99)),
        turn(claimed["ended"], status=Status.COMPLETED, events=encode_events([at(1)])),
    )
    columns = "place, entity_id, instance_id, execution, seq, until is not null, is_going"
    assert await place.see("v_locks", columns) == [
        (0, entity("a"), "held", 1, 7, True, True),
        (1, entity("a"), "first", 1, 3, False, True),
        (2, entity("a"), "ended", 1, 4, False, False),
        (3, entity("a"), "never there", 1, 5, False, False),
    ]


async def test_what_an_orchestration_awaits_of_entities(place: Place) -> None:
    await place.backend.create([started("calls"), started("locks")])
    claimed = {one.instance_id: one for one in await place.worker.claim()}
    called = encode_events([at(1), h.EntityCalled(1, A, "get", None)])
    wanted = encode_events([at(1), h.EntityLocksRequested(1, (A, B))])
    await place.worker.commit(
        turn(claimed["calls"], events=called), turn(claimed["locks"], events=wanted)
    )
    assert await place.see("v_instances", "id, waiting_for") == [
        ("calls", f"entity call get of {A}"),
        ("locks", f"lock {A}, {B}"),
    ]
    assert await place.see("v_waits", "id, kind, target_id") == [
        ("calls", "entity call", A),
        ("locks", "lock", None),
    ]


async def test_how_a_worker_is(place: Place, postgres_lab: PostgresLab) -> None:
    async def state() -> tuple[Any, ...]:
        [row] = await place.see("v_workers", "state, lease_left > interval '0'")
        return row

    async def change(what: str) -> None:
        async with connected(postgres_lab.owner_dsn) as connection:
            await connection.execute(what)

    assert await state() == ("alive", True)
    await change("update durable_async.workers set lifeline = lifeline + 1 where id = 'w'")
    assert await state() == ("gone", True)
    await change("update durable_async.workers set lifeline = null where id = 'w'")
    assert await state() == ("leased", True)
    await change("update durable_async.leases set until_us = 0 where worker = 'w'")
    assert await state() == ("lease over", False)


async def test_one_bad_row_does_not_hide_the_others(place: Place) -> None:
    await place.backend.create([started("good")])
    await place.backend.create([new("bad", events=b"nothing like it"), new("empty", events=b"")])
    await place.backend.create([new("cut", events=encode_events([START, at(1)])[:-2])])
    await place.worker.claim()
    rows = await place.see("v_history", "id, event, details ->> '1' is not null")
    assert rows == [
        ("bad", "unreadable", True),
        ("cut", "ExecutionStarted", False),
        ("cut", "unreadable", True),
        ("empty", "unreadable", True),
        ("good", "ExecutionStarted", False),
    ]
    assert await place.see("v_instances", "id, waiting_for") == [
        (name, "an event") for name in ("bad", "cut", "empty", "good")
    ]
    assert await place.see("v_waits", "id") == []


async def test_views_do_not_mind_parallel_plans(place: Place) -> None:
    await place.backend.create([new("bad", events=b"nothing like it")])
    claimed = await place.worker.open("bad", b"nothing like it")
    await place.worker.commit(entity_turn(claimed, state=b"nothing like it"))
    async with connected(place.dsn) as connection:
        is_new = connection.get_server_version().major >= 16
        name = "debug_parallel_query" if is_new else "force_parallel_mode"
        await connection.execute(f"set {name} = on")
        for view in (
            "v_entities",
            "v_history",
            "v_instances",
            "v_locks",
            "v_waits",
            "v_workers",
        ):
            await connection.fetch(f"select * from durable_async.{view} where hub = $1", place.hub)


async def test_the_sample_is_in_no_view(postgres_database: str) -> None:
    async with opened(postgres_database), connected(postgres_database) as connection:
        views = await connection.fetch(
            "select viewname from pg_views where schemaname = 'durable_async'"
        )
        assert len(views) == 9
        for (view,) in views:
            rows = await connection.fetch(f"select * from durable_async.{view}")
            assert [row["hub"] for row in rows] == ["default"] * (view == "v_hubs")
