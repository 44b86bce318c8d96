"""Wake-ups between processes: LISTEN and NOTIFY on a connection of their own, after the commit that they tell of.

A NOTIFY inside a transaction would make all commits of the server wait for each other, so hints gather here and go out together, one statement at a
time. Whether anything arrives is found out by what one tells oneself: a socket that is only half open, or a pooler, is silent.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from durable_async.errors import BackendError, ConfigurationError

from .address import PostgresTarget
from .connecting import connect
from .failures import DRIVER_ERRORS, translate
from .hints import Pending, channel_of, decode, encode
from .link import close_gently

_log = logging.getLogger("durable_async")

_BETWEEN_SECONDS = 0.003
_STATEMENT_SECONDS = 5.0
_CLOSE_SECONDS = 1.0
_PAUSE_SECONDS = 0.05
_PAUSE_SECONDS_MAX = 1.0
_SECOND_LOOK_SECONDS = 0.25
_ORIGIN_LENGTH = 12
_PING = "?"

_OnChanged = Callable[[frozenset[str] | None], None]


class Ears:
    """Whoever listens in this process, what it says, and what others say."""

    def __init__(
        self,
        target: PostgresTarget,
        *,
        beat_seconds: float = 10.0,
        answer_seconds: float = 2.0,
        deaf_seconds: float = 60.0,
    ) -> None:
        """Describe it; nothing happens yet.

        Args:
            target: Where to; its ``direct_dsn`` is used if it has one.
            beat_seconds: How often to try whether anything arrives.
            answer_seconds: How long that may take.
            deaf_seconds: How long to go on without hearing, where nothing ever arrived, before the next attempt.
        """
        self._target = target
        self._beat_seconds = beat_seconds
        self._answer_seconds = answer_seconds
        self._deaf_seconds = deaf_seconds
        self._channel = channel_of(target.schema, target.hub)
        self._origin = secrets.token_hex(_ORIGIN_LENGTH // 2)
        self._listeners: dict[object, tuple[Callable[[], None], _OnChanged]] = {}
        self._pending = Pending()
        self._wake = asyncio.Event()
        self._has_tried = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._connection: Any = None
        self._stopped = asyncio.Event()
        self._has_warned = False
        self._hears = False
        self._is_answered = False

    @property
    def hears(self) -> bool:
        """Whether what other processes say arrives; if not, whoever waits has to look more often."""
        return self._hears

    def listen(self, on_work: Callable[[], None], on_changed: _OnChanged) -> Callable[[], None]:
        """Add a listener; returns how to take it out."""
        key = object()
        self._listeners[key] = (on_work, on_changed)

        def stop() -> None:
            self._listeners.pop(key, None)

        return stop

    def give(self, brought_work: bool, changed: set[str]) -> None:
        """Tell of a commit, on the event loop: listeners here at once, others soon."""
        if not (brought_work or changed):
            return
        self._tell(brought_work, frozenset(changed))
        if self._task is not None:
            self._pending.add(brought_work, changed)
            self._wake.set()

    async def open(self) -> None:
        """Begin to listen. Returns when the first attempt has succeeded or failed; others follow in the background."""
        if self._task is not None:
            return
        self._stopped = asyncio.Event()
        self._wake = asyncio.Event()
        self._has_tried = asyncio.Event()
        # The one task that outlives the call that made it: `close` ends it and waits for it.
        self._task = asyncio.get_running_loop().create_task(self._run())
        await self._has_tried.wait()

    async def close(self) -> None:
        """Stop listening, and forget who listened. Safe to repeat."""
        task, self._task = self._task, None
        self._listeners.clear()
        if task is None:
            return
        self._stopped.set()
        self._wake.set()
        _, late = await asyncio.wait({task}, timeout=_CLOSE_SECONDS)
        if late:
            if self._connection is not None:
                self._connection.terminate()
            task.cancel()
            await asyncio.wait({task})

    def _tell(self, brought_work: bool, changed: frozenset[str] | None) -> None:
        for on_work, on_changed in list(self._listeners.values()):
            if brought_work:
                on_work()
            if changed is None or changed:
                on_changed(changed)

    # -- the task

    async def _run(self) -> None:
        pause = _PAUSE_SECONDS
        while not self._stopped.is_set():
            try:
                await self._begin()
                pause = _PAUSE_SECONDS
                await self._serve()
            except (BackendError, ConfigurationError) as error:
                _log.debug("wake-ups are interrupted: %s", error)
            finally:
                self._hears = False
                self._has_tried.set()
                await self._end()
            if not self._stopped.is_set():
                await _until(self._stopped, pause * (0.5 + random.random() / 2))  # noqa: S311 - jitter
                pause = min(pause * 2, _PAUSE_SECONDS_MAX)

    async def _begin(self) -> None:
        connection = await connect(self._target, "ears", direct=True)
        connection.add_termination_listener(self._was_cut)
        self._connection = connection
        await self._do(connection.add_listener(self._channel, self._heard))
        # What was said before is lost, so look first; from here on nothing is.
        self._tell(True, None)

    async def _serve(self) -> None:
        """Say what there is to say, and try from time to time whether anything arrives, until the connection is of no use."""
        while await self._is_heard():
            self._hears = True
            self._has_tried.set()
            await self._say_for(self._beat_seconds * (0.75 + random.random() / 4))  # noqa: S311
        if self._hears or not self._is_alive():
            return
        self._warn()
        self._has_tried.set()
        await self._say_for(self._deaf_seconds)

    async def _is_heard(self) -> bool:
        """Call oneself, and wait for that to come back."""
        if not self._is_alive():
            return False
        self._is_answered = False
        await self._notify(self._origin + _PING)
        await self._say_for(self._answer_seconds, until_answered=True)
        if not self._is_answered and self._is_alive():
            # The loop may have been busy, and what has arrived not been read.
            await self._say_for(_SECOND_LOOK_SECONDS, until_answered=True)
        return self._is_answered

    async def _say_for(self, seconds: float, *, until_answered: bool = False) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while self._is_alive() and not (until_answered and self._is_answered):
            left_seconds = end - loop.time()
            if left_seconds <= 0:
                return
            if self._pending:
                await self._notify(self._origin + encode(self._pending.take()))
                await asyncio.sleep(_BETWEEN_SECONDS)
            else:
                await self._sleep(left_seconds)

    async def _notify(self, text: str) -> None:
        await self._do(self._connection.execute("select pg_notify($1, $2)", self._channel, text))

    async def _do(self, statement: Awaitable[object]) -> None:
        connection = self._connection
        limit = asyncio.get_running_loop().call_later(_STATEMENT_SECONDS, connection.terminate)
        try:
            await statement
        except DRIVER_ERRORS as error:
            raise translate(error, self._target.description) from error
        finally:
            limit.cancel()

    async def _sleep(self, seconds: float) -> None:
        """Sleep, unless there is something to do."""
        self._wake.clear()
        await _until(self._wake, seconds)

    async def _end(self) -> None:
        was_heard = self._is_answered
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if was_heard:
            await close_gently(connection)
        else:
            connection.terminate()

    # -- what the connection reports

    def _is_alive(self) -> bool:
        return self._connection is not None and not self._stopped.is_set()

    def _was_cut(self, connection: Any) -> None:
        if connection is self._connection:
            self._connection = None
            self._wake.set()

    def _heard(self, _connection: Any, _pid: int, _channel: str, text: str) -> None:
        origin, said = text[:_ORIGIN_LENGTH], text[_ORIGIN_LENGTH:]
        if origin == self._origin:
            if said == _PING:
                self._is_answered = True
                self._wake.set()
        elif said != _PING:
            hint = decode(said)
            self._tell(hint.brought_work, hint.changed)

    def _warn(self) -> None:
        if not self._has_warned:
            self._has_warned = True
            _log.warning(
                "notifications do not arrive from %s, as behind a transaction pooler: this process looks for news from time to time"
                " instead of being told. A direct_dsn past the pooler avoids the delay.",
                self._target.description,
            )


async def _until(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
