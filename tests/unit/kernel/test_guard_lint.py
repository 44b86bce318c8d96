"""The lint resolves what an orchestrator calls to the very object, whatever it is called there."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import functools
import importlib.util
import logging
import os
import pathlib
import random
import random as dice
import sys
import threading
import time
import types
import uuid
import warnings
from collections.abc import Callable, Iterator
from datetime import date, datetime
from time import monotonic as ticks, time as wall
from typing import Any
from uuid import uuid4

import pytest

from durable_async._kernel.guard import (
    DeterminismWarning,
    GuardPolicy,
    Severity,
    check,
    lint,
    lookup,
    unsafe_nondeterminism,
)
from durable_async._kernel.guard.bytecode import Reader
from durable_async._kernel.guard.catalogue import GROUPS
from durable_async._kernel.guard.lint import _Scope
from durable_async._kernel.guard.policy import forget_warnings
from durable_async.errors import ForbiddenOperationError

log = logging.getLogger(__name__)
own_dice = random.Random(7)
clock = time
namespace = types.SimpleNamespace(now=time.time)


def operations(function: Callable[..., Any]) -> list[str]:
    return [finding.operation for finding in lint(function)]


# -- what is found


async def plain_call(ctx: Any) -> float:
    return time.time()


async def imported_name(ctx: Any) -> float:
    return wall() + ticks()


async def module_alias(ctx: Any) -> float:
    return clock.monotonic() + dice.random()


async def local_alias(ctx: Any) -> float:
    now = time.time
    return now()


async def local_import(ctx: Any) -> int:
    import secrets
    from random import choice as pick

    return pick([1, 2]) + secrets.randbelow(3)


async def from_a_namespace(ctx: Any) -> float:
    return namespace.now()


async def clocks(ctx: Any) -> list[Any]:
    return [datetime.now(), datetime.utcnow(), datetime.today(), date.today()]


async def clocks_without_argument(ctx: Any) -> list[Any]:
    return [
        time.localtime(),
        time.gmtime(None),
        time.localtime(5.0),
        random.Random(),
        random.Random(5),
    ]


def generator(ctx: Any) -> Iterator[Any]:
    yield ctx.call_activity("x")
    yield uuid4()


async def async_generator_inside(ctx: Any) -> list[Any]:
    async def ids() -> Any:
        while True:
            yield uuid.uuid4()

    return [x async for x in ids()]


async def in_a_comprehension(ctx: Any) -> list[float]:
    return [time.time() for _ in range(3)]


async def in_a_lambda(ctx: Any) -> float:
    return max([1, 2], key=lambda x: x * time.time())


def closing_over(now: Callable[[], float]) -> Callable[[Any], Any]:
    async def orchestrator(ctx: Any) -> float:
        def inner() -> float:
            return now()

        return inner()

    return orchestrator


async def in_branches(ctx: Any) -> None:
    for _ in range(3):
        if ctx.x and ctx.y:
            try:
                await ctx.call_activity("x")
            except ValueError:
                time.sleep(1 if ctx.x else 2)
            finally:
                random.shuffle([x for x in ctx.y if x])


async def spread(ctx: Any) -> None:
    random.sample(*ctx.args, **ctx.kwargs)
    random.choices([1], k=2)


async def threads(ctx: Any) -> None:
    threading.Thread(target=print).start()
    thread = threading.Thread(target=print)
    thread.start()
    await asyncio.to_thread(print)
    pool = concurrent.futures.ThreadPoolExecutor()
    pool.submit(print)
    await asyncio.get_running_loop().run_in_executor(None, print)


async def files(ctx: Any) -> None:
    with open("x") as file:
        file.read()
    pathlib.Path("x").read_text()


async def partial_call(ctx: Any) -> float:
    return bound_clock()


bound_clock = functools.partial(time.time)


async def surroundings(ctx: Any) -> None:
    os.getenv("A")
    os.environ["A"]
    os.environ.get("A")


FOUND = [
    (plain_call, ["time.time"]),
    (imported_name, ["time.time", "time.monotonic"]),
    (module_alias, ["time.monotonic", "random.random"]),
    (local_alias, ["time.time"]),
    (local_import, ["random.choice", "secrets.randbelow"]),
    (from_a_namespace, ["time.time"]),
    (clocks, ["datetime.now", "datetime.utcnow", "datetime.today"]),
    (clocks_without_argument, ["time.localtime", "time.gmtime", "random.Random"]),
    (generator, ["uuid.uuid4"]),
    (async_generator_inside, ["uuid.uuid4"]),
    (in_a_comprehension, ["time.time"]),
    (in_a_lambda, ["time.time"]),
    (closing_over(time.time), ["time.time"]),
    (in_branches, ["time.sleep", "random.shuffle"]),
    (spread, ["random.sample", "random.choices"]),
    (
        threads,
        [
            "threading.Thread.start",
            "threading.Thread.start",
            "asyncio.to_thread",
            "ThreadPoolExecutor.submit",
            "loop.run_in_executor",
        ],
    ),
    (files, ["open", "pathlib.Path.read_text"]),
    (partial_call, ["time.time"]),
    (surroundings, ["os.getenv", "os.environ", "os.environ"]),
]


@pytest.mark.parametrize(("function", "expected"), FOUND, ids=lambda x: getattr(x, "__name__", ""))
def test_finds(function: Callable[..., Any], expected: list[str]) -> None:
    assert sorted(operations(function)) == sorted(expected)


def test_a_finding_names_the_line_and_what_to_use() -> None:
    (finding,) = lint(plain_call)

    line = plain_call.__code__.co_firstlineno + 1
    assert finding.source == f"{__file__}:{line}"
    assert "ctx.now()" in finding.instead
    assert finding.severity is Severity.HARD


def test_learns_of_new_modules_while_its_own_calls_are_watched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A watched call within the lookup, or another thread, may look things up and learn first."""
    is_ready = lookup._is_ready
    inside: list[str] = []

    def watched(module: str) -> bool:
        if not inside:
            inside.append(module)
            assert lookup.find(time.time) is not None
        return is_ready(module)

    monkeypatch.setattr(lookup, "_known", {})
    monkeypatch.setattr(lookup, "_pending", list(GROUPS))
    monkeypatch.setattr(lookup, "_is_ready", watched)

    assert "ThreadPoolExecutor.submit" in operations(threads)
    assert inside


