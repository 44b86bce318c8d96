"""Processes: each has a name and one life after the other, and in each a clock, a way to the store, a hub, and perhaps a worker."""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections.abc import Callable
from typing import Any, Protocol, cast

from durable_async.backend import Backend
from durable_async.hub import TaskHub
from durable_async.registry import Registry
from durable_async.testing.clock import VirtualEnvironment
from durable_async.testing.loop import NODE
from durable_async.worker import Worker, WorkerSettings

from .fates import Fates
from .loop import SimulationLoop
from .stores import Home, at_once
from .ways import Way

RESTART_SECONDS = 0.5
"""How long a process that died of itself is away."""


class Host(Protocol):
    """What processes stand on."""

    loop: SimulationLoop
    seed: int
    home: Home
    fates: Fates
    registry: Registry
    settings: WorkerSettings
    is_over: bool

    def applied(
        self, life: Life, verb: str, args: tuple[Any, ...], options: dict[str, Any], answer: Any
    ) -> None:
        """Hear of something that the store did for a process."""
        ...

    def answered(self, verb: str) -> None:
        """Hear that an answer came back."""
        ...

    def count(self, what: str) -> None:
        """Count something that happened to a process."""
        ...

    def ended(self, life: Life, task: asyncio.Task[None]) -> None:
        """Hear that a process has ended, without being killed."""
        ...


class Process:
    """A process by name, whichever life it is in.

    Attributes:
        name: As ``"w1"``.
        life: The one it is in, if it is in any.
        calls: How many it has made, in all its lives.
    """

    def __init__(self, name: str, host: Host, *, works: bool) -> None:
        self.name = name
        self.host = host
        self.works = works
        self.life: Life | None = None
        self.skew_us = 0
        self.cut_until = self.deaf_until = -math.inf
        self.restart_seconds = RESTART_SECONDS
        self.calls = 0
        self._lives = self._hints = 0
        self._births: list[Callable[[Life], None]] = []

    def begin(self) -> None:
        """Begin a life, unless it is in one."""
        if self.life is not None or self.host.is_over:
            return
        self._lives += 1
        self.life = Life(self, self._lives)
        self.life.begin()

    def begin_later(self) -> None:
        """Begin a life in a while."""
        self.host.loop.call_later(self.restart_seconds, self.begin, context=contextvars.Context())
        self.restart_seconds = RESTART_SECONDS

    def when_alive(self, act: Callable[[Life], None]) -> None:
        """Do something as soon as it is in a life and has opened the store."""
        if self.life is not None and self.life.hub is not None:
            act(self.life)
        else:
            self._births.append(act)

    def opened(self, life: Life) -> None:
        """Do what waited for a life."""
        births, self._births = self._births, []
        for act in births:
            act(life)

    def next_call(self) -> int:
        """Count a call."""
        self.calls += 1
        return self.calls

    def next_hint(self) -> int:
        """Count a hint."""
        self._hints += 1
        return self._hints

    def hear_again(self) -> None:
        """Make up for what was not heard: whoever listens again looks at everything, once."""
        if self.life is not None and not self.life.is_deaf:
            self.life.way.overhear()

    def calm(self) -> None:
        """End what was done to it, and let it live."""
        self.cut_until = self.deaf_until = -math.inf
        self.hear_again()
        if self.life is not None:
            self.host.loop.thaw(self.life.label)
        else:
            self.begin()


