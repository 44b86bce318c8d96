"""Callers share calls; one that is cancelled, by whatever means and at whatever moment, harms nobody else."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import anyio
import pytest
from hypothesis import given, strategies as st

from durable_async.client._gathering import RETURN_TURNS, Gatherer
from durable_async.testing import VirtualEnvironment, run_virtual, virtual_time

calls: list[list[int]] = []


@pytest.fixture(autouse=True)
def forget() -> None:
    calls.clear()


async def double(questions: Sequence[int]) -> list[int]:
    calls.append(list(questions))
    await asyncio.sleep(1)
    return [2 * question for question in questions]


@virtual_time
async def test_who_comes_during_a_call_shares_the_next(env: VirtualEnvironment) -> None:
    gatherer = Gatherer(double)
    assert await asyncio.gather(*map(gatherer.ask, range(5))) == [0, 2, 4, 6, 8]
    assert calls == [[0], [1, 2, 3, 4]]


@given(
    senders=st.integers(1, 60),
    questions=st.integers(1, 12),
    turns=st.integers(0, 2),
)
def test_senders_in_a_closed_loop_share_every_call_but_the_first(
    senders: int, questions: int, turns: int
) -> None:
    """Whether each asks again at once or some turns of the loop later: so many calls as each has questions, and one more."""

    async def main(env: VirtualEnvironment) -> None:
        calls.clear()
        gatherer = Gatherer(double)

        async def send() -> None:
            for question in range(questions):
                assert await gatherer.ask(question) == 2 * question
                for _ in range(turns):
                    await asyncio.sleep(0)

        await asyncio.gather(*(send() for _ in range(senders)))
        assert [len(call) for call in calls] == (
            [1] * questions
            if senders == 1
            else [1] + [senders] * (questions - 1) + [senders - 1]  # the first one is ahead
        )

    run_virtual(main)


@virtual_time
async def test_senders_over_the_bound_of_a_call_fill_it(env: VirtualEnvironment) -> None:
    gatherer = Gatherer(double, at_once=20)

    async def send() -> None:
        for question in range(10):
            await gatherer.ask(question)

    await asyncio.gather(*(send() for _ in range(50)))
    assert len(calls) == 1 + (50 * 10 - 1 + 19) // 20


@virtual_time
async def test_a_single_caller_waits_for_nobody(env: VirtualEnvironment) -> None:
    """Not even for a turn of the loop, but for the first question after a call that was shared."""
    gatherer = Gatherer(double)
    turns: list[int] = []

    async def turns_until_the_call() -> int:
        turns.clear()
        calls.clear()

        def turn() -> None:
            if not calls:
                turns.append(1)
                asyncio.get_running_loop().call_soon(turn)

        asyncio.get_running_loop().call_soon(turn)
        await gatherer.ask(1)
        return len(turns)

    assert [await turns_until_the_call() for _ in range(3)] == [0, 0, 0]
    await asyncio.gather(*map(gatherer.ask, range(5)))
    assert [await turns_until_the_call() for _ in range(3)] == [RETURN_TURNS, 0, 0]


@virtual_time
async def test_a_leader_that_is_cancelled_while_it_lets_others_in_asks_nothing(
    env: VirtualEnvironment,
) -> None:
    gatherer = Gatherer(double)
    await asyncio.gather(*map(gatherer.ask, range(5)))
    calls.clear()
    first = asyncio.ensure_future(gatherer.ask(1))
    second = asyncio.ensure_future(gatherer.ask(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == 4
    assert calls == [[2]]
    assert await gatherer.ask(3) == 6


@virtual_time
async def test_a_leader_that_is_cancelled_leaves_the_others_an_answer(
    env: VirtualEnvironment,
) -> None:
    """asyncio's own cancellation passes every shield, and ends the call under way."""
    gatherer = Gatherer(double)

    async def ask(question: int, patience: float) -> int:
        async with asyncio.timeout(patience):
            return await gatherer.ask(question)

    answers = await asyncio.gather(ask(0, 9), ask(1, 1.5), ask(2, 9), return_exceptions=True)
    assert [answers[0], answers[2]] == [0, 4]
    assert isinstance(answers[1], TimeoutError)
    assert calls == [[0], [1, 2], [2]]


@virtual_time
async def test_a_leader_that_is_cancelled_before_it_leads_passes_the_lead_on(
    env: VirtualEnvironment,
) -> None:
    """It was woken to lead, and cancelled before it came to run."""
    second: asyncio.Task[int] | None = None

    async def call(questions: Sequence[int]) -> list[int]:
        answers = await double(questions)
        if second is not None:
            asyncio.get_running_loop().call_soon(second.cancel)
        return answers

    gatherer = Gatherer(call)
    first = asyncio.ensure_future(gatherer.ask(1))
    await anyio.sleep(0.5)
    second = asyncio.ensure_future(gatherer.ask(2))
    third = asyncio.ensure_future(gatherer.ask(3))
    with anyio.fail_after(9):
        assert [await first, await third] == [2, 6]
        assert second.cancelled()
        assert await gatherer.ask(4) == 8


@pytest.mark.parametrize("seed", range(50))
def test_callers_that_are_cancelled_at_any_moment_harm_nobody(seed: int) -> None:
    """By asyncio or by anyio; the others get their answers, and the gatherer serves on."""

    async def main(env: VirtualEnvironment) -> None:
        chance = random.Random(seed)
        gatherer = Gatherer(double, at_once=3)

        async def ask(question: int) -> None:
            await anyio.sleep(chance.choice([0, 0.25, 1, 1.25, 2]))
            patience = chance.choice([0.25, 1, 1.5, 2, 60, 60, 60])
            try:
                if chance.random() < 0.5:
                    async with asyncio.timeout(patience):
                        assert await gatherer.ask(question) == 2 * question
                else:
                    with anyio.fail_after(patience):
                        assert await gatherer.ask(question) == 2 * question
            except TimeoutError:
                assert patience < 60

        await asyncio.gather(*map(ask, range(20)))
        assert await gatherer.ask(99) == 198

    run_virtual(main, seed=seed, timeout_virtual_seconds=300)
