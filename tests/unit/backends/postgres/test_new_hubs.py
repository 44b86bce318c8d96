"""A hub that the server's statistics do not know yet is read by the right indexes all the same, also by plans that a caller's pool makes."""

from __future__ import annotations

import json

import pytest

from durable_async.backends.postgres.statements import statements_in

from .schemas import SCHEMA, connected, opened

NEW_HUB = 7
BLOCKS_MAX = 40
FILL = f"""
insert into {SCHEMA}.instances (hub, key, execution, start_at_us, created_at_us, updated_at_us, completed_at_us, status, id, name)
select {NEW_HUB}, n, 1, n, n, n, n, 'completed', md5(n::text), 'sample' from generate_series(1, 5000) n
"""


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("read_instances", (NEW_HUB, True, ["one", "two"])),
        ("query_instances", (NEW_HUB, True, 0, 2**62, 4980, "", *[None] * 2, "", *[None] * 7, 9)),
        ("query_ended", (NEW_HUB, True, 0, 2**62, 4980, "", *[None] * 2, "", *[None] * 7, 9)),
        ("query_newest", (NEW_HUB, True, 0, 21, 20, "~", *[None] * 2, "", *[None] * 7, 9)),
        ("query_latest", (NEW_HUB, True, 0, 21, 20, "~", *[None] * 2, "", *[None] * 7, 9)),
        (
            "query_few_instances",
            (
                NEW_HUB,
                True,
                0,
                2**62,
                -1,
                "",
                *[None] * 2,
                "",
                *[None] * 4,
                "mother",
                *[None] * 2,
                9,
            ),
        ),
    ],
)
async def test_reading_a_few_visits_few_blocks(
    name: str, values: tuple[object, ...], postgres_database: str
) -> None:
    sql = statements_in(SCHEMA)[name]
    async with opened(postgres_database), connected(postgres_database) as connection:
        for _ in range(10):  # functions keep the plans that they make on empty tables
            await connection.fetch(sql, *values)
        await connection.execute(FILL)
        await connection.fetch(sql, *values)
        answer = await connection.fetchval(
            f"explain (analyze, buffers, format json) {sql}", *values
        )
    (found,) = json.loads(answer)
    assert found["Plan"]["Shared Hit Blocks"] + found["Plan"]["Shared Read Blocks"] < BLOCKS_MAX


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("requests", "hub, id, answer, answered_at_us"),
        ("tombstones", "hub, id, execution, purged_at_us"),
    ],
)
async def test_a_sweep_that_finds_nothing_old_looks_at_nothing_else(
    table: str, columns: str, postgres_database: str
) -> None:
    sql = statements_in(SCHEMA)["sweep"]
    values = (NEW_HUB, *[3_600_000_000] * 3, 100)
    async with opened(postgres_database), connected(postgres_database) as connection:
        await connection.execute(
            f"insert into {SCHEMA}.{table} ({columns}) select {NEW_HUB}, n::text, 1, {SCHEMA}.clock_us()"
            " from generate_series(1, 20000) n"
        )
        await connection.execute(f"analyze {SCHEMA}.{table}")
        await connection.fetch(sql, *values)  # which also reads what a function is
        answer = await connection.fetchval(
            f"explain (analyze, buffers, format json) {sql}", *values
        )
        left = f"select count(*) from {SCHEMA}.{table} where hub = {NEW_HUB}"
        assert await connection.fetchval(left) == 20_000
    (found,) = json.loads(answer)
    assert found["Plan"]["Shared Hit Blocks"] + found["Plan"]["Shared Read Blocks"] < BLOCKS_MAX
