"""Signs of life: a worker holds an advisory lock of the server, which frees it as soon as the process is gone.

The connection that holds the locks lives in a thread with an event loop of its own, so that whoever blocks the main loop loses neither lock nor
lease. If it is cut, it is made anew at once and takes every lock again.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import hashlib
import os
import random
import threading
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from durable_async.errors import BackendError, BackendUnavailableError, ConfigurationError

from .address import PostgresTarget
from .connecting import connect
from .failures import DRIVER_ERRORS, translate

T = TypeVar("T")

_CONNECT_SECONDS = 3.0
_STATEMENT_SECONDS = 5.0
_PAUSE_SECONDS = 0.02
_PAUSE_SECONDS_MAX = 1.0
_STILL_HELD_SECONDS = 0.1
_CLOSE_SECONDS = 2.0

_LEFT_ALONE: list[_Keeper] = []
"""A parent's, kept from being collected in a forked child."""


class Lifelines:
    """The signs of life of this process."""

    def __init__(self, target: PostgresTarget) -> None:
        """Describe them; nothing happens yet."""
        self._target = replace(
            target, connect_seconds=min(target.connect_seconds, _CONNECT_SECONDS)
        )
        self._starting = threading.Lock()
        self._keeper: _Keeper | None = None
        self._pid = os.getpid()

    async def hold(self, worker_id: str) -> int | None:
        """Begin to show that a worker of this process lives.

        Returns:
            The lock's key, or ``None`` where no sign of life is possible, such as behind a pooler.

        Raises:
            BackendUnavailableError: The server does not answer.
        """
        keeper = self._running()
        return await _answer(keeper.submit(keeper.hold(worker_id, self._key(worker_id))))

    async def drop(self, worker_id: str) -> None:
        """Withdraw a sign that is held here, if it is."""
        keeper = self._keeper
        if keeper is not None and self._pid == os.getpid():
            await _answer(keeper.submit(keeper.drop(worker_id)))

    def call(self, sql: str, *args: Any, timeout_seconds: float) -> Any:
        """Run a statement on the connection that holds the locks, from any thread, and return its first row or ``None``.

        Raises:
            BackendUnavailableError: No answer in time, or no server; whether it took effect is unknown.
        """
        keeper = self._running()
        answer = keeper.submit(keeper.call(sql, args))
        try:
            return answer.result(timeout_seconds)
        except concurrent.futures.TimeoutError:
            keeper.cut()
            raise BackendUnavailableError(
                f"{self._target.description} does not answer within {timeout_seconds:g} s"
            ) from None

    def were_cut_within(self, seconds: float) -> bool:
        """Tell whether this process lost its own signs of life a moment ago: then others may have lost theirs, and be alive."""
        keeper = self._keeper
        return keeper is not None and keeper.was_cut_within(seconds)

    async def close(self) -> None:
        """Withdraw every sign and end the thread. Safe to repeat."""
        with self._starting:
            keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        if self._pid != os.getpid():
            _LEFT_ALONE.append(keeper)
            return
        keeper.stop()
        await asyncio.get_running_loop().run_in_executor(None, keeper.join)

    def _running(self) -> _Keeper:
        with self._starting:
            if self._keeper is not None and self._pid != os.getpid():
                _LEFT_ALONE.append(self._keeper)
                self._keeper = None
            if self._keeper is None:
                self._pid = os.getpid()
                self._keeper = _Keeper(self._target)
            return self._keeper

    def _key(self, worker_id: str) -> int:
        name = f"durable_async worker\n{self._target.schema}\n{self._target.hub}\n{worker_id}"
        digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") >> 1  # positive


async def _answer(future: concurrent.futures.Future[T]) -> T:
    # The statement goes on if the caller is cancelled.
    return await asyncio.shield(asyncio.wrap_future(future))


