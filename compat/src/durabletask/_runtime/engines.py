"""Engines: one thread with an event loop and an open store, for everybody in the process who uses one hub."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import logging
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from durable_async import Registry, TaskHub
from durable_async.backend import Backend
from durable_async.backends.memory import MemoryBackend, MemoryStore
from durable_async.environment import SystemEnvironment

from .addresses import Address
from .texts import TextPayloads

T = TypeVar("T")

EXIT_SECONDS = 10.0
"""So long the end of the process waits for what still runs."""

_log = logging.getLogger("durabletask")


class Engine:
    """A thread of its own with an event loop, and a store that is open as long as the thread lives.

    Attributes:
        address: The hub.
        users: How many use it; the engines' table counts.
        pid: The process that it lives in. A forked child has its memory, but not its thread.
    """

    def __init__(self, address: Address, backend: str | Backend) -> None:
        self.address = address
        self.users = 0
        self.pid = os.getpid()
        self._made_of = backend
        self._opened: concurrent.futures.Future[TaskHub] = concurrent.futures.Future()
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._serving: asyncio.Task[Any] | None = None
        self._lock = threading.Lock()
        self._is_ending = False
        self._hubs: list[TaskHub] = []
        self._shared: dict[tuple[int, ...], tuple[tuple[object, ...], TaskHub]] = {}
        self._thread = threading.Thread(
            target=self._live, name=f"durabletask hub {address.hub}", daemon=True
        )

    # -- what the thread does

    def start(self) -> None:
        """Begin to open the store."""
        self._thread.start()

    def _live(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            try:
                runner.run(self._serve())
            except BaseException as error:  # noqa: BLE001 - whoever waits for the opening has to hear of it
                if self._opened.done():
                    _log.warning("closing %s failed", self.address.hub, exc_info=error)
                else:
                    self._opened.set_exception(error)

    async def _serve(self) -> None:
        self._serving = asyncio.current_task()
        opening = TaskHub.open(
            self._made_of, hub=self.address.hub, registry=Registry(), payloads=TextPayloads()
        )
        async with opening as hub:
            self._opened.set_result(hub)
            await self._stopping.wait()
            await self._end_tasks()
            for extra in self._hubs:
                extra.client.close()

    async def _end_tasks(self) -> None:
        """Take nothing more, cancel what nobody stopped, and let it clean up while the store is open."""
        with self._lock:
            self._is_ending = True
        await asyncio.sleep(0)  # what was handed in before is a task now
        while left := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    # -- what other threads do

    @property
    def is_here(self) -> bool:
        """Whether the caller runs in the engine's thread."""
        return threading.current_thread() is self._thread

    def hub(self) -> TaskHub:
        """Return the open hub; wait for it if need be.

        Raises:
            DurableError: The store could not be opened.
        """
        return self._opened.result()

    def submit(
        self,
        coroutine: Coroutine[Any, Any, T],
        future: concurrent.futures.Future[T] | None = None,
    ) -> concurrent.futures.Future[T]:
        """Let a coroutine run on the loop; cancelling the future cancels it.

        Args:
            coroutine: What is to run.
            future: Gets what comes of it; a caller that makes it first can cancel whatever interrupts the handing in.

        Raises:
            RuntimeError: It is about to end.
        """
        outcome: concurrent.futures.Future[T] = future or concurrent.futures.Future()
        with self._lock:
            if not self._is_ending:
                self._loop.call_soon_threadsafe(self._begin, coroutine, outcome)
                return outcome
        coroutine.close()
        raise RuntimeError("the hub that this client or worker uses is closed")

    def _begin(
        self, coroutine: Coroutine[Any, Any, T], outcome: concurrent.futures.Future[T]
    ) -> None:
        if outcome.cancelled():
            coroutine.close()
            return
        task = self._loop.create_task(coroutine)
        task.add_done_callback(lambda task: _report(task, outcome))
        outcome.add_done_callback(
            lambda outcome: self._cancel(task) if outcome.cancelled() else None
        )

    def _cancel(self, task: asyncio.Task[Any]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the task has ended
            self._loop.call_soon_threadsafe(task.cancel)

    def make_hub(self, make: Callable[[], TaskHub]) -> TaskHub:
        """Make one more hub over the store, on the loop's own thread, and close its client with the engine."""

        def made() -> TaskHub:
            hub = make()
            self._hubs.append(hub)
            return hub

        return self._here(made)

    def shared_hub(self, make: Callable[[], TaskHub], *key: object) -> TaskHub:
        """Return the one hub of some objects; make it if there is none yet."""
        ids = tuple(map(id, key))

        def found_or_made() -> TaskHub:
            if ids not in self._shared:
                hub = make()
                self._hubs.append(hub)
                self._shared[ids] = key, hub  # the key is held, so that no other can get its ids
            return self._shared[ids][1]

        found = self._shared.get(ids)  # most calls need not go to the thread for it
        return self._here(found_or_made) if found is None else found[1]

    def _here(self, call: Callable[[], T]) -> T:
        """Call a function on the loop's own thread, and wait for it."""

        async def soon() -> T:
            return call()

        return call() if self.is_here else self.submit(soon()).result()

    def stop(self) -> None:
        """Ask it to end."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: it has ended
            self._loop.call_soon_threadsafe(self._stop_here)

    def _stop_here(self) -> None:
        self._stopping.set()
        if self._serving is not None and not self._opened.done():
            self._serving.cancel()

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, except in its own thread."""
        if not self.is_here:
            self._thread.join(timeout)


def _report(task: asyncio.Task[T], outcome: concurrent.futures.Future[T]) -> None:
    """Pass on what came of a task, unless nobody waits for it any more."""
    error = None if task.cancelled() else task.exception()
    if task.cancelled():
        outcome.cancel()
    if not outcome.set_running_or_notify_cancel():
        return
    if error is None:
        outcome.set_result(task.result())
    else:
        outcome.set_exception(error)


class Engines:
    """The engines of a process, by address."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[Address, Engine] = {}
        self._ending: dict[Address, Engine] = {}
        self._stores: dict[Address, MemoryStore] = {}

    def attach(self, address: Address) -> Engine:
        """Return the engine of an address, with one more user; start it if there is none.

        Raises:
            DurableError: The store could not be opened; nobody is attached then.
        """
        engine = self._one_more(address)
        try:
            if not engine.is_here:
                engine.hub()
        except BaseException:
            self.detach(engine)
            raise
        return engine

    def _one_more(self, address: Address) -> Engine:
        while True:
            with self._lock:
                before = self._ending.get(address)
                if before is None or before.is_here:
                    engine = self._running.get(address)
                    if engine is None:
                        engine = Engine(address, self._made_of(address))
                        engine.start()
                        self._running[address] = engine
                    engine.users += 1
                    return engine
            before.join()
            self._has_ended(before)

    def detach(self, engine: Engine) -> None:
        """Take one user away; the last one closes the store, and returns when that is done."""
        address = engine.address
        with self._lock:
            engine.users -= 1
            if engine.users or self._running.get(address) is not engine:
                return
            del self._running[address]
            self._ending[address] = engine
        engine.stop()
        if not engine.is_here:
            engine.join()
            self._has_ended(engine)

    def _has_ended(self, engine: Engine) -> None:
        with self._lock:
            if self._ending.get(engine.address) is engine:
                del self._ending[engine.address]

    def close_all(self) -> None:
        """Stop whatever runs, at the end of the process; what takes long is left to itself."""
        with self._lock:
            running, self._running = list(self._running.values()), {}
        for engine in running:
            engine.stop()
        for engine in running:
            engine.join(EXIT_SECONDS)

    def keep(self, address: Address, store: MemoryStore) -> None:
        """Let an address in memory mean a store of the caller's."""
        with self._lock:
            self._stores[address] = store

    def drop(self, address: Address) -> None:
        """Forget what an address in memory holds, once nobody uses it.

        Without the lock: a finaliser may ask at any allocation, also of the thread that holds it.
        """
        self._stores.pop(address, None)

    def _made_of(self, address: Address) -> str | Backend:
        """What is in memory outlives the engine: it would be gone with it otherwise."""
        if not address.is_memory:
            return address.url
        store = self._stores.get(address)
        if store is None:
            store = self._stores[address] = MemoryStore(SystemEnvironment())
        return MemoryBackend(store, hub=address.hub)


_engines = Engines()
_left_behind: list[Engines] = []


def engines() -> Engines:
    """Return the engines of this process."""
    return _engines


def _begin_anew() -> None:
    """Let a forked child make its own; the parent's are kept, so that nothing closes what the parent uses."""
    global _engines  # noqa: PLW0603 - one table for the process
    _left_behind.append(_engines)
    _engines = Engines()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
atexit.register(lambda: engines().close_all())