# -- what is followed


def helper() -> float:
    return deeper()


def deeper() -> float:
    return time.time()


@functools.lru_cache
def cached() -> float:
    return time.time()


def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


@decorate
def decorated() -> float:
    return time.time()


@contextlib.contextmanager
def managed() -> Iterator[float]:
    yield time.time()


class Clock:
    def now(self) -> float:
        return self._read()

    def _read(self) -> float:
        return time.time()


class Stamped:
    def __init__(self) -> None:
        self.at = time.time()


@dataclasses.dataclass
class Order:
    id: uuid.UUID = dataclasses.field(default_factory=uuid4)


class Callee:
    def __call__(self, ctx: Any) -> float:
        return self.read()

    def read(self) -> float:
        return time.time()


the_clock = Clock()
recursive_depth = 0


def recursive(n: int) -> float:
    return recursive(n - 1) if n else time.time()


async def start_soon(ctx: Any) -> None:
    import anyio

    async with anyio.create_task_group() as group:
        loop = asyncio.get_running_loop()
        loop.call_soon(helper)
        group.start_soon(helper)


FOLLOWED = [
    lambda ctx: helper(),
    lambda ctx: cached(),
    lambda ctx: decorated(),
    lambda ctx: managed(),
    lambda ctx: the_clock.now(),
    lambda ctx: Clock().now(),
    lambda ctx: Stamped(),
    lambda ctx: recursive(3),
    Callee(),
    the_clock.now,
    decorated,
    start_soon,
]


@pytest.mark.parametrize("function", FOLLOWED)
def test_follows_what_is_called(function: Callable[..., Any]) -> None:
    assert operations(function) == ["time.time"]


def test_shows_who_made_the_value_for_code_without_a_file() -> None:
    async def orchestrator(ctx: Any) -> Order:
        return Order()

    (finding,) = lint(orchestrator)

    line = orchestrator.__code__.co_firstlineno + 1
    assert (finding.operation, finding.source) == ("uuid.uuid4", f"{__file__}:{line}")


# -- what is left alone


class Activity:
    __durable_activity__ = True

    def __call__(self) -> float:
        return time.time()


def charge() -> float:
    return time.time()


def marked() -> float:
    return time.time()


marked.__durable_activity__ = True  # type: ignore[attr-defined]
activity = Activity()


async def durable(ctx: Any) -> Any:
    await asyncio.sleep(1)
    async with asyncio.timeout(3), asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(2))
    await asyncio.gather(ctx.call_activity(charge), ctx.call_activity(marked), activity(), marked())
    ctx.random("x").shuffle([own_dice.random(), own_dice.randint(1, 2), own_dice.choice([1])])
    mine = random.Random(3)
    mine.shuffle([1, 2])
    log.info("at %s", ctx.now())
    warnings.warn("x", stacklevel=2)
    return (
        datetime.fromisoformat("2024-01-01"),
        uuid.uuid5(uuid.NAMESPACE_DNS, "x"),
        uuid.UUID(int=3),
    )


