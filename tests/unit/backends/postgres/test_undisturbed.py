"""A course reaches its end once, however often those who drive it are cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from durable_async.backends.postgres.undisturbed import Course, Rests


class BoomError(Exception):
    """What a job may raise."""


async def job(waits: int, done: list[int], ends: Callable[[], int]) -> int:
    for turn in range(waits):
        if turn % 3 == 2:
            await asyncio.sleep(0)
        else:
            future = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(future.set_result, turn)
            assert await future == turn
        done.append(turn)
    return ends()


def boom() -> int:
    raise BoomError


@given(
    waits=st.integers(0, 12), patience=st.lists(st.integers(0, 5), max_size=6), fails=st.booleans()
)
def test_it_does_each_step_once_whoever_drives_it(
    waits: int, patience: list[int], fails: bool
) -> None:
    async def main() -> None:
        done: list[int] = []
        course = Course(job(waits, done, boom if fails else lambda: 7))
        error: BaseException | None = None
        for rounds in patience:
            driver = asyncio.ensure_future(drive(course))
            for _ in range(rounds):
                await asyncio.sleep(0)
            driver.cancel()
            [outcome] = await asyncio.gather(driver, return_exceptions=True)
            assert isinstance(outcome, int | BoomError | asyncio.CancelledError)
            if course.is_over:
                error = outcome if isinstance(outcome, BoomError) else None
                break
        if not course.is_over:
            try:
                assert await course == 7
            except BoomError as one:
                error = one
        assert course.is_over
        assert done == list(range(waits))
        assert isinstance(error, BoomError) == fails

    asyncio.run(main())


async def drive(course: Course[int]) -> int:
    return await course


async def test_a_cancelled_driver_does_not_cancel_what_is_awaited() -> None:
    gate = asyncio.get_running_loop().create_future()

    async def waits() -> str:
        return str(await gate)

    course = Course(waits())
    driver = asyncio.ensure_future(drive(course))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    driver.cancel()
    await asyncio.wait({driver})
    assert driver.cancelled()
    assert not course.is_over
    assert not gate.cancelled()
    gate.set_result("through")
    assert await course == "through"


async def test_a_cancelled_driver_hears_why() -> None:
    gate = asyncio.get_running_loop().create_future()

    async def waits() -> None:
        await gate

    course = Course(waits())
    driver = asyncio.ensure_future(drive(course))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    driver.cancel("by a scope")
    driver.cancel("once more")
    with pytest.raises(asyncio.CancelledError, match="by a scope"):
        await driver
    gate.set_result(None)
    assert await course is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize("fails", [False, True])
async def test_a_driver_that_is_cancelled_just_when_it_may_go_on_is_cancelled(fails: bool) -> None:
    gate = asyncio.get_running_loop().create_future()

    async def waits() -> str:
        return str(await gate)

    course = Course(waits())
    driver = asyncio.ensure_future(drive(course))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    if fails:
        gate.set_exception(BoomError())
    else:
        gate.set_result("through")
    driver.cancel()
    await asyncio.wait({driver})
    assert driver.cancelled()
    assert not course.is_over
    if fails:
        with pytest.raises(BoomError):
            await course
    else:
        assert await course == "through"


async def test_a_driver_goes_on_in_the_round_in_which_what_it_awaits_calls_back() -> None:
    gate = asyncio.get_running_loop().create_future()
    rounds: list[str] = []

    async def waits() -> None:
        await gate
        rounds.append("job")

    driver = asyncio.ensure_future(drive(Course(waits())))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    gate.set_result(None)
    asyncio.get_running_loop().call_soon(rounds.append, "later")
    await driver
    assert rounds == ["job", "later"]


async def test_an_error_of_what_is_awaited_is_the_jobs() -> None:
    gate = asyncio.get_running_loop().create_future()

    async def waits() -> str:
        try:
            await gate
        except BoomError:
            return "handled"
        return "not reached"

    gate.set_exception(BoomError())
    assert await Course(waits()) == "handled"


async def test_a_cancellation_of_what_is_awaited_is_the_jobs_too() -> None:
    gate = asyncio.get_running_loop().create_future()

    async def waits() -> str:
        try:
            await gate
        except asyncio.CancelledError:
            return "handled"
        return "not reached"

    asyncio.get_running_loop().call_soon(gate.cancel)
    assert await Course(waits()) == "handled"


async def test_rests_see_courses_to_their_end_and_tell() -> None:
    gates = [asyncio.get_running_loop().create_future() for _ in range(3)]
    ended: list[BaseException | None] = []
    rests = Rests()

    async def waits(gate: asyncio.Future[None]) -> None:
        await gate

    for gate in gates:
        rests.take(Course(waits(gate)), ended.append)
    gates[0].set_result(None)
    gates[1].set_exception(BoomError())
    gates[2].set_result(None)
    await rests.settle()
    await rests.settle()
    assert [type(error) for error in ended] == [type(None), BoomError, type(None)]


def test_a_loop_that_is_torn_down_ends_them() -> None:
    ended: list[BaseException | None] = []

    async def main() -> None:
        async def waits() -> None:
            await asyncio.get_running_loop().create_future()

        Rests().take(Course(waits()), ended.append)
        await asyncio.sleep(0)

    asyncio.run(main())
    assert [type(error) for error in ended] == [asyncio.CancelledError]


async def test_what_is_abandoned_is_heard_of_no_more() -> None:
    gate = asyncio.get_running_loop().create_future()

    async def waits() -> None:
        await gate

    course = Course(waits())
    driver = asyncio.ensure_future(drive(course))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    driver.cancel()
    with pytest.raises(asyncio.CancelledError):
        await driver
    course.abandon()
    assert course.is_over
    gate.set_exception(BoomError())
    await asyncio.sleep(0)