class _Keeper:
    """The thread, its loop, its connection. Everything but the first four methods runs in the thread."""

    def __init__(self, target: PostgresTarget) -> None:
        self._target = target
        self._loop = asyncio.SelectorEventLoop()
        self._lock = asyncio.Lock()
        self._wanted = asyncio.Event()
        self._is_stopping = False
        self._connection: Any = None
        self._held: dict[str, int] = {}
        self._missing: set[str] = set()
        self.cut_at = float("-inf")
        self._thread = threading.Thread(
            target=self._run, name="durable-async postgres lifelines", daemon=True
        )
        self._thread.start()

    def submit(self, job: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Run a coroutine in the thread."""
        try:
            return asyncio.run_coroutine_threadsafe(job, self._loop)
        except RuntimeError as error:
            job.close()
            raise BackendUnavailableError(f"{self._target.description} is closed") from error

    def was_cut_within(self, seconds: float) -> bool:
        """Tell whether the connection was lost so short a time ago; from any thread."""
        return self._loop.time() - self.cut_at < seconds

    def cut(self) -> None:
        """Close the socket, and with it end whatever waits for an answer."""
        self._tell(self._terminate)

    def stop(self) -> None:
        """Begin to end."""
        self._tell(self._begin_to_stop)

    def join(self) -> None:
        """Wait for the end."""
        self._thread.join()

    def _tell(self, what: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(what)
        except RuntimeError:
            return  # it has ended

    # -- in the thread

    async def hold(self, worker_id: str, key: int) -> int | None:
        """Take a lock; ``None`` if there are none, or somebody else holds it."""
        async with self._lock:
            if worker_id in self._held:
                return key
            connection = await self._connected()
            if self._target.facts(direct=True).is_pooled:
                return None
            if not await self._try(connection, key):
                return None
            self._held[worker_id] = key
            return key

    async def drop(self, worker_id: str) -> None:
        """Let go of a lock."""
        async with self._lock:
            key = self._held.pop(worker_id, None)
            was_missing = worker_id in self._missing
            self._missing.discard(worker_id)
            if key is None or was_missing or self._connection is None:
                return
            try:
                await self._fetchrow(self._connection, "select pg_advisory_unlock($1)", key)
            except BackendUnavailableError:
                return  # the connection is gone, and the lock with it

    async def call(self, sql: str, args: tuple[Any, ...]) -> Any:
        """Run a statement."""
        async with self._lock:
            return await self._fetchrow(await self._connected(), sql, *args)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._mend())
        finally:
            self._terminate()
            _cancel_all(self._loop)
            self._loop.close()

    async def _mend(self) -> None:
        """Whenever the connection was cut, make it anew and take the locks again, until it is time to stop."""
        while not self._is_stopping:
            await self._wanted.wait()
            self._wanted.clear()
            pause = _PAUSE_SECONDS
            while self._is_incomplete():
                try:
                    async with self._lock:
                        await self._take_missing(await self._connected())
                except (BackendError, ConfigurationError):
                    pause = min(pause * 2, _PAUSE_SECONDS_MAX)
                    await self._rest(pause * (0.5 + random.random() / 2))  # noqa: S311 - jitter
                else:
                    if self._missing:
                        await self._rest(_STILL_HELD_SECONDS)
        await self._goodbye()

    def _is_incomplete(self) -> bool:
        is_cut = self._connection is None and bool(self._held)
        return not self._is_stopping and (is_cut or bool(self._missing))

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wanted.wait()
        except TimeoutError:
            return

    async def _connected(self) -> Any:
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        connection = await connect(self._target, "lifeline", direct=True)
        connection.add_termination_listener(self._was_cut)
        self._connection = connection
        if self._target.facts(direct=True).is_pooled:
            # A lock would stay in a session that others share, and outlive this process. So the workers that had one seem dead, and are
            # taken over; they come back without.
            self._held.clear()
        self._missing = set(self._held)
        await self._take_missing(connection)
        return connection

    async def _take_missing(self, connection: Any) -> None:
        for worker_id in list(self._missing):
            if await self._try(connection, self._held[worker_id]):
                self._missing.discard(worker_id)

    async def _try(self, connection: Any, key: int) -> bool:
        row = await self._fetchrow(connection, "select pg_try_advisory_lock($1)", key)
        return bool(row[0])

    async def _fetchrow(self, connection: Any, sql: str, *args: Any) -> Any:
        limit = self._loop.call_later(_STATEMENT_SECONDS, connection.terminate)
        try:
            return await connection.fetchrow(sql, *args)
        except DRIVER_ERRORS as error:
            failure = translate(error, self._target.description)
            if isinstance(failure, BackendUnavailableError):
                self._terminate()
            raise failure from error
        finally:
            limit.cancel()

    def _was_cut(self, connection: Any) -> None:
        if connection is self._connection:
            self._connection = None
            self.cut_at = self._loop.time()
            self._wanted.set()

    def _terminate(self) -> None:
        connection = self._connection
        if connection is not None:
            connection.terminate()

    def _begin_to_stop(self) -> None:
        self._is_stopping = True
        self._wanted.set()

    async def _goodbye(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.close(timeout=_CLOSE_SECONDS)
            except DRIVER_ERRORS:
                connection.terminate()


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for one in tasks:
        one.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
