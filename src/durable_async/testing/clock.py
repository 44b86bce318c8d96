"""Virtual time for tests: a month passes in a millisecond, and passes the same way every time.

    @virtual_time
    async def test_reminder_comes_after_thirty_days(env: VirtualEnvironment) -> None:
        ...
        await anyio.sleep(30 * DAY)

`loop` holds the event loop below it.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import random
from asyncio import events
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar, TypeVarTuple, overload

import anyio
import anyio.lowlevel

from durable_async.environment import Stoppable, check_interval
from durable_async.errors import ConfigurationError

from .failures import VirtualTimeError
from .loop import STEPS_MAX, VirtualTimeLoop, outside_the_loop

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

DAY = 86_400.0
RUN_SECONDS_MAX = 366 * DAY
CLEANUP_SECONDS_MAX = 3_600.0
CLEANUP_STEPS_MAX = 1_000_000

EPOCH_US = 1_767_225_600_000_000
"""What the clock shows when virtual time begins: the first of January 2026, UTC."""


class VirtualEnvironment:
    """The world on a virtual loop: one process of it, with a clock, a name and chance of its own.

    Args:
        loop: Gives the time.
        seed: Draws ids and chance; two environments of one seed draw the same.
        start_us: What the clock shows at time 0 of the loop.
        pid: What ``pid()`` says.
        hostname: What ``hostname()`` says.

    Attributes:
        loop: The loop.
        skew_us: How wrong the clock is. Set it at any moment, to any value; ``monotonic()`` does not follow.
    """

    def __init__(
        self,
        loop: VirtualTimeLoop,
        *,
        seed: int | str = 0,
        start_us: int = EPOCH_US,
        pid: int = 1,
        hostname: str = "virtual",
    ) -> None:
        self.loop = loop
        self.skew_us = 0
        self._start_us = start_us
        self._pid = pid
        self._hostname = hostname
        # Apart, so that one more draw of jitter changes no id.
        self._ids = random.Random(f"{seed}:ids")
        self._random = random.Random(f"{seed}:chance")

    def now_us(self) -> int:
        """Return microseconds since the epoch: the start, plus the loop's time, plus the skew."""
        return self._start_us + round(self.loop.time() * 1_000_000) + self.skew_us

    def monotonic(self) -> float:
        """Return the loop's time."""
        return self.loop.time()

    def new_id(self) -> str:
        """Return the next id of the seed."""
        return f"{self._ids.getrandbits(128):032x}"

    def random(self) -> random.Random:
        """Return the seed's source of chance."""
        return self._random

    async def run_in_thread(
        self,
        fn: Callable[[*Ts], T],
        *args: *Ts,
        limiter: anyio.CapacityLimiter | None = None,
        abandon_on_cancel: bool = False,
    ) -> T:
        """Call a function on the spot; it takes no virtual time.

        Others run before and after the call, and a cancellation is noticed where a real thread would notice it.
        """
        async with limiter or anyio.to_thread.current_default_thread_limiter():
            with outside_the_loop():
                result = fn(*args)
            if abandon_on_cancel:
                await anyio.lowlevel.checkpoint()
            else:
                await anyio.lowlevel.cancel_shielded_checkpoint()
        return result

    def every(self, seconds: float, fn: Callable[[], None], name: str) -> Stoppable:
        """Call a function by a timer of the loop. An exception fails the run, at its end, and the calls go on."""
        check_interval(seconds)
        return _RepeatingTimer(self.loop, seconds, fn, name)

    def pid(self) -> int:
        """Return the number it was given."""
        return self._pid

    def hostname(self) -> str:
        """Return the name it was given."""
        return self._hostname


class _RepeatingTimer:
    def __init__(
        self, loop: VirtualTimeLoop, seconds: float, fn: Callable[[], None], name: str
    ) -> None:
        self._loop = loop
        self._seconds = seconds
        self._fn = fn
        self._name = name
        self._stopped = False
        self._timer = loop.call_later(seconds, self._fire)

    def stop(self) -> None:
        self._stopped = True
        self._timer.cancel()

    async def join(self) -> None:
        await anyio.lowlevel.checkpoint()

    def _fire(self) -> None:
        try:
            with outside_the_loop():
                self._fn()
        except Exception as error:  # noqa: BLE001 - the run fails with it at its end
            message = f"{self._name} failed; it is called again"
            self._loop.call_exception_handler({"message": message, "exception": error})
        if not self._stopped:
            self._timer = self._loop.call_later(self._seconds, self._fire)


def is_background_call(callback: object) -> bool:
    """Tell whether a step is a call of ``VirtualEnvironment.every``, which stands for a thread."""
    return isinstance(getattr(callback, "__self__", None), _RepeatingTimer)


