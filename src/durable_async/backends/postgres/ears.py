"""Wake-ups between processes: LISTEN and NOTIFY on a connection of their own, after the commit that they tell of.

A NOTIFY inside a transaction would make all commits of the server wait for each other, so hints gather here and go out together, one statement at a
time. Whether anything arrives is found out by trying. The first call comes by another connection, for what a session tells itself comes with the
answer, also behind a pooler that lets nothing through at other times. Later calls are the session's own: a socket that is only half open is silent.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import secrets
from collections.abc import Awaitable, Callable, Set as AbstractSet
from typing import Any

from durable_async.errors import BackendError, ConfigurationError

from .address import PostgresTarget
from .connecting import connect
from .failures import DRIVER_ERRORS, translate
from .hints import ANYTHING, Hint, Pending, channel_of, decode, encode
from .link import close_gently

_log = logging.getLogger("durable_async")

_BETWEEN_SECONDS = 0.0005
_BETWEEN_SECONDS_MAX = 0.004
"""Between two notifications; longer while there is always more to say, so that many changes become one."""

_LATER_SECONDS = 0.1
_STATEMENT_SECONDS = 5.0
_OPEN_SECONDS = 0.5
_CLOSE_SECONDS = 1.0
_PAUSE_SECONDS = 0.05
_PAUSE_SECONDS_MAX = 1.0
_SECOND_LOOK_SECONDS = 0.25
_DEAF_DOUBLINGS_MAX = 4
_ORIGIN_LENGTH = 12
_PING = "?"
_NOTIFY = "select pg_notify($1, $2)"

_OnWork = Callable[[], None]
_OnChanged = Callable[[frozenset[str] | None], None]
_OnProgress = Callable[[frozenset[str] | None], None]

_LEFT_ALONE: list[Any] = []
"""A parent's task and connection, kept from being closed in a forked child."""


