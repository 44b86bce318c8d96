"""The committer: batches, unknown outcomes, and the item that cannot be written."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest
from hypothesis import given, settings, strategies

from durable_async import OrchestrationContext, Registry, WorkerSettings
from durable_async.backends.memory.store import MemoryStore
from durable_async.errors import BackendError, FencedError
from durable_async.model.records import (
    Abandon,
    CommitItem,
    CommitResult,
    Fence,
    Park,
    TurnCommit,
)
from durable_async.testing import VirtualEnvironment, run_virtual, virtual_time
from durable_async.worker._committer import Committer

from .hubs import UnreliableBackend, opened

registry = Registry()
runs: list[int] = []


@registry.activity
async def note(number: int) -> int:
    runs.append(number)
    return number


@registry.orchestrator
async def chain(ctx: OrchestrationContext, size: int) -> int:
    return sum([await ctx.call_activity(note, number) for number in range(size)])


async def committer(env: VirtualEnvironment, **changes: int) -> tuple[Committer, UnreliableBackend]:
    backend = UnreliableBackend(MemoryStore(env), environment=env)
    await backend.open()
    fence = await backend.register_worker("me", 15.0)
    return Committer(backend, env, WorkerSettings(**changes), fence), backend  # type: ignore[arg-type]


def abandon(number: int) -> Abandon:
    return Abandon(instance_id=f"i{number}", retry_at_us=0)


@virtual_time
async def test_what_comes_during_a_commit_shares_the_next(env: VirtualEnvironment) -> None:
    """No lingering, no waiting: the first goes alone, the rest together."""
    one, backend = await committer(env)
    answered: list[int] = []

    def submit(number: int) -> None:
        def done(dropped: bool) -> None:
            answered.append(number)
            if number == 0:
                for more in range(1, 6):
                    submit(more)

        one.submit(abandon(number), done)

    submit(0)
    async with anyio.create_task_group() as group:
        group.start_soon(one.run)
        while len(answered) < 6:
            await anyio.sleep(0.001)
        group.cancel_scope.cancel()

    assert [len(batch) for batch in backend.batches] == [1, 5]
    assert answered == [0, 1, 2, 3, 4, 5]
    assert one.is_idle


@virtual_time
async def test_a_commit_is_not_cancelled(
    env: VirtualEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever stops the worker: half of it might have happened, and nobody would know."""
    one, backend = await committer(env)
    landed: list[int] = []
    commit = backend.commit

    async def slowly(fence: Fence, items: Sequence[CommitItem]) -> CommitResult:
        await anyio.sleep(1)
        result = await commit(fence, items)
        landed.append(len(items))
        return result

    monkeypatch.setattr(backend, "commit", slowly)
    one.submit(abandon(0), lambda dropped: None)
    async with anyio.create_task_group() as group:
        group.start_soon(one.run)
        await anyio.sleep(0.5)
        group.cancel_scope.cancel()
    assert landed == [1]


@virtual_time
async def test_a_batch_is_bounded_by_items_and_bytes(env: VirtualEnvironment) -> None:
    """Neither bound is passed; one item over the bytes still goes, alone."""
    one, backend = await committer(env, batch_turns_max=4, batch_bytes_max=1_000)
    done = 0

    def count(dropped: bool) -> None:
        nonlocal done
        done += 1

    for number in range(6):
        one.submit(abandon(number), count)
    big = TurnCommit(instance_id="big", execution=1, turn=1, events=b"x" * 5_000)
    one.submit(big, count)
    one.submit(abandon(9), count)
    async with anyio.create_task_group() as group:
        group.start_soon(one.run)
        while done < 8:
            await anyio.sleep(0.001)
        group.cancel_scope.cancel()

    assert [len(batch) for batch in backend.batches] == [4, 2, 1, 1]


def turn(instance_id: str, execution: int, *, group: int = 0) -> TurnCommit:
    return TurnCommit(
        instance_id=instance_id, execution=execution, turn=1, events=b"x", group=group
    )


@pytest.mark.parametrize(
    "former", [turn("replaced", 1), Abandon(instance_id="replaced", retry_at_us=0)]
)
@virtual_time
async def test_a_turn_shares_no_batch_with_what_there_is_of_a_former_life(
    env: VirtualEnvironment, former: TurnCommit | Abandon
) -> None:
    """What is left out of a former life would take the turn along, and tear its group."""
    one, backend = await committer(env)
    group = [turn("other", 1, group=7), turn("replaced", 2, group=7)]
    answered: list[str] = []
    for item in [abandon(0), former, *group, abandon(1)]:
        one.submit(item, lambda dropped, item=item: answered.append(item.instance_id))  # type: ignore[misc]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.run)
        while len(answered) < 5:
            await anyio.sleep(0.001)
        tasks.cancel_scope.cancel()
    assert backend.batches == [[abandon(0), former], [*group, abandon(1)]]


