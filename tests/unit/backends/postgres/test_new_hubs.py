"""A hub that the server's statistics do not know yet is read by the right indexes all the same."""

from __future__ import annotations

import pytest

from durable_async.backends.postgres.statements import statements_in

from .schemas import SCHEMA, connected, opened

NEW_HUB = 7
FILL = f"""
insert into {SCHEMA}.instances (hub, key, execution, start_at_us, created_at_us, updated_at_us, status, id, name)
select {NEW_HUB}, n, 1, n, n, n, 'completed', md5(n::text), 'sample' from generate_series(1, 5000) n
"""


@pytest.mark.parametrize(
    ("name", "values", "index"),
    [
        ("read_instances", (NEW_HUB, True, ["one", "two"]), "instances_by_id"),
        (
            "query_instances",
            (NEW_HUB, True, 0, 2**62, -1, "", *[None] * 2, "", *[None] * 5, 101),
            "instances_by_creation",
        ),
    ],
)
async def test_a_callers_pool_reads_a_new_hub_by_the_right_index(
    name: str, values: tuple[object, ...], index: str, postgres_database: str
) -> None:
    async with opened(postgres_database), connected(postgres_database) as connection:
        await connection.execute(FILL)
        plan = await connection.fetch(
            f"explain (verbose) {statements_in(SCHEMA)[name]}",
            *values,
        )
    text = "\n".join(row[0] for row in plan)
    assert index in text
    assert "Sort" not in text
