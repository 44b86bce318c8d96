"""What the server makes of the statements, on a hub that has been at work for a while: an index everywhere, and the one meant for it.

Three sessions are asked: one whose plans are from a time at which the tables were empty, one that began after a vacuum had seen them
empty, and one that begins when they are full. The server is not let plan anew in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from durable_async.backends.postgres import PostgresBackend
from durable_async.backends.postgres.embedded import find_binaries
from durable_async.testing.conformance.driver import Driver
from durable_async.testing.postgres import ThrowawayPostgres

from .plans import SETTINGS, Log, Plan, plans_in
from .schemas import opened, psql
from .workday import ask_as_client, work

FILL = (Path(__file__).parent / "filled.sql").read_text(encoding="utf-8")
OLD_SERVER = Path("/usr/lib/postgresql/15/bin")
HUB = "plans"
APPLICATION = f"durable_async/{HUB}/"
VAIN_ROWS_MAX = 100
OWNED_BY_ONE = 2_000
EXPIRE = "update durable_async.leases set until_us = 0 where worker = 'other-1'"

TABLES = {
    "answers",
    "graves",
    "history",
    "hubs",
    "instances",
    "leases",
    "letters",
    "marks",
    "meta",
    "queued_activities",
    "requests",
    "tombstones",
    "workers",
}

# Table -> why it may be read from one end to the other.
SCANS = {"hubs": "as many rows as hubs", "meta": "two rows"}

# Table -> why rows may be read in vain.
WASTE = {"graves": "once a minute, and holds what was replaced in the last five"}

# Words of a statement -> the indexes that it looks into, by what it is for.
MEANT: dict[str, tuple[str, ...]] = {
    # claim_work
    "select false, p_instances > 0 and exists": (
        "instances_ready",
        "marks_pkey",
        "queued_activities_free",
        "workers_pkey",
    ),
    "with recursive k (name, version": ("instances_ready_by_kind", "instances_ready_to_end"),
    "select o.name, o.version, count(*)": ("instances_ready_by_kind", "instances_ready_to_end"),
    "select array_agg(r.key) from ( select i.key": ("instances_ready",),
    "select array_agg(r.key order by r.ready_at_us, r.id)": (
        "instances_ready_by_kind",
        "instances_ready_to_end",
    ),
    "select array_agg(m.key) from": ("marks_pkey",),
    "select array_agg(h.key) from ( select i.key": ("instances_pkey",),
    "i.key = any (v_noted) and i.owner is not distinct from p_worker and i.marked": (
        "instances_pkey",
    ),
    "i.key = any (v_held) and i.marked": ("instances_pkey",),
    'delete from "durable_async".marks m where m.hub = p_hub and m.owner = p_worker and m.key': (
        "instances_pkey",
        "marks_pkey",
    ),
    "instances i set owner = p_worker, fetched_in": ("instances_pkey",),
    "select 'turn'::text": ("history_pkey", "instances_pkey"),
    "select distinct 'queued'::text": ("queued_activities_by_instance",),
    "select 'letter'::text": ("instances_pkey", "letters_pkey"),
    "with recursive n (name) as": ("queued_activities_free",),
    "select o.name, count(*)": ("queued_activities_free",),
    "select array_agg(f.id) from unnest": ("queued_activities_free",),
    'with taken as ( update "durable_async".queued_activities': (
        "instances_pkey",
        "queued_activities_pkey",
    ),
    # append_turn
    "with subject as": ("instances_by_id", "workers_pkey"),
    # show_turn
    "case when p_ended then i.will_to is null": ("instances_by_id",),
    "workers w set seq = p_seq": ("workers_pkey",),
    "set status = p_status, output = null": ("instances_pkey",),
    "set status = p_status, output = p_output": ("instances_pkey",),
    'delete from "durable_async".letters l where l.hub = p_hub and l.key = v_key': (
        "letters_pkey",
    ),
    "q where q.hub = p_hub and q.key = v_key": ("queued_activities_by_instance",),
    # commit_batch
    'update "durable_async".workers w set seq = w.seq + 1 where': ("workers_pkey",),
    "i.id = any (p_locks || s_id || v_heirs)": ("instances_by_id",),
    "i.key = any (v_attempted || v_ending) order by": ("instances_pkey",),
    "i.key = any (v_attempted) and i.attempts": ("instances_pkey",),
    "i.key = any (v_ending) and i.ending": ("instances_pkey", "letters_pkey"),
    "select array_agg(i.key order by s.place)": ("instances_by_id",),
    "cross join lateral unnest(i.will_to)": ("instances_by_id",),
    "from unnest(h_subject": ("instances_pkey",),
    'delete from "durable_async".letters l using unnest(l_subject': ("letters_pkey",),
    "set status = coalesce(x.status": ("instances_pkey",),
    'delete from "durable_async".history h using unnest(x_subject': ("history_pkey",),
    "using unnest(k_subject": ("queued_activities_by_instance",),
    "with reported as": ("queued_activities_pkey",),
    "with ended as": ("queued_activities_pkey",),
    "with given_up as": ("instances_by_id", "queued_activities_by_instance"),
    "with freed as": ("instances_pkey", "letters_pkey"),
    "h.execution = t.execution and h.turn = t.turn": ("history_pkey", "instances_by_id"),
    # put_letter, put_letters, send_letters, send_letter
    "not in (i.xmin, i.xmax) as late from": ("instances_by_id",),
    "select max(l.id) - min(l.id)": ("letters_pkey",),
    "l.term = p_near_term[array_position": ("leases_pkey",),
    "i.id = p_to for no key update": ("instances_by_id",),
    "r.hub = p_hub and r.id = p_request": ("requests_pkey",),
    "set marked = r.owner is not null": ("instances_pkey",),
    'insert into "durable_async".instances as i': ("instances_by_id", "tombstones_pkey"),
    "i.key = any (p_keys) and not exists": ("instances_pkey", "letters_pkey"),
    "with found as ( select o.*": (
        "instances_by_id",
        "instances_pkey",
        "leases_pkey",
        "letters_pkey",
    ),
    "i.id = any (o_to)": ("instances_by_id",),
    "unnest(o_request) with ordinality": ("requests_pkey",),
    # put_instances, create_instances, remove_lives
    'insert into "durable_async".instances ( hub, key, id, name, version, status, execution, ready_at_us, start_at_us, created_at_us,'
    " updated_at_us, tags, parent_id, parent_execution, parent_seq, parent_depth, owner, fetched_in, attempts ) select": (
        "tombstones_pkey",
    ),
    "i.id = any (c_id || v_heirs)": ("instances_by_id",),
    "unnest(c_request) with ordinality": ("requests_pkey",),
    'insert into "durable_async".graves': ("instances_pkey",),
    # start_instance
    "t.hub = p_hub and t.id = p_id": ("tombstones_pkey",),
    # take_over, free_work, retire_worker
    "where w.hub = p_hub and w.id <> p_worker": ("leases_pkey", "workers_pkey"),
    "w.id = p_dead and w.epoch = p_dead_epoch for update": ("workers_pkey",),
    "l.worker = p_dead for update": ("leases_pkey",),
    "i.owner = p_worker and (p_fetch is null": ("instances_owned",),
    "q.owner = p_worker and (p_fetch is null": ("queued_activities_owned",),
    # take_stock, mark_unheard
    "set term = greatest": ("leases_pkey",),
    "i.owner = p_worker order by": ("instances_owned",),
    "instances i set marked = true": ("instances_owned", "letters_pkey"),
    # the rest of a worker's
    'update "durable_async".leases set until_us': ("leases_pkey",),
    "select epoch, seq from": ("workers_pkey",),
    "with dead as materialized": (
        "instances_owned",
        "leases_pkey",
        "queued_activities_owned",
        "workers_pkey",
    ),
    'delete from "durable_async".requests': ("requests_by_age",),
    'delete from "durable_async".answers': ("answers_by_age",),
    'delete from "durable_async".tombstones': ("tombstones_by_age",),
    # expire_instances
    "select array_agg(n.key) from": ("instances_by_completion",),
    "i.key = any (v_next) and i.status": ("instances_by_id", "instances_pkey"),
    "i.key = any (v_keys) and i.completed_at_us": ("instances_pkey",),
    # rewrite_instances
    "select array_agg(c.id) from unnest(w_id": ("instances_by_parent",),
    "set parent_execution = i.parent_execution + 1": ("instances_by_id",),
    # clients
    "case when p_payloads then i.output": ("history_pkey", "instances_by_id"),
    "is null or i.tags @> $16::text::jsonb) and i.created_at_us >=": (
        "history_pkey",
        "instances_by_creation",
    ),
    "is null or i.tags @> $16::text::jsonb) and i.completed_at_us >=": (
        "history_pkey",
        "instances_by_completion",
    ),
    "i.parent_id = p_parent_id": ("instances_by_parent",),
    "i.tags @> p_tags": ("instances_by_tags",),
    "select t.execution, t.turn, t.events, t.more from": ("history_pkey", "instances_by_id"),
    "l.id, i.id as instance_id": ("instances_by_id", "letters_pkey"),
    "a.id = any (p_ids)": ("answers_pkey",),
    'select i.* from "durable_async".instances i where i.hub = p_hub and i.id = any': (
        "instances_by_id",
    ),
    "i.id >= p_from and i.id < p_below": ("instances_by_id",),
    "entities_of($1, $2) i": ("letters_pkey",),
    "entities_within($1": ("letters_pkey",),
    "i.id = any (p_ids) and i.is_entity order by": ("instances_by_id",),
    "i.key = any (v_locked) and i.state is null": ("instances_pkey", "letters_pkey"),
}


@pytest.fixture(params=[None, OLD_SERVER], ids=["default", "15"])
def server(request: pytest.FixtureRequest) -> Iterator[ThrowawayPostgres]:
    binaries: Path | None = request.param
    if binaries is not None and not binaries.is_dir():
        pytest.skip(f"there is no second server in {binaries}")
    library = (binaries or find_binaries()).parent / "lib"
    if not (library / "auto_explain.so").exists():
        pytest.skip("the server comes without auto_explain")
    with ThrowawayPostgres(binaries=binaries, **SETTINGS) as started:
        yield started


@pytest.mark.slow
@pytest.mark.parametrize("session", ["old", "vacuumed", "new"])
async def test_every_statement_uses_its_index(server: ThrowawayPostgres, session: str) -> None:
    log = Log(server.server.folder / "log")
    async with opened(server.dsn, hub="somebody else's"):
        pass
    if session == "vacuumed":
        assert psql(server.dsn, "-c", "vacuum analyze").returncode == 0
    async with opened(server.dsn, hub=HUB) as old:
        await a_day(old, "before")
        fill(server, old)
        if session == "new":
            assert psql(server.dsn, "-c", "analyze").returncode == 0
            async with opened(server.dsn, hub=HUB) as new:
                plans = await a_day_on_the_record(server, new, log)
        else:
            plans = await a_day_on_the_record(server, old, log)
    check(plans)


async def a_day(one: PostgresBackend, name: str) -> Driver:
    driver = await Driver.register(one, name)
    await ask_as_client(one, name)
    await work(driver)
    assert await one.take_over(driver.fence) == 0
    return driver


def fill(server: ThrowawayPostgres, one: PostgresBackend) -> None:
    done = psql(server.dsn, "-v", "ON_ERROR_STOP=1", "-v", f"hub={one._hub}", stdin=FILL)
    assert done.returncode == 0, done.stderr


async def a_day_on_the_record(
    server: ThrowawayPostgres, one: PostgresBackend, log: Log
) -> list[Plan]:
    log.read()
    one._swept_at = float("-inf")
    driver = await a_day(one, "after")
    assert psql(server.dsn, "-c", EXPIRE).returncode == 0
    assert await one.take_over(driver.fence) == OWNED_BY_ONE
    await one.retire_worker(driver.fence)
    return [plan for plan in plans_in(log.read()) if plan.application.startswith(APPLICATION)]


def indexes_of(plan: Plan) -> Iterator[str]:
    for visit in plan.visits():
        if visit.table in TABLES and visit.index is not None:
            yield visit.index


def check(plans: list[Plan]) -> None:
    scans: set[tuple[str, str]] = set()
    waste: set[tuple[str, str, int]] = set()
    used: dict[str, set[str]] = {}
    for plan in plans:
        for words in MEANT:
            if words in plan.sql:
                used.setdefault(words, set()).update(indexes_of(plan))
        for visit in plan.visits():
            if visit.table not in TABLES:
                continue
            if visit.kind == "Seq Scan" and visit.table not in SCANS:
                scans.add((visit.table, plan.sql))
            if visit.removed > VAIN_ROWS_MAX and visit.table not in WASTE:
                waste.add((visit.table, plan.sql, visit.removed))
    assert scans == set()
    assert waste == set()
    assert {words: tuple(sorted(indexes)) for words, indexes in used.items()} == MEANT