@virtual_time
async def test_a_lost_answer_is_found_out_and_nothing_is_sent_twice(
    env: VirtualEnvironment,
) -> None:
    """The fence moved by one: it landed."""
    runs.clear()
    async with opened(env, registry) as (hub, backend), hub.worker():
        backend.plan = ["ok", "lost", "lost", "ok", "lost"]
        handle = await hub.client.start(chain, 6)
        assert await handle.wait(timeout=60) == 15
        sent = [item for batch in backend.batches for item in batch if isinstance(item, TurnCommit)]

    assert runs == list(range(6))
    assert len({item.turn for item in sent}) == len(sent)


@virtual_time
async def test_what_did_not_land_is_sent_again(env: VirtualEnvironment) -> None:
    """The fence did not move: the same batch once more."""
    runs.clear()
    async with opened(env, registry) as (hub, backend), hub.worker():
        backend.plan = ["refused", "refused", "ok", "refused"]
        handle = await hub.client.start(chain, 4)
        assert await handle.wait(timeout=60) == 6

    assert runs == list(range(4))


@virtual_time
async def test_what_lands_after_the_fence_was_read_counts_once(env: VirtualEnvironment) -> None:
    """As in a server that goes on with a statement whose connection was cut: the second attempt finds the fence moved, by the first."""
    runs.clear()
    async with opened(env, registry) as (hub, backend), hub.worker() as worker:
        identity = worker.worker_id
        backend.plan = ["ok", "late", "ok", "late", "refused", "late", "lost"]
        handle = await hub.client.start(chain, 6)
        assert await handle.wait(timeout=60) == 15
        assert worker.worker_id == identity

    assert runs == list(range(6))


@virtual_time
async def test_the_item_that_cannot_be_written_is_found_and_its_instance_parked(
    env: VirtualEnvironment,
) -> None:
    """Its neighbours are committed."""
    one, backend = await committer(env)

    answers: dict[str, bool] = {}
    refuse = "i3"
    original = backend.commit

    async def commit(fence, items):  # type: ignore[no-untyped-def]
        if any(
            getattr(item, "instance_id", "") == refuse and not isinstance(item, Park)
            for item in items
        ):
            backend.batches.append(list(items))
            raise BackendError("a value that the store cannot hold")
        return await original(fence, items)

    backend.commit = commit  # type: ignore[method-assign]
    for number in range(6):
        item = abandon(number)
        one.submit(item, lambda dropped, key=item.instance_id: answers.__setitem__(key, dropped))  # type: ignore[misc]
    async with anyio.create_task_group() as group:
        group.start_soon(one.run)
        while len(answers) < 6:
            await anyio.sleep(0.001)
        group.cancel_scope.cancel()

    assert answers == {f"i{number}": number == 3 for number in range(6)}
    parks = [item for batch in backend.batches for item in batch if isinstance(item, Park)]
    assert [park.instance_id for park in parks] == ["i3"]
    assert "cannot be stored" in parks[0].reason


@virtual_time
async def test_a_takeover_ends_the_committer(env: VirtualEnvironment) -> None:
    """Nothing of the batch was written, and nobody is told that it was."""
    one, backend = await committer(env)
    other = UnreliableBackend(backend.store, environment=env)
    await other.open()
    fence = await other.register_worker("other", 15.0)
    await anyio.sleep(20)
    await other.take_over(fence)
    answered: list[bool] = []
    one.submit(abandon(1), answered.append)

    with pytest.raises(FencedError):
        await one.run()

    assert answered == []


@given(strategies.lists(strategies.sampled_from(["ok", "lost", "refused", "late"]), max_size=30))
@settings(max_examples=60)
def test_any_series_of_unknown_outcomes_changes_nothing(plan: list[str]) -> None:
    """Each activity runs once, each turn is written once, in order."""
    runs.clear()

    async def main(env: VirtualEnvironment) -> int:
        async with opened(env, registry) as (hub, backend), hub.worker():
            backend.plan = list(plan)
            handles = [await hub.client.start(chain, 5) for _ in range(3)]
            return sum([await handle.wait(timeout=600) for handle in handles])

    assert run_virtual(main) == 30
    assert sorted(runs) == sorted(list(range(5)) * 3)