class Life:
    """One life of a process, as ``"w1.2"``: from its start until it is stopped, cancelled or killed.

    Attributes:
        label: Its name and the number of the life; the mark of its steps.
        context: That of its steps.
        env: Its clock, ids and chance.
        way: How it reaches the store.
        hub: The hub as it sees it, once it is open.
        worker: Its worker, if it has one, once the hub is open.
    """

    def __init__(self, process: Process, number: int) -> None:
        host = process.host
        self.process = process
        self.label = f"{process.name}.{number}"
        self.context = contextvars.Context()
        self.context.run(NODE.set, self.label)
        self.env = VirtualEnvironment(
            host.loop, seed=f"{host.seed}:{self.label}", pid=number, hostname=process.name
        )
        self.env.skew_us = process.skew_us
        self.store = host.home.backend(self.env)
        self.way = Way(self.store, self, host.fates, is_over=lambda: host.is_over)
        self.hub: TaskHub | None = None
        self.worker: Worker | None = None
        self.is_dead = False
        self.is_leaving = False
        self.task: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Set it going."""
        host = self.process.host
        self.task = host.loop.create_task(self._live(), name=self.label, context=self.context)
        self.task.add_done_callback(
            lambda task: host.ended(self, task), context=contextvars.Context()
        )

    async def _live(self) -> None:
        host = self.process.host
        await self.way.open()
        self.hub = TaskHub(
            cast("Backend", self.way),
            registry=host.registry,
            environment=self.env,
            retention=None,  # which begins long after a run is over
        )
        try:
            if self.process.works:
                self.worker = self.hub.worker(settings=host.settings)
            self.process.opened(self)
            if self.worker is None:
                await host.loop.create_future()
            else:
                await self.worker.run()
        finally:
            self.hub.client.close()
            await self.way.close()

    # -- what is done to it

    def kill(self, *, is_noticed: bool = True) -> None:
        """Let it be gone; the store notices at once, or only when the lease is over."""
        if self.is_dead:
            return
        self.is_dead = True
        host = self.process.host
        host.count("kill")
        host.loop.kill(self.label)
        if is_noticed:
            at_once(self.store.close())
        self.process.life = None
        self.process.begin_later()

    def stop(self) -> None:
        """Ask its worker to stop."""
        if self.worker is not None and not self.is_leaving:
            self.is_leaving = True
            self.process.host.count("stop")
            loop = self.process.host.loop
            self._stopping = loop.create_task(self.worker.stop(), context=self.context)

    def cancel(self) -> None:
        """Cancel it wherever it is."""
        if self.task is not None and not self.is_leaving:
            self.is_leaving = True
            self.process.host.count("cancel")
            self.task.cancel()

    def freeze(self, seconds: float) -> None:
        """Let it do nothing for a while."""
        self._hold(self.process.host.loop.freeze, "freeze", seconds)

    def stall(self, seconds: float) -> None:
        """Block its event loop for a while."""
        self._hold(self.process.host.loop.stall, "stall", seconds)

    def _hold(self, hold: Callable[[str], None], what: str, seconds: float) -> None:
        host = self.process.host
        host.count(what)
        hold(self.label)
        host.loop.call_later(seconds, host.loop.thaw, self.label, context=contextvars.Context())

    def evict(self) -> None:
        """Let its worker forget what it keeps warm."""
        session = None if self.worker is None else self.worker._session
        if session is None or not hasattr(session, "_turns"):
            return
        for slot in list(session._tools.slots.idle()):
            self.process.host.count("evict")
            self.context.copy().run(session._release, slot)

    # -- for its way

    @property
    def name(self) -> str:
        """The name of the process."""
        return self.process.name

    @property
    def is_cut_off(self) -> bool:
        """Whether it does not reach the store just now."""
        return self.process.host.loop.time() < self.process.cut_until

    @property
    def is_deaf(self) -> bool:
        """Whether it hears no hint just now."""
        return self.process.host.loop.time() < self.process.deaf_until

    def next_call(self) -> int:
        """Count a call."""
        return self.process.next_call()

    def next_hint(self) -> int:
        """Count a hint."""
        return self.process.next_hint()

    def applied(
        self, verb: str, args: tuple[Any, ...], options: dict[str, Any], answer: Any
    ) -> None:
        """Pass on what the store did."""
        self.process.host.applied(self, verb, args, options, answer)

    def answered(self, verb: str) -> None:
        """Pass on that an answer came back."""
        self.process.host.answered(verb)
