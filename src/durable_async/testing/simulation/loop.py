"""SimulationLoop: virtual time in which processes die and freeze.

A process is a label in the context of its steps. One that is dead takes no further step: nothing of it is cancelled, no ``finally``
runs, as after ``kill -9``. One that is frozen takes none until it thaws, and then goes on with what it believed before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from durable_async.testing.clock import is_background_call
from durable_async.testing.loop import NODE, VirtualTimeLoop


class SimulationLoop(VirtualTimeLoop):
    """An event loop for many processes.

    Attributes:
        trace: Told each step before it runs.
        node: Whose step runs, also where code runs in a context of its own, as orchestrators do.
    """

    def __init__(self, *, seed: int, steps_max: int) -> None:
        super().__init__(seed=seed, steps_max=steps_max)
        self.trace: Callable[[str], None] | None = None
        self.node: str | None = None
        self._dead: set[str | None] = set()
        self._held: dict[str | None, list[asyncio.Handle]] = {}
        self._stalled: set[str | None] = set()
        # What belongs to the dead is kept to the end: what nobody refers to is finalized, and a finalizer may act.
        self._left: list[Any] = []

    def kill(self, node: str) -> None:
        """Let a process take no further step."""
        self._dead.add(node)
        self._left += self._held.pop(node, [])
        self._left += asyncio.all_tasks(self)

    def freeze(self, node: str) -> None:
        """Let a process take no step for a while."""
        self._stalled.discard(node)
        self._held.setdefault(node, [])

    def stall(self, node: str) -> None:
        """Let the event loop of a process take no step for a while; its threads go on."""
        if node not in self._held:
            self._stalled.add(node)
            self._held[node] = []

    def thaw(self, node: str) -> None:
        """Let a process go on."""
        self._stalled.discard(node)
        self._ready.extend(self._held.pop(node, ()))

    def resurrect(self) -> None:
        """Let all go on, the dead as well: for their tasks to be cancelled, once nothing counts any more."""
        self._dead.clear()
        for node in list(self._held):
            if node is not None:
                self.thaw(node)
        self._ready.extend(one for one in self._left if isinstance(one, asyncio.Handle))

    def _take(self) -> asyncio.Handle | None:
        while (handle := super()._take()) is not None:
            if not self._dead and not self._held:
                return handle
            node = handle._context.get(NODE)  # type: ignore[attr-defined]
            if node in self._dead:
                self._left.append(handle)
            elif node in self._held and not self._is_thread(node, handle):
                self._held[node].append(handle)
            else:
                return handle
        return None

    def _is_thread(self, node: str | None, handle: asyncio.Handle) -> bool:
        return node in self._stalled and is_background_call(handle._callback)  # type: ignore[attr-defined]

    def _step(self, handle: asyncio.Handle) -> None:
        self.node = handle._context.get(NODE)  # type: ignore[attr-defined]
        super()._step(handle)

    def _note(self, line: str) -> None:
        super()._note(line)
        if self.trace is not None:
            self.trace(line)