async def mentions(ctx: Any) -> Any:
    table = {"clock": time.time, "open": open}
    await ctx.call_activity(time.time, key=helper)
    return table, (time.sleep if ctx.x else None), isinstance(ctx, random.Random)


async def undecided(ctx: Any, now: Callable[[], float] | None = None) -> float:
    now = now or time.time
    if ctx.x:  # noqa: SIM108 - both forms are tried
        use = ctx.now
    else:
        use = time.time
    either = ctx.now if ctx.x else time.time
    other = time.time if ctx.x else ctx.now
    return use() + now() + either() + other()


@pytest.mark.parametrize(
    "function", [durable, mentions, undecided, asyncio.sleep, logging.Logger.info]
)
def test_leaves_alone(function: Callable[..., Any]) -> None:
    assert operations(function) == []


async def tolerated(ctx: Any) -> Any:
    with unsafe_nondeterminism():
        started = time.time()
        for _ in range(3):
            try:
                await ctx.call_activity("x")
                if ctx.x:
                    return time.time()
            except ValueError:
                time.sleep(1)
            finally:
                with contextlib.suppress(KeyError):
                    [time.time() for _ in range(2)]
    return started


async def tolerated_then_not(ctx: Any) -> None:
    async with ctx.lock:
        with unsafe_nondeterminism():
            time.time()
        time.monotonic()


def test_leaves_tolerated_blocks_alone() -> None:
    assert operations(tolerated) == []
    assert operations(tolerated_then_not) == ["time.monotonic"]


def test_a_name_without_a_value_yet_is_unknown() -> None:
    def make() -> Callable[..., Any]:
        async def orchestrator(ctx: Any) -> None:
            later()

        if sys.argv:
            return orchestrator
        later = time.time  # never reached: the cell stays empty
        return orchestrator

    assert operations(make()) == []


# -- policy


async def soft(ctx: Any) -> None:
    os.getpid()


async def soft_and_hard(ctx: Any) -> None:
    os.getpid()
    time.time()
    time.monotonic()


def test_policy_off_leaves_soft_findings_out() -> None:
    assert lint(soft, GuardPolicy.OFF) == []
    assert [f.operation for f in lint(soft_and_hard, GuardPolicy.OFF)] == [
        "time.time",
        "time.monotonic",
    ]


def test_check_warns_once_of_soft_findings() -> None:
    forget_warnings()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check(soft, GuardPolicy.WARN)
        check(soft, GuardPolicy.WARN)

    (warning,) = caught
    assert warning.category is DeterminismWarning
    assert (warning.filename, warning.lineno) == (__file__, soft.__code__.co_firstlineno + 1)
    assert "os.getpid" in str(warning.message)


def test_check_refuses_soft_findings_where_warnings_are_errors() -> None:
    forget_warnings()
    with pytest.raises(ForbiddenOperationError, match=r"os\.getpid"):
        check(soft, GuardPolicy.WARN)


def test_check_raises_soft_findings_on_request() -> None:
    with pytest.raises(ForbiddenOperationError, match=r"os\.getpid"):
        check(soft, GuardPolicy.RAISE)


@pytest.mark.filterwarnings("ignore::durable_async._kernel.guard.DeterminismWarning")
@pytest.mark.parametrize("policy", [GuardPolicy.OFF, GuardPolicy.WARN])
def test_check_refuses_hard_findings_under_every_policy(policy: GuardPolicy) -> None:
    with pytest.raises(ForbiddenOperationError) as caught:
        check(soft_and_hard, policy)

    assert caught.value.operation == "time.time"
    assert "time.monotonic" in caught.value.__notes__[0]


# -- the reader keeps count of the stack


def codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from codes(constant)


MODULES = ["argparse", "asyncio.tasks", "asyncio.taskgroups", "contextlib", "dataclasses", "shutil"]


@pytest.mark.parametrize("module", MODULES)
def test_the_stack_holds_only_the_result_at_every_return(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    depths: set[int] = set()
    step = Reader._step

    def watched(self: Reader, instruction: Any) -> None:
        if instruction.opname == "RETURN_VALUE":
            depths.add(len(self._stack))
        step(self, instruction)

    monkeypatch.setattr(Reader, "_step", watched)
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    source = pathlib.Path(spec.origin).read_text(encoding="utf-8")
    for code in codes(compile(source, spec.origin, "exec")):
        list(Reader(code, _Scope({})).read())

    assert depths == {1}
