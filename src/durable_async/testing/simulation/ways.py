"""Way: how a process reaches the store. Calls take time, get lost on the way there or back, or arrive after the caller gave up."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NoReturn, Protocol

import anyio
import anyio.lowlevel

from durable_async.backend import Backend, Hearing
from durable_async.errors import BackendUnavailableError
from durable_async.model.records import Fence

from .fates import Fate, Fates
from .stores import at_once

LATE_VERBS = frozenset(
    {"register_worker", "retire_worker", "take_over", "fetch", "take_stock", "commit", "create", "send"}
)  # fmt: skip
"""What a caller may have given up and still happens. The port makes each harmless then, by a fence, a number or a request id."""

HANGING_SECONDS = 1.0


class Caller(Protocol):
    """The process whose way it is."""

    label: str
    context: contextvars.Context

    @property
    def is_dead(self) -> bool:
        """Whether it is gone."""
        ...

    @property
    def is_cut_off(self) -> bool:
        """Whether it does not reach the store just now."""
        ...

    @property
    def is_deaf(self) -> bool:
        """Whether it hears no hint just now."""
        ...

    @property
    def name(self) -> str:
        """Its name, which it has in every life."""
        ...

    def next_call(self) -> int:
        """Count a call, from 1."""
        ...

    def next_hint(self) -> int:
        """Count a hint, from 1."""
        ...

    def kill(self) -> None:
        """Let it be gone."""
        ...

    def freeze(self, seconds: float) -> None:
        """Let it do nothing for a while."""
        ...

    def applied(
        self, verb: str, args: tuple[Any, ...], options: dict[str, Any], answer: Any
    ) -> None:
        """Hear of something that the store did."""
        ...

    def answered(self, verb: str) -> None:
        """Hear that an answer came back."""
        ...


def _through(verb: str) -> Any:
    async def call(self: Way, *args: Any, **options: Any) -> Any:
        return await self._pass(verb, args, options)

    return call


def _ignore(what: Any) -> None:
    """Hear, and do nothing."""


class Heard(frozenset[str]):
    """What a hint is about, in an order that no hash decides."""

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(super().__iter__()))


class Way:
    """A backend as a process sees it."""

    def __init__(
        self, store: Backend, caller: Caller, fates: Fates, *, is_over: Callable[[], bool]
    ) -> None:
        self._store = store
        self._caller = caller
        self._fates = fates
        self._is_over = is_over
        self._listeners: dict[tuple[Any, ...], None] = {}

    # -- what needs no call

    @property
    def description(self) -> str:
        """What it is."""
        return self._store.description

    @property
    def letters_max(self) -> int:
        """How many letters a mailbox takes."""
        return self._store.letters_max

    def now_us(self) -> int:
        """Return the store's clock."""
        return self._store.now_us()

    async def open(self) -> None:
        """Open the store."""
        await self._store.open()

    async def close(self) -> None:
        """Close the store."""
        if not self._caller.is_dead:
            await self._store.close()

    # -- calls

    statistics = _through("statistics")
    read_workers = _through("read_workers")
    register_worker = _through("register_worker")
    retire_worker = _through("retire_worker")
    take_over = _through("take_over")
    read_fence = _through("read_fence")
    fetch = _through("fetch")
    take_stock = _through("take_stock")
    commit = _through("commit")
    unwanted_activities = _through("unwanted_activities")
    read_history = _through("read_history")
    create = _through("create")
    send = _through("send")
    read_answers = _through("read_answers")
    read_letters = _through("read_letters")
    read_queued = _through("read_queued")
    read = _through("read")
    query = _through("query")
    read_entities = _through("read_entities")
    query_entities = _through("query_entities")
    discard_entities = _through("discard_entities")
    purge = _through("purge")
    expire = _through("expire")
    rewrite = _through("rewrite")
    unpark = _through("unpark")

    async def withdraw(self, worker_id: str) -> None:
        """Let go of a sign of life, which is no call."""
        if not self._caller.is_dead and not self._is_over():
            await self._store.withdraw(worker_id)

    def offer(self, fence: Fence, offer: Any) -> Callable[[], None]:
        """Offer to take what is started here, which is no call."""
        return self._store.offer(fence, offer)

    def renew_lease(self, fence: Fence, lease_seconds: float) -> None:
        """Extend the lease, from a thread: nothing of this takes time."""
        fate = self._begin()
        if fate.loss in {"before", "reset", "late"}:
            self._lose(f"renew_lease was lost ({fate.loss})")
        if fate.loss == "kill_before":
            self._die()
        self._store.renew_lease(fence, lease_seconds)
        self._caller.applied("renew_lease", (fence, lease_seconds), {}, None)
        self._suffer(fate)
        if fate.loss == "after":
            self._lose("renew_lease got no answer")
        self._caller.answered("renew_lease")

    async def _pass(self, verb: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        fate = self._begin()
        if fate.loss == "reset":
            await anyio.lowlevel.checkpoint()
            self._lose(f"{verb} was reset")
        await self._travel(fate.there, partial(self._late, fate, verb, args, options))
        self._check(verb)
        if fate.loss in {"before", "late"}:
            if fate.loss == "late" and verb in LATE_VERBS:
                asyncio.get_running_loop().call_later(
                    fate.seconds,
                    self._apply_late,
                    verb,
                    args,
                    options,
                    context=contextvars.Context(),
                )
            self._lose(f"{verb} did not arrive in time")
        if fate.loss == "kill_before":
            await self._end()
        answer = self._apply(verb, args, options)
        if self._suffer(fate):
            await self._end()
        await self._travel(fate.back, lambda: None)
        self._check(verb)
        if fate.loss == "after":
            self._lose(f"the answer to {verb} was lost")
        self._caller.answered(verb)
        return answer

    def _begin(self) -> Fate:
        if self._is_over() or self._caller.is_dead:
            self._lose("the process is dead")
        fate = self._fates.of_call(self._caller.name, self._caller.next_call())
        if self._caller.is_cut_off and fate.luck < 0.5:
            self._lose("the store does not answer")
        return fate

    async def _travel(self, seconds: float, if_given_up: Callable[[], None]) -> None:
        """Be on the way for a while; a call that is given up meanwhile may be carried out all the same."""
        try:
            if seconds:
                await anyio.sleep(seconds)
            else:
                await anyio.lowlevel.checkpoint()
        except asyncio.CancelledError:
            if_given_up()
            raise

    def _late(self, fate: Fate, verb: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        if verb in LATE_VERBS and fate.loss is None and fate.luck < 0.5 and not self._is_over():
            asyncio.get_running_loop().call_later(
                fate.there, self._apply_late, verb, args, options, context=contextvars.Context()
            )

    def _check(self, verb: str) -> None:
        if self._caller.is_dead or self._is_over():
            self._lose("the process is dead")
        if self._caller.is_cut_off:
            self._lose(f"{verb}: the store does not answer")

    def _apply(self, verb: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        answer = at_once(getattr(self._store, verb)(*args, **options))
        self._caller.applied(verb, args, options, answer)
        return answer

    def _apply_late(self, verb: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        """Carry out what nobody waits for any more, and tell nobody what came of it."""
        if self._is_over():
            return
        try:
            self._apply(verb, args, options)
        except Exception:  # noqa: BLE001 - an error is an answer, too, and there is nobody to take it
            return

    def _suffer(self, fate: Fate) -> bool:
        """Let happen to the process what happens right after the call; tells whether it is gone."""
        if fate.loss == "kill_after":
            self._caller.kill()
            return True
        if fate.loss == "freeze":
            self._caller.freeze(fate.seconds)
        return False

    def _die(self) -> NoReturn:
        self._caller.kill()
        self._lose("the process is dead")

    async def _end(self) -> None:
        if not self._caller.is_dead:
            self._caller.kill()
        await asyncio.get_running_loop().create_future()

    def _lose(self, why: str) -> NoReturn:
        raise BackendUnavailableError(why)

    # -- hints

    @property
    def hearing(self) -> Hearing:
        """Tell how much depends on polling."""
        if self._caller.is_deaf:
            return Hearing.NEVER
        return Hearing.MOSTLY if self._fates.loses_hints else Hearing.ALWAYS

    def listen(
        self,
        on_work: Callable[[], None],
        on_changed: Callable[[Any], None],
        on_progress: Callable[[Any], None] | None = None,
    ) -> Callable[[], None]:
        """Listen as well as the process can; what is heard is heard by its own loop."""
        listeners = (on_work, on_changed, on_progress or _ignore)
        self._listeners[listeners] = None
        stop = self._store.listen(
            partial(self._hear, listeners, on_work),
            partial(self._hear, listeners, listeners[1]),
            partial(self._hear, listeners, listeners[2]),
        )

        def stop_all() -> None:
            self._listeners.pop(listeners, None)
            stop()

        return stop_all

    def overhear(self) -> None:
        """Notice that something may have happened."""
        for listeners in self._listeners:
            self._hear(listeners, listeners[0])
            self._hear(listeners, listeners[1], None)
            self._hear(listeners, listeners[2], None)

    def _hear(self, listeners: tuple[Any, ...], listener: Callable[..., None], *what: Any) -> None:
        if self._caller.is_dead or self._caller.is_deaf or self._is_over():
            return
        what = tuple(Heard(one) if one else one for one in what)
        fate = self._fates.of_hint(self._caller.name, self._caller.next_hint())
        loop = asyncio.get_running_loop()

        def hear() -> None:
            if listeners in self._listeners:
                listener(*what)

        for _ in range(fate.times):
            loop.call_later(fate.seconds, hear, context=self._caller.context)
