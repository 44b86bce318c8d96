"""Connections that are kept: one for one purpose, or a few for clients' calls.

A statement that was sent is never cancelled, neither by whoever waits for it nor by a limit of time: the server might have committed already, and
the answer would not say so. Who is cancelled leaves, and the statement comes to its end; what takes too long loses its socket.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from functools import partial
from types import CoroutineType
from typing import Any, TypeAlias, TypeVar

import asyncpg

from durable_async.errors import ConfigurationError

from .address import PostgresTarget
from .connecting import connect
from .doubts import Doubts
from .failures import DRIVER_ERRORS, RolledBackError, is_unknown, translate
from .undisturbed import Course, Rests

T = TypeVar("T")

Job: TypeAlias = Callable[[Any], Awaitable[T]]
"""What runs on a connection: it awaits statements and nothing else, and leaves no transaction open."""

_COLLISIONS_MAX = 5
_COLLISION_PAUSE_SECONDS = 0.01
_ANSWER_SECONDS = 5.0
"""How much longer than the server's own limit an answer may take."""

_CLOSE_SECONDS = 2.0
_MOMENT_SECONDS = 0.2
_PATIENT_SECONDS = 5.0
"""What begins so soon after something was given up is waited for twice as long: it may be the same again, and its answer long on its way."""

_LEFT_ALONE: list[Any] = []
"""A parent's connections, kept from being closed in a forked child, where closing them would disturb the parent."""


