"""Random orchestrators: trees of durable operations, and two interpreters that perform them.

A tree is plain data, so that hypothesis can shrink it, and a law can change it. Everything that a program does durably, it also
writes down in a trace of its own, which lets a law see what a replay did without asking the kernel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from durable_async._kernel.futures import when_all, when_any
from durable_async.errors import EntityLockError, EntityLockTimeoutError, ExecutionError
from durable_async.model.identity import EntityId
from durable_async.model.policy import ActivityOptions, RetryPolicy

Tree = tuple[Any, ...]

RETRIES = {
    "once": ActivityOptions(),
    "again": ActivityOptions(retry=RetryPolicy(max_attempts=3, first_delay=2, jitter=0.5)),
    "limited": ActivityOptions(
        retry=RetryPolicy(max_attempts=9, first_delay=3, max_elapsed=20), schedule_to_close=15
    ),
}


# -- growing trees

_numbers = st.integers(0, 3)
_seconds = st.sampled_from([0, 1, 1, 2.5, 4])

_leaves: st.SearchStrategy[Tree] = st.one_of(
    st.tuples(
        st.just("activity"),
        st.sampled_from(["ok", "flaky", "broken"]),
        _numbers,
        st.sampled_from(sorted(RETRIES)),
    ),
    st.tuples(st.just("sleep"), _seconds),
    st.tuples(st.just("timer"), _seconds),
    st.tuples(st.just("event"), st.sampled_from(["x", "y"])),
    st.tuples(st.just("child"), _numbers),
    st.tuples(st.just("status"), _numbers),
    st.tuples(st.just("drawn"), st.sampled_from(["", "dice"])),
    st.tuples(st.just("send"), _numbers),
    st.tuples(st.just("call"), _numbers, st.sampled_from(["add", "add", "refuse"])),
    st.tuples(st.just("signal"), _numbers, st.sampled_from([None, None, 0, 3])),
)
_sets = st.lists(_numbers, min_size=1, max_size=3, unique=True).map(tuple)
_patience = st.sampled_from([None, None, 2, 4])


def _grow(trees: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    some = st.lists(trees, min_size=1, max_size=4).map(tuple)
    return st.one_of(
        st.tuples(st.just("sequence"), some),
        st.tuples(st.just("gather"), some),
        st.tuples(st.just("first"), some),
        st.tuples(st.just("group"), some),
        st.tuples(st.just("limited"), some),
        st.tuples(st.just("race"), _numbers, _seconds),
        st.tuples(st.just("as completed"), some),
        st.tuples(st.just("timeout"), _seconds, trees),
        st.tuples(st.just("wait for"), _seconds, trees),
        st.tuples(st.just("shield"), _seconds, trees),
        st.tuples(st.just("cleanup"), trees, _numbers),
        st.tuples(st.just("attempt"), trees),
        st.tuples(st.just("queue"), some),
        st.tuples(st.just("section"), _sets, _patience, st.booleans(), trees),
        st.tuples(st.just("transfer"), _sets, _patience),
    )


_shallow = st.one_of(_leaves, _grow(_leaves))

trees: st.SearchStrategy[Tree] = st.lists(
    st.one_of(_shallow, _grow(_shallow), _grow(_grow(_shallow))), min_size=1, max_size=3
).map(lambda steps: ("sequence", tuple(steps)))

simple_trees: st.SearchStrategy[Tree] = st.lists(
    st.one_of(
        _leaves,
        st.tuples(
            st.sampled_from(["all", "any"]), st.lists(_numbers, min_size=1, max_size=4).map(tuple)
        ),
        st.tuples(st.just("transfer"), _sets, _patience),
    ),
    min_size=1,
    max_size=8,
).map(lambda steps: ("sequence", tuple(steps)))

_crashing = st.one_of(
    _leaves, st.tuples(st.just("crash"), _numbers), st.tuples(st.just("crash"), _numbers)
)


def _grow_crashing(trees: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    """Compounds out of which an error finds its way without starting anything new."""
    some = st.lists(trees, min_size=1, max_size=4).map(tuple)
    return st.one_of(
        st.tuples(st.just("sequence"), some),
        st.tuples(st.just("timeout"), _seconds, trees),
        st.tuples(st.just("section"), _sets, _patience, st.booleans(), trees),
        st.tuples(st.just("transfer"), _sets, _patience),
        st.tuples(st.just("beside"), _leaves, trees),
        st.tuples(st.just("awaited lock"), _sets, _patience, trees),
    )


crashing_trees: st.SearchStrategy[Tree] = st.lists(
    st.one_of(_crashing, _grow_crashing(_crashing), _grow_crashing(_grow_crashing(_crashing))),
    min_size=1,
    max_size=4,
).map(lambda steps: ("sequence", tuple(steps)))


# -- performing them


class CrashError(Exception):
    """A mistake in the code of a program."""


class Performer:
    """Performs trees for one run of the code.

    Attributes:
        trace: What it did durably, in order, without what it cancelled.
        mended: Whether it runs without its mistakes.
    """

    def __init__(self, ctx: Any, trace: list[Any], mended: bool = False) -> None:
        self.ctx = ctx
        self.trace = trace
        self.mended = mended
        self._latest: datetime = ctx.now()

    def note_timer(self, seconds: float) -> None:
        if seconds > 0:  # what is due at once is not recorded
            self.trace.append(("timer", seconds))

    def look_at_the_clock(self) -> None:
        now = self.ctx.now()
        assert now >= self._latest, "the clock went back"
        self._latest = now

    def start(self, tree: Tree) -> Any:
        """Return the durable future of a leaf."""
        ctx = self.ctx
        match tree:
            case ("activity", name, value, retries):
                self.trace.append(tree[:3])  # policies are not recorded
                return ctx.call_activity(name, value, options=RETRIES[retries])
            case ("timer", seconds):
                self.note_timer(seconds)
                return ctx.create_timer(seconds)
            case ("event", name):
                return ctx.wait_for_external_event(name)
            case ("child", value):
                self.trace.append(tree)
                return ctx.call_sub_orchestrator("child", value)
            case ("drawn", stream):
                drawn = [ctx.random(stream).randrange(100), str(ctx.uuid4(stream))]
                self.trace.append(("activity", drawn))
                return ctx.call_activity("ok", drawn)
            case _:
                raise AssertionError(tree)

    def at_once(self, tree: Tree) -> bool:
        """Perform a leaf that is not waited for; say whether it was one."""
        match tree:
            case ("status", value):
                self.ctx.set_custom_status(value)
            case ("send", value):
                self.trace.append(tree)
                self.ctx.send_event("other", "note", value)
            case ("signal", value, delay):
                self.signal(value, delay)
            case _:
                return False
        return True

    def begin(self, tree: Tree) -> Any:
        return self.call(*tree[1:]) if tree[0] == "call" else self.start(tree)

    def signal(self, number: int, delay: float | None) -> None:
        with suppress(EntityLockError):
            self.ctx.signal_entity(entity(number), "note", at=delay)
            self.trace.append(("signal", number, delay or None))

    def call(self, number: int, operation: str) -> Any:
        """Return the future of a call, or what the rules of sections say of it."""
        try:
            future = self.ctx.call_entity(entity(number), operation, 1)
        except EntityLockError as error:
            return show(error)
        self.trace.append(("call", number, operation))
        return future

    def lock(self, numbers: tuple[int, ...], timeout: float | None) -> Any:
        """Return the future of a section, or what the rules of sections say of it."""
        try:
            lock = self.ctx.lock_entities([*map(entity, numbers)], timeout=timeout, hold=9)
        except EntityLockError as error:
            return show(error)
        self.trace.append(("lock", lock.section.entity_ids))
        self.note_timer(timeout or 0)
        return lock

    async def __call__(self, tree: Tree) -> Any:
        before = self.ctx.now()
        if self.at_once(tree):
            return tree[1]
        perform = _compounds.get(tree[0])
        value = await (self.start(tree) if perform is None else perform(self, *tree[1:]))
        self.look_at_the_clock()
        if tree[0] in ("sleep", "timer"):
            assert self.ctx.now() - before >= timedelta(seconds=tree[1]), "a timer was early"
        return value

    def all_of(self, trees: tuple[Tree, ...]) -> list[asyncio.Task[Any]]:
        return [asyncio.create_task(self(tree)) for tree in trees]


async def _sleep(do: Performer, seconds: float) -> None:
    do.note_timer(seconds)
    await asyncio.sleep(seconds)


async def _sequence(do: Performer, trees: tuple[Tree, ...]) -> Any:
    return [await do(tree) for tree in trees]


async def _gather(do: Performer, trees: tuple[Tree, ...]) -> Any:
    values = await asyncio.gather(*map(do, trees), return_exceptions=len(trees) > 2)
    return [show(value) for value in values]


async def _first(do: Performer, trees: tuple[Tree, ...]) -> Any:
    done, pending = await asyncio.wait(do.all_of(trees), return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    lost = await asyncio.gather(*pending, return_exceptions=True)
    return [show(outcome(task)) for task in done], [show(value) for value in lost]


async def _race(do: Performer, value: int, seconds: float) -> Any:
    racers = {
        do.start(("activity", "ok", value, "once")),
        do.start(("event", "x")),
        do.start(("timer", seconds)),
    }
    done, pending = await asyncio.wait(racers, return_when=asyncio.FIRST_COMPLETED)
    for loser in pending:
        loser.cancel()
    return [show(winner.result()) for winner in done]


async def _group(do: Performer, trees: tuple[Tree, ...]) -> Any:
    tasks: list[asyncio.Task[Any]] = []
    failed: Any = None
    try:
        async with asyncio.TaskGroup() as group:
            tasks += [group.create_task(do(tree)) for tree in trees]
    except* ExecutionError as failures:
        failed = show(failures)
    return failed or [show(task.result()) for task in tasks]


async def _limited(do: Performer, trees: tuple[Tree, ...]) -> Any:
    limit = asyncio.Semaphore(2)

    async def one(tree: Tree) -> Any:
        async with limit:
            return await do(tree)

    return [show(v) for v in await asyncio.gather(*map(one, trees), return_exceptions=True)]


async def _as_completed(do: Performer, trees: tuple[Tree, ...]) -> Any:
    values = []
    for done in asyncio.as_completed(do.all_of(trees)):
        try:
            values.append(show(await done))
        except ExecutionError as error:
            values.append(show(error))
        await do(("activity", "ok", len(values), "once"))
    return values


async def _timeout(do: Performer, seconds: float, tree: Tree) -> Any:
    do.note_timer(seconds)
    try:
        async with asyncio.timeout(seconds):
            return await do(tree)
    except TimeoutError:
        return "timeout"


async def _wait_for(do: Performer, seconds: float, tree: Tree) -> Any:
    do.note_timer(seconds)
    coroutine = do(tree)
    try:
        return await asyncio.wait_for(coroutine, seconds)
    except TimeoutError:
        return "timeout"
    finally:
        coroutine.close()  # a mismatch may come before it has begun


async def _shield(do: Performer, seconds: float, tree: Tree) -> Any:
    inner = asyncio.create_task(do(tree))
    inner.add_done_callback(outcome)
    do.note_timer(seconds)
    try:
        async with asyncio.timeout(seconds):
            return await asyncio.shield(inner)
    except TimeoutError:
        return "left behind"


async def _beside(do: Performer, leaf: Tree, tree: Tree) -> Any:
    """Leave something under way, which is not awaited if the rest fails."""
    other = None if do.at_once(leaf) or leaf[0] in ("sleep", "crash") else do.begin(leaf)
    value = await do(tree)
    return [value, other if other is None or isinstance(other, str) else await other]


async def _awaited_lock(
    do: Performer, numbers: tuple[int, ...], timeout: float | None, tree: Tree
) -> Any:
    """Ask for a section, and do something else until it is there."""
    lock = do.lock(numbers, timeout)
    value = await do(tree)
    if isinstance(lock, str):
        return [lock, value]
    try:
        async with lock:
            return [value, show(await do(("call", numbers[0], "add")))]
    except EntityLockTimeoutError as error:
        return [value, show(error)]


async def _crash(do: Performer, value: int) -> Any:
    if not do.mended:
        raise CrashError(value)
    return await do(("activity", "ok", ["mended", value], "once"))


async def _cleanup(do: Performer, tree: Tree, value: int) -> Any:
    try:
        return await do(tree)
    finally:
        await do(("activity", "ok", ["clean", value], "once"))


async def _attempt(do: Performer, tree: Tree) -> Any:
    try:
        return await do(tree)
    except ExecutionError as error:
        return show(error)


async def _queue(do: Performer, trees: tuple[Tree, ...]) -> Any:
    queue: asyncio.Queue[Tree | None] = asyncio.Queue(maxsize=1)
    values = []

    async def consume() -> None:
        while (tree := await queue.get()) is not None:
            values.append(show(await do(("attempt", tree))))

    async with asyncio.TaskGroup() as group:
        group.create_task(consume())
        for tree in (*trees, None):
            await queue.put(tree)
    return values


async def _call(do: Performer, number: int, operation: str) -> Any:
    future = do.call(number, operation)
    return future if isinstance(future, str) else await future


async def _section(
    do: Performer, numbers: tuple[int, ...], timeout: float | None, is_async: bool, tree: Tree
) -> Any:
    lock = do.lock(numbers, timeout)
    if isinstance(lock, str):
        return [lock, show(await do(tree))]
    try:
        if is_async:
            async with lock:
                return await do(tree)
        with await lock:
            return await do(tree)
    except EntityLockTimeoutError as error:
        return show(error)


async def _transfer(do: Performer, numbers: tuple[int, ...], timeout: float | None) -> Any:
    inside = ("gather", tuple(("call", number, "add") for number in (*numbers, numbers[0])))
    return await _section(do, numbers, timeout, True, inside)


_compounds: dict[str, Callable[..., Any]] = {
    "sleep": _sleep,
    "sequence": _sequence,
    "gather": _gather,
    "first": _first,
    "race": _race,
    "group": _group,
    "limited": _limited,
    "as completed": _as_completed,
    "timeout": _timeout,
    "wait for": _wait_for,
    "shield": _shield,
    "cleanup": _cleanup,
    "attempt": _attempt,
    "queue": _queue,
    "call": _call,
    "section": _section,
    "transfer": _transfer,
    "beside": _beside,
    "awaited lock": _awaited_lock,
    "crash": _crash,
}


def entity(number: int) -> EntityId:
    """Return one of the entities that programs use."""
    return EntityId("counter", str(number))


def outcome(task: asyncio.Future[Any]) -> Any:
    """Return a result or an exception."""
    return "cancelled" if task.cancelled() else task.exception() or task.result()


def show(value: Any) -> Any:
    """Make an outcome fit for JSON."""
    if isinstance(value, BaseExceptionGroup):
        return [type(value).__name__, *map(show, value.exceptions)]
    return f"{type(value).__name__}: {value}" if isinstance(value, BaseException) else value


def asynchronous(
    tree: Tree, trace: list[Any], is_mended: Callable[[], bool] = lambda: False
) -> Callable[[Any], Any]:
    """Return an ``async def`` orchestrator that performs a tree."""

    async def orchestrator(ctx: Any) -> Any:
        trace.clear()
        return await Performer(ctx, trace, is_mended())(tree)

    return orchestrator


def generator(tree: Tree, trace: list[Any]) -> Callable[[Any], Any]:
    """Return a generator orchestrator that performs a simple tree."""

    def orchestrator(ctx: Any) -> Generator[Any, Any, Any]:
        trace.clear()
        do = Performer(ctx, trace)
        values = []
        for step in tree[1]:
            try:
                values.append(show((yield from _perform_simply(do, step))))
            except ExecutionError as error:
                values.append(show(error))
            do.look_at_the_clock()
        return values

    return orchestrator


def _perform_simply(do: Performer, step: Tree) -> Generator[Any, Any, Any]:
    match step:
        case ("all", numbers):
            return (yield when_all([do.start(("activity", "ok", n, "once")) for n in numbers]))
        case ("any", numbers):
            futures = [do.start(("activity", "ok", n, "once")) for n in numbers]
            return futures.index((yield when_any(futures)))
        case ("sleep", seconds):
            return (yield do.start(("timer", seconds)))
        case ("call", number, operation):
            future = do.call(number, operation)
            return future if isinstance(future, str) else (yield future)
        case ("transfer", numbers, timeout):
            return (yield from _transfer_simply(do, numbers, timeout))
        case _ if do.at_once(step):
            return step[1]
        case _:
            return (yield do.start(step))


def _transfer_simply(
    do: Performer, numbers: tuple[int, ...], timeout: float | None
) -> Generator[Any, Any, Any]:
    values = []
    try:
        with (yield do.lock(numbers, timeout)):
            for number in numbers:
                value = yield do.call(number, "add")
                values.append(value)
    except EntityLockTimeoutError as error:
        values.append(show(error))
    return values


# -- changing them


def changes(tree: Tree) -> Iterator[Tree]:
    """Go through programs that differ from this one in one place: an operation more, one less, or another one."""
    for position, part in enumerate(tree):
        if not isinstance(part, tuple):
            continue
        if part and isinstance(part[0], str):
            for changed in changes(part):
                yield (*tree[:position], changed, *tree[position + 1 :])
        else:
            for changed in _changed_lists(part):
                yield (*tree[:position], changed, *tree[position + 1 :])
    yield from _changed_leaf(tree)


def _changed_leaf(tree: Tree) -> Iterator[Tree]:
    match tree:
        case ("activity", name, value, retries):
            yield ("activity", name, value + 10, retries)
            yield ("activity", "renamed", value, retries)
        case ("timer" | "sleep" as kind, seconds):
            yield (kind, seconds + 7)
            yield ("child", 1)
        case ("child", value):
            yield ("child", value + 10)
        case ("event", _):
            yield ("event", "z")
        case ("call", number, operation):
            yield ("call", number + 10, operation)
            yield ("call", number, "other")
        case _:
            pass


def _changed_lists(trees: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    for index, tree in enumerate(trees):
        before, after = trees[:index], trees[index + 1 :]
        if not isinstance(tree, tuple):
            yield (*before, tree + 10, *after)
            continue
        yield (*before, ("activity", "new", 0, "once"), tree, *after)
        if before or after:
            yield (*before, *after)
        for changed in changes(tree):
            yield (*before, changed, *after)