class Ears:
    """Whoever listens in this process, what it says, and what others say."""

    def __init__(
        self,
        target: PostgresTarget,
        *,
        beat_seconds: float = 90.0,
        answer_seconds: float = 2.0,
        deaf_seconds: float = 60.0,
    ) -> None:
        """Describe it; nothing happens yet.

        Args:
            target: Where to; its ``direct_dsn`` is used if it has one.
            beat_seconds: How long to hear nothing before trying whether anything arrives.
            answer_seconds: How long that may take.
            deaf_seconds: How long to go on without hearing, where nothing ever arrived, before the next attempt; longer each time.
        """
        self._target = target
        self._beat_seconds = beat_seconds
        self._answer_seconds = answer_seconds
        self._deaf_seconds = deaf_seconds
        self._channel = channel_of(target.schema, target.hub)
        self._origin = secrets.token_hex(_ORIGIN_LENGTH // 2)
        self._listeners: dict[object, tuple[_OnWork, _OnChanged, _OnProgress | None]] = {}
        self._pending = Pending()
        self._wake = asyncio.Event()
        self._has_tried = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._connection: Any = None
        self._stopped = asyncio.Event()
        self._has_warned = False
        self._hears = False
        self._is_answered = False
        self._has_heard_others = False
        self._deaf_times = 0
        self._pid = os.getpid()

    @property
    def hears(self) -> bool:
        """Whether what other processes say arrives; if not, whoever waits has to look more often."""
        return self._hears

    def listen(
        self, on_work: _OnWork, on_changed: _OnChanged, on_progress: _OnProgress | None = None
    ) -> Callable[[], None]:
        """Add a listener; returns how to take it out."""
        key = object()
        self._listeners[key] = (on_work, on_changed, on_progress)

        def stop() -> None:
            self._listeners.pop(key, None)

        return stop

    def give(
        self,
        brought_work: bool,
        changed: set[str],
        states: AbstractSet[str] = frozenset(),
        progress: AbstractSet[str] = frozenset(),
    ) -> None:
        """Tell of a commit, on the event loop: listeners here at once, others soon.

        Of states and of progress they hear a little later, where many changes may become one, or with what else is said by then.
        """
        if not (brought_work or changed or states or progress):
            return
        if self._pid != os.getpid():
            self._leave_alone()
            self._start()  # whoever forked had it open
        if self._task is not None:
            was_waiting = self._pending.has_later
            self._pending.add(brought_work, changed, states, progress)
            if self._pending or not was_waiting:
                self._wake.set()  # before those here: the others have the longer way
        self._tell(Hint(brought_work, frozenset(changed | states), frozenset(progress)))

    def nudge(self) -> None:
        """Tell listeners here, and nobody else, that there may be work."""
        self._tell(Hint(brought_work=True, changed=frozenset()))

    async def open(self) -> None:
        """Begin to listen. Returns when the first attempt has succeeded or failed, or soon; it goes on in the background."""
        if self._pid != os.getpid():
            self._leave_alone()
        if self._task is None:
            self._start()
            await _until(self._has_tried, _OPEN_SECONDS)

    async def close(self) -> None:
        """Stop listening, and forget who listened. Safe to repeat."""
        if self._pid != os.getpid():
            self._leave_alone()
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

    def _start(self) -> None:
        self._stopped = asyncio.Event()
        self._wake = asyncio.Event()
        self._has_tried = asyncio.Event()
        # The one task that outlives the call that made it: `close` ends it and waits for it.
        self._task = asyncio.get_running_loop().create_task(self._run())

    def _leave_alone(self) -> None:
        _LEFT_ALONE.append((self._task, self._connection))
        self._task = self._connection = None
        self._hears = False
        self._origin = secrets.token_hex(_ORIGIN_LENGTH // 2)
        self._pid = os.getpid()

    def _tell(self, hint: Hint) -> None:
        for on_work, on_changed, on_progress in list(self._listeners.values()):
            if hint.brought_work:
                on_work()
            if hint.changed is None or hint.changed:
                on_changed(hint.changed)
            if hint.progress and on_progress is not None:
                on_progress(hint.progress)

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
        await self._do(connection, connection.add_listener(self._channel, self._heard))
        # What was said before is lost, so look first; from here on nothing is.
        self._tell(ANYTHING)

    async def _serve(self) -> None:
        """Say what there is to say, and try from time to time whether anything arrives, until the connection is of no use."""
        call = self._call_from_elsewhere
        while await self._is_heard(call):
            call = self._call_oneself
            self._hears = True
            self._deaf_times = 0
            self._has_tried.set()
            await self._say_while_heard()
        if self._hears or not self._is_alive():
            return
        self._warn()
        self._has_tried.set()
        connection = self._connection
        await self._do(connection, connection.remove_listener(self._channel, self._heard))
        await self._say_for(self._deaf_seconds * 2**self._deaf_times)
        self._deaf_times = min(self._deaf_times + 1, _DEAF_DOUBLINGS_MAX)

    async def _say_while_heard(self) -> None:
        """Say what there is to say, until nobody else has been heard for a while.

        Others' calls are heard, too: of many processes, each of which wakes all others when it calls, one calls at a time.
        """
        self._has_heard_others = True
        while self._has_heard_others and self._is_alive():
            self._has_heard_others = False
            await self._say_for(self._beat_seconds * (0.75 + random.random() / 4))  # noqa: S311

    async def _is_heard(self, call: Callable[[], Awaitable[None]]) -> bool:
        """Call, and wait for that to arrive; say nothing else meanwhile, lest it come with the answer to that."""
        if not self._is_alive():
            return False
        self._is_answered = False
        await call()
        for seconds in (self._answer_seconds, _SECOND_LOOK_SECONDS):
            # Looked for twice: the loop may have been busy, and what has arrived not been read.
            await self._wait_for_answer(seconds)
        return self._is_answered

    async def _call_from_elsewhere(self) -> None:
        other = await connect(self._target, "call")
        try:
            await self._notify(other, self._origin + _PING)
        finally:
            await close_gently(other)

    async def _call_oneself(self) -> None:
        await self._notify(self._connection, self._origin + _PING)

    async def _wait_for_answer(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while self._is_alive() and not self._is_answered:
            left_seconds = end - loop.time()
            if left_seconds <= 0:
                return
            await self._sleep(left_seconds)

    async def _say_for(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        due: float | None = None  # when to say what can wait
        pause = _BETWEEN_SECONDS
        while self._is_alive():
            now = loop.time()
            if now >= end:
                return
            if not self._pending.has_later:
                due = None
            elif due is None:
                due = now + _LATER_SECONDS
            if self._pending or (due is not None and now >= due):
                await self._say(self._connection)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _BETWEEN_SECONDS_MAX) if self._pending else _BETWEEN_SECONDS
                due = None
            else:
                await self._sleep((end if due is None else min(due, end)) - now)

    async def _say(self, connection: Any) -> None:
        await self._notify(connection, self._origin + encode(self._pending.take()))

    async def _notify(self, connection: Any, text: str) -> None:
        await self._do(connection, connection.execute(_NOTIFY, self._channel, text))

    async def _do(self, connection: Any, statement: Awaitable[object]) -> None:
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
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._is_answered:
            await self._say_goodbye(connection)
        else:
            connection.terminate()

    async def _say_goodbye(self, connection: Any) -> None:
        try:
            if self._pending or self._pending.has_later:
                await self._say(connection)
        except BackendError as error:
            _log.debug("hints were lost: %s", error)
        await close_gently(connection)

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
            return
        self._has_heard_others = True
        if said != _PING:
            self._tell(decode(said))

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