class Link:
    """One connection for one purpose, made when it is first needed, and anew after a failure. Its jobs run one after the other."""

    def __init__(
        self,
        target: PostgresTarget,
        role: str,
        *,
        limit_seconds: float | None = None,
        doubts: Doubts | None = None,
    ) -> None:
        """Describe a connection; nothing happens yet.

        Args:
            target: Where to.
            role: What for; the server shows it.
            limit_seconds: How long a job may take before its socket is closed; a little more than the server's own limit by default.
            doubts: Asks, long before that, whether the server knows of the job.
        """
        self._target = target
        self._role = role
        self._limit_seconds = limit_of(target) if limit_seconds is None else limit_seconds
        self._doubts = doubts
        self._doubting: asyncio.Task[None] | None = None
        self._given_up = 0
        self._gave_up_at = 0.0
        self._connection: Any = None
        self._pid = os.getpid()
        self._lock = asyncio.Lock()
        self._rests = Rests()
        self._watchdog: asyncio.TimerHandle | None = None
        self._started_at: float | None = None
        self._used_at = 0.0
        self._when_free: list[Callable[[], None]] = []

    @property
    def is_connected(self) -> bool:
        """Whether it has a connection, that was there when it was last used."""
        return self._connection is not None

    @property
    def used_at(self) -> float:
        """When its last job ended, by the loop's clock."""
        return self._used_at

    async def run(self, job: Job[T]) -> T:
        """Run a job when those before it have ended.

        A caller that is cancelled leaves at once; what it sent comes to its end all the same, and the link is busy until then.

        Raises:
            BackendUnavailableError: Whether it took effect is unknown.
            RolledBackError: Nothing was written, because of what others did.
            BackendError: Nothing was written, and it is the job's own fault.
        """
        return await _again_after_collisions(self._run_once, job)

    async def close(self) -> None:
        """Let what runs end if that takes no longer than a moment, and let go of the connection. Safe to repeat."""
        if self._pid != os.getpid():
            self._leave_alone()
        if self._lock.locked():
            cut = asyncio.get_running_loop().call_later(_CLOSE_SECONDS, self._drop)
            try:
                async with self._lock:
                    pass
                await self._rests.settle()
            finally:
                cut.cancel()
        self._lock = asyncio.Lock()  # the next use may be on another loop
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        if self._doubting is not None:
            self._doubting.cancel()
        self.give_back()
        await self._rests.settle()

    def when_free(self, then: Callable[[], None]) -> None:
        """Call back once nothing runs on it: at once, or when what a cancelled caller left behind has ended."""
        if self._lock.locked():
            self._when_free.append(then)
        else:
            then()

    def give_back(self) -> None:
        """Say goodbye to the server, in the background, while no job runs; the next job connects anew."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._rests.take(Course(close_gently(connection)), _ignore)

    # -- one job

    async def _run_once(self, job: Job[T]) -> T:
        if self._pid != os.getpid():
            self._leave_alone()
        lock = self._lock
        await lock.acquire()
        course: Course[T] | None = None
        try:
            connection = self._connection
            if connection is None or connection.is_closed():
                connection = self._connection = await connect(self._target, self._role)
            course = Course(as_coroutine(job(connection)))
            self._watch()
            return await course
        except DRIVER_ERRORS as error:
            raise self._failure(error) from error
        finally:
            if course is None or course.is_over:
                self._end(lock)
            else:
                self._rests.take(course, partial(self._rest_ended, lock))

    def _failure(self, error: BaseException) -> Exception:
        failure = translate(error, self._target.description)
        if is_unknown(failure):
            self._drop()
        return failure

    def _rest_ended(self, lock: asyncio.Lock, error: BaseException | None) -> None:
        if isinstance(error, asyncio.CancelledError):
            self._drop()
        elif error is not None:
            self._failure(error)
        self._end(lock)

    def _end(self, lock: asyncio.Lock) -> None:
        self._started_at = None
        self._used_at = asyncio.get_running_loop().time()
        lock.release()
        callbacks, self._when_free = self._when_free, []
        for then in callbacks:
            then()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    def _leave_alone(self) -> None:
        _LEFT_ALONE.append((self._connection, self._watchdog, self._doubting, self._rests))
        self._connection = self._watchdog = self._doubting = None
        self._rests = Rests()
        self._lock = asyncio.Lock()
        self._when_free = []
        self._pid = os.getpid()

    # -- the limit of time

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        self._started_at = loop.time()
        if self._given_up and self._started_at > self._gave_up_at + _PATIENT_SECONDS:
            self._given_up = 0
        if self._watchdog is None:
            self._watchdog = loop.call_later(self._next_look_seconds(0.0), self._look)

    def _look(self) -> None:
        # One timer for many jobs: arming one for each would cost more than the rest of this class.
        self._watchdog = None
        if self._started_at is None:
            return
        loop = asyncio.get_running_loop()
        waited_seconds = loop.time() - self._started_at
        if waited_seconds >= self._limit_seconds:
            self._drop()
            return
        doubts = self._doubts
        is_long = waited_seconds >= self._doubt_after_seconds
        if doubts is not None and is_long and self._doubting is None:
            # A task, and nobody waits for it: it is about somebody who waits already.
            self._doubting = loop.create_task(self._doubt(doubts, self._started_at))
        left_seconds = self._next_look_seconds(waited_seconds) - waited_seconds
        self._watchdog = loop.call_later(left_seconds, self._look)

    @property
    def _doubt_after_seconds(self) -> float:
        if self._doubts is None:
            return self._limit_seconds
        return self._doubts.after_seconds * 2.0**self._given_up

    def _next_look_seconds(self, waited_seconds: float) -> float:
        return min(max(2 * waited_seconds, self._doubt_after_seconds), self._limit_seconds)

    async def _doubt(self, doubts: Doubts, started_at: float) -> None:
        """Close the socket if the server knows nothing of the job, and nothing a moment later."""
        connection = self._connection
        try:
            if connection is None or connection.is_closed():
                return
            pid = connection.get_server_pid()  # now: it may be closed while somebody asks
            for _ in range(2):
                await asyncio.sleep(_MOMENT_SECONDS)  # what has come may not have been read yet
                if self._started_at != started_at or await doubts.is_working_for(pid):
                    return
            if self._started_at == started_at and self._connection is connection:
                self._given_up += 1
                self._gave_up_at = asyncio.get_running_loop().time()
                self._drop()
        finally:
            self._doubting = None


class ClientLinks:
    """Connections for clients' calls: as many as are in use at once, up to a number, or the caller's own pool.

    One that was not used for a while is given back, so that an idle process holds none.
    """

    def __init__(
        self,
        target: PostgresTarget,
        links_max: int = 4,
        *,
        pool: Any = None,
        idle_seconds: float = 60.0,
        doubts: Doubts | None = None,
    ) -> None:
        """Describe connections; nothing happens yet.

        Args:
            target: Where to.
            links_max: Most connections at once.
            pool: An ``asyncpg.Pool`` to use in their place; it is neither opened nor closed here.
            idle_seconds: How long a connection is kept that nobody uses.
            doubts: As a link takes it.
        """
        if links_max < 1:
            raise ConfigurationError(f"clients_max must be 1 or more, not {links_max}")
        self._target = target
        self._links_max = links_max
        self._idle_seconds = idle_seconds
        self._doubts = doubts
        self._pooled = None if pool is None else _Pooled(target, pool)
        self._pid = os.getpid()
        self._begin()

    def _begin(self) -> None:
        self._links: list[Link] = []
        self._free: list[Link] = []
        self._places = asyncio.Semaphore(self._links_max)
        self._trimmer: asyncio.TimerHandle | None = None

    async def run(self, job: Job[T]) -> T:
        """Run a job on a connection that is free, as `Link.run` does."""
        if self._pooled is not None:
            return await self._pooled.run(job)
        if self._pid != os.getpid():
            self._leave_alone()
        await self._places.acquire()
        link = self._free.pop() if self._free else self._grow()
        try:
            return await link.run(job)
        finally:
            # Not before the statement of a caller that was cancelled has ended: the next caller is not to wait for it.
            link.when_free(partial(self._put_back, link, self._places))

    async def close(self) -> None:
        """Let go of all connections, also for who is cancelled meanwhile. Safe to repeat."""
        if self._pooled is not None:
            await self._pooled.close()
        if self._pid != os.getpid():
            self._leave_alone()
        links, trimmer = self._links, self._trimmer
        self._begin()
        if trimmer is not None:
            trimmer.cancel()
        async with AsyncExitStack() as closing:
            for link in links:
                closing.push_async_callback(link.close)

    def _grow(self) -> Link:
        link = Link(self._target, "client", doubts=self._doubts)
        self._links.append(link)
        return link

    def _put_back(self, link: Link, places: asyncio.Semaphore) -> None:
        if places is not self._places:
            return  # closed meanwhile
        self._free.append(link)
        places.release()
        if self._trimmer is None:
            loop = asyncio.get_running_loop()
            self._trimmer = loop.call_later(self._idle_seconds, self._trim)

    def _trim(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for link in self._free:
            if link.is_connected and link.used_at + self._idle_seconds <= now:
                link.give_back()
        left = [link.used_at for link in self._free if link.is_connected]
        if left or len(self._free) < len(self._links):
            soon = min(left, default=now) + self._idle_seconds
            self._trimmer = loop.call_at(soon, self._trim)
        else:
            self._trimmer = None

    def _leave_alone(self) -> None:
        _LEFT_ALONE.append((self._links, self._trimmer))
        self._pid = os.getpid()
        self._begin()


class _Pooled:
    """Runs jobs on the connections of a pool that is somebody else's."""

    def __init__(self, target: PostgresTarget, pool: Any) -> None:
        self._target = target
        self._pool = pool
        self._rests = Rests()

    async def run(self, job: Job[T]) -> T:
        return await _again_after_collisions(self._run_once, job)

    async def close(self) -> None:
        await self._rests.settle()

    async def _run_once(self, job: Job[T]) -> T:
        try:
            connection = await self._pool.acquire()
        except DRIVER_ERRORS as error:
            raise translate(error, self._target.description) from error
        course = Course(self._hold(connection, job))
        try:
            return await course
        finally:
            if not course.is_over:
                self._rests.take(course, _ignore)

    async def _hold(self, connection: Any, job: Job[T]) -> T:
        loop = asyncio.get_running_loop()
        limit = loop.call_later(limit_of(self._target), _terminate, connection)
        try:
            return await job(connection)
        except DRIVER_ERRORS as error:
            failure = translate(error, self._target.description)
            if is_unknown(failure):
                _terminate(connection)
            raise failure from error
        finally:
            limit.cancel()
            await self._release(connection)

    async def _release(self, connection: Any) -> None:
        try:
            await self._pool.release(connection, timeout=_ANSWER_SECONDS)
        except DRIVER_ERRORS:
            _terminate(connection)  # what the job did, it did


