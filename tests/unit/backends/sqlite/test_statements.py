"""How much SQL a call costs: the same number of statements, whatever the size of the batch."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from durable_async.errors import BackendError, FencedError
from durable_async.model.records import (
    CommitItem,
    Errands,
    Outgoing,
    QueuedActivity,
    Release,
    TurnCommit,
)
from durable_async.model.status import Status

from .support import fetch, new, opened, signal, turn


async def commit(folder: Path, size: int, calls: Counter[str], kind: str) -> Counter[str]:
    """Commit a batch of so many turns, and return what it cost."""
    ids = [f"@n@{number}" if kind == "entity" else f"i{number}" for number in range(size)]
    async with opened(folder / f"{kind}{size}.db", inline=True) as backend:
        fence = await backend.register_worker("w", 30)
        if kind == "entity":
            await backend.send([signal(one) for one in ids])
        else:
            await backend.create([new(one) for one in ids])
        assert len((await fetch(backend, fence)).claimed) == size
        if kind != "entity":
            running = [one_turn("running", one, 1) for one in ids]
            fence = (await backend.commit(fence, running)).fence
        calls.clear()
        items: list[CommitItem] = [one_turn(kind, one, 2) for one in ids]
        if kind == "busy":
            items += [Release(instance_id=one, wake_at_us=None) for one in ids]
        assert (await backend.commit(fence, items)).dropped == frozenset()
    return Counter(calls)


def one_turn(kind: str, instance_id: str, number: int) -> TurnCommit:
    match kind:
        case "plain":
            return turn(instance_id, number)
        case "entity":
            return TurnCommit(
                instance_id=instance_id,
                execution=1,
                turn=number,
                events=b"",
                state=b"s",
                consumed=(number,),
            )
        case "running":
            return TurnCommit(
                instance_id=instance_id,
                execution=1,
                turn=number,
                events=b"e",
                status=Status.RUNNING,
            )
        case _:
            return TurnCommit(
                instance_id=instance_id,
                execution=1,
                turn=number,
                events=b"e",
                custom_status=b"c",
                outbox=(Outgoing(instance_id=instance_id, execution=1, letter=b"l"),),
                children=(new(f"{instance_id} child"),),
                queued=(
                    QueuedActivity(
                        instance_id=instance_id,
                        execution=1,
                        seq=1,
                        attempt=1,
                        name="a",
                        input=b"i",
                    ),
                ),
                cancelled=(7,),
            )


async def test_a_step_of_a_chain_is_one_inserted_row(tmp_path: Path, calls: Counter[str]) -> None:
    """The fence moves, the row goes in; no instance is touched, nor read: the turn before has left it known."""
    cost = await commit(tmp_path, 1, calls, "plain")
    assert cost == Counter(move_fence=1, insert_history=1)


async def test_what_is_known_is_read_again_after_anybody_else_has_committed(
    tmp_path: Path, calls: Counter[str]
) -> None:
    async with (
        opened(tmp_path / "h.db", inline=True) as backend,
        opened(tmp_path / "h.db", inline=True) as other,
    ):
        fence = await backend.register_worker("w", 30)
        await backend.create([new("a")])
        await fetch(backend, fence)
        fence = (await backend.commit(fence, [one_turn("running", "a", 1)])).fence
        await other.create([new("b")])
        calls.clear()
        fence = (await backend.commit(fence, [one_turn("plain", "a", 2)])).fence
        await backend.commit(fence, [one_turn("plain", "a", 3)])
        assert calls["load_instances"] == 1


async def test_a_lease_that_a_fetch_extends_is_no_news_and_leaves_all_known(
    tmp_path: Path, calls: Counter[str]
) -> None:
    async with opened(tmp_path / "h.db", inline=True) as backend:
        fence = await backend.register_worker("w", 30)
        await backend.create([new("a")])
        await fetch(backend, fence)
        fence = (await backend.commit(fence, [one_turn("running", "a", 1)])).fence
        seen = backend._data_version()
        await fetch(backend, fence, errands=Errands(lease_seconds=60))
        assert calls["renew_lease"] == 1
        assert backend._data_version() == seen
        calls.clear()
        await backend.commit(fence, [one_turn("plain", "a", 2)])
        assert calls == Counter(move_fence=1, insert_history=1)


async def test_what_is_committed_after_a_renewal_waits_for_the_disk(tmp_path: Path) -> None:
    async with opened(tmp_path / "h.db", inline=True) as backend:
        fence = await backend.register_worker("w", 30)
        writer = backend._connections["writer"]
        full = writer.execute("pragma synchronous").fetchone()
        assert full == (2,)
        await fetch(backend, fence, errands=Errands(lease_seconds=60))
        assert writer.execute("pragma synchronous").fetchone() == full
        await backend.retire_worker(fence)
        with pytest.raises(FencedError):
            await fetch(backend, fence, errands=Errands(lease_seconds=60))
        assert writer.execute("pragma synchronous").fetchone() == full


async def test_what_failed_is_not_known(tmp_path: Path, calls: Counter[str]) -> None:
    async with opened(tmp_path / "h.db", inline=True) as backend:
        fence = await backend.register_worker("w", 30)
        await backend.create([new("a")])
        await fetch(backend, fence)
        fence = (await backend.commit(fence, [one_turn("running", "a", 1)])).fence
        broken = TurnCommit(
            instance_id="a",
            execution=1,
            turn=2,
            events=b"e",
            status=Status.COMPLETED,
            output=2**70,  # type: ignore[arg-type]
        )
        with pytest.raises(BackendError):
            await backend.commit(fence, [broken])
        calls.clear()
        await backend.commit(fence, [one_turn("plain", "a", 2)])
        assert calls == Counter(move_fence=1, load_instances=1, insert_history=1)


async def test_a_turn_of_an_entity_is_one_updated_and_one_deleted_row(
    tmp_path: Path, calls: Counter[str]
) -> None:
    """Also the first one after a claim, which forgets attempts."""
    cost = await commit(tmp_path, 1, calls, "entity")
    assert cost == Counter(move_fence=1, load_instances=1, delete_letters=1, save_snapshots=1)


@pytest.mark.parametrize("kind", ["plain", "busy", "entity"])
async def test_a_large_batch_takes_as_many_statements_as_a_small_one(
    tmp_path: Path, calls: Counter[str], kind: str
) -> None:
    small = await commit(tmp_path, 2, calls, kind)
    large = await commit(tmp_path, 80, calls, kind)
    assert small == large


async def test_an_idle_fetch_is_one_read(tmp_path: Path, calls: Counter[str]) -> None:
    """And takes no lock."""
    async with opened(tmp_path / "hub.db", inline=True) as backend:
        fence = await backend.register_worker("w", 30)
        calls.clear()
        await fetch(backend, fence)
        assert calls == Counter(probe=1)
