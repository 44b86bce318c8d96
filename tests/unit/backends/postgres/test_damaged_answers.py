"""What a request was answered may be damaged: whoever repeats it is told so, and nothing is done twice."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from durable_async.backends.postgres import PostgresBackend
from durable_async.errors import BackendError, CorruptHistoryError
from durable_async.model.records import Delivery
from durable_async.testing.conformance.driver import letter, new
from durable_async.testing.postgres import PostgresLab


@pytest_asyncio.fixture
async def backend(postgres_lab: PostgresLab, fresh_name: str) -> AsyncIterator[PostgresBackend]:
    backend = PostgresBackend(postgres_lab.dsn, hub=fresh_name)
    await backend.open()
    yield backend
    await backend.close()


def damage(lab: PostgresLab, hub: str, answer: str) -> None:
    lab.execute(
        "update durable_async.requests set answer = $2"
        " where hub = (select hub from durable_async.hubs where name = $1)",
        hub,
        answer,
    )


@pytest.mark.parametrize("answer", ["", "true", "yes and no", f"true pending {10**30}"])
async def test_a_repeated_start_is_refused(
    backend: PostgresBackend, postgres_lab: PostgresLab, fresh_name: str, answer: str
) -> None:
    await backend.create([new("a", request_id="r")])
    damage(postgres_lab, fresh_name, answer)
    with pytest.raises(BackendError) as caught:
        await backend.create([new("a", request_id="r")])
    assert not caught.value.retryable
    [other] = await backend.create([new("b", request_id="s")])
    assert other.created


@pytest.mark.parametrize("company", [False, True])
async def test_a_repeated_letter_is_not_put_twice(
    backend: PostgresBackend, postgres_lab: PostgresLab, fresh_name: str, company: bool
) -> None:
    await backend.create([new("a")])
    letters = [letter("a", request_id="r"), *[letter("nobody")] * company]
    assert (await backend.send(letters))[0] is Delivery.DELIVERED
    damage(postgres_lab, fresh_name, "lost")
    with pytest.raises(CorruptHistoryError, match="'lost'"):
        await backend.send(letters)
    assert len(await backend.read_letters("a", limit=9)) == 1