def _terminate(connection: Any) -> None:
    try:
        connection.terminate()
    except asyncpg.InterfaceError:
        return  # the pool has noticed already, and taken it back


def _ignore(error: BaseException | None) -> None:
    """Nobody is left to hear of it."""


async def _again_after_collisions(run: Callable[[Job[T]], Awaitable[T]], job: Job[T]) -> T:
    attempt = 0
    while True:
        try:
            return await run(job)
        except RolledBackError as error:
            attempt += 1
            if not error.is_collision or attempt > _COLLISIONS_MAX:
                raise
        await asyncio.sleep(_COLLISION_PAUSE_SECONDS * 2**attempt * random.random())  # noqa: S311 - jitter


def as_coroutine(awaitable: Awaitable[T]) -> Coroutine[Any, Any, T]:
    """Return something that can be driven by hand."""
    if isinstance(awaitable, CoroutineType):
        return awaitable

    async def wrapped() -> T:
        return await awaitable

    return wrapped()


def limit_of(target: PostgresTarget) -> float:
    """Return how long an answer is waited for, in seconds: the server's own limit comes first."""
    return target.statement_seconds + _ANSWER_SECONDS


async def close_gently(connection: Any) -> None:
    """Say goodbye to the server, or just leave if it does not answer."""
    try:
        await connection.close(timeout=_CLOSE_SECONDS)
    except DRIVER_ERRORS:
        connection.terminate()
    except BaseException:
        connection.terminate()
        raise