def run_virtual(
    main: Callable[[VirtualEnvironment], Awaitable[T]],
    *,
    seed: int | None = None,
    timeout_virtual_seconds: float = RUN_SECONDS_MAX,
    steps_max: int = STEPS_MAX,
) -> T:
    """Run an async function from its beginning to its end in virtual time, and return its result.

    What it left running is cancelled. With a seed, the order of what can run at the same time is drawn from it, and the garbage
    collector rests, because finalizers would run at moments that no seed decides.

    Args:
        main: Gets the environment.
        seed: Draws the order, the ids and chance.
        timeout_virtual_seconds: How far time may go.
        steps_max: How many steps of the loop may run.

    Raises:
        DeadlockError: Everybody waits, for nothing.
        VirtualTimeoutError: It was not done in time.
        RunawayError: It was not done in so many steps.
        ExceptionGroup: It succeeded, but background work raised what nobody handled.
        ConfigurationError: An event loop is running here already.
    """
    if events._get_running_loop() is not None:
        raise ConfigurationError(
            "virtual time brings an event loop of its own: call it where none is running"
        )
    loop = VirtualTimeLoop(seed=seed, steps_max=steps_max)
    loop.allow(seconds=timeout_virtual_seconds)
    unhandled = _collect_unhandled(loop)
    env = VirtualEnvironment(loop, seed=0 if seed is None else seed)
    with _garbage_collection(paused=seed is not None):
        result = _run_to_the_end(loop, _call(main, env))
    if unhandled:
        raise ExceptionGroup("background work raised what nobody handled", unhandled)
    return result


class _Decorator(Protocol):
    def __call__(self, test: Callable[..., Awaitable[None]], /) -> Callable[..., None]: ...


@overload
def virtual_time(test: Callable[..., Awaitable[None]], /) -> Callable[..., None]: ...


@overload
def virtual_time(
    *,
    seed: int | None = None,
    timeout_virtual_seconds: float = RUN_SECONDS_MAX,
    steps_max: int = STEPS_MAX,
) -> _Decorator: ...


def virtual_time(
    test: Callable[..., Awaitable[None]] | None = None, /, **options: Any
) -> Callable[..., None] | _Decorator:
    """Make a plain test of an async one: it runs in virtual time, by ``run_virtual``.

    The test's parameter ``env`` gets the `VirtualEnvironment`; every other one is left to pytest, for fixtures and parameters.
    Those fixtures must be plain: an async one would live on another loop. Use it bare or with the options of ``run_virtual``.

    Raises:
        ConfigurationError: The test has no parameter ``env``.
    """
    if test is None:
        return functools.partial(_decorate, options=options)
    return _decorate(test, options=options)


def _decorate(
    test: Callable[..., Awaitable[None]], /, *, options: dict[str, Any]
) -> Callable[..., None]:
    signature = inspect.signature(test)
    if "env" not in signature.parameters:
        raise ConfigurationError(f"{test.__qualname__} has no parameter 'env' to take virtual time")

    rest = [each for name, each in signature.parameters.items() if name != "env"]
    visible = signature.replace(parameters=rest)

    @functools.wraps(test)
    def in_virtual_time(*args: Any, **kwargs: Any) -> None:
        __tracebackhide__ = True
        given = visible.bind(*args, **kwargs).arguments
        run_virtual(lambda env: test(**given, env=env), **options)

    in_virtual_time.__signature__ = visible  # type: ignore[attr-defined]
    return in_virtual_time


async def _call(main: Callable[[VirtualEnvironment], Awaitable[T]], env: VirtualEnvironment) -> T:
    return await main(env)


def _run_to_the_end(loop: VirtualTimeLoop, main: Coroutine[Any, Any, T]) -> T:
    runner = asyncio.Runner(loop_factory=lambda: loop)
    try:
        result = runner.run(main)
    except BaseException as failure:
        _clean_up(runner, loop, failure)
        raise
    _clean_up(runner, loop, None)
    return result


def _clean_up(runner: asyncio.Runner, loop: VirtualTimeLoop, failure: BaseException | None) -> None:
    """Cancel what is left and close the loop; what goes wrong on the way never hides the failure before it."""
    loop.allow(seconds=CLEANUP_SECONDS_MAX, steps=CLEANUP_STEPS_MAX)
    try:
        runner.close()
    except VirtualTimeError as error:
        if failure is None:
            raise
        failure.add_note(f"Cancelling what was left failed too: {error}")


def _collect_unhandled(loop: VirtualTimeLoop) -> list[Exception]:
    unhandled: list[Exception] = []

    def collect(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, Exception):
            unhandled.append(error)
        loop.default_exception_handler(context)

    loop.set_exception_handler(collect)
    return unhandled


@contextmanager
def _garbage_collection(*, paused: bool) -> Generator[None, None, None]:
    if not paused or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
