"""The smallest deterministic loop that asyncio and anyio run on, for tests of what surrounds a loop."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any


class InlineLoop(asyncio.AbstractEventLoop):
    """Runs to the end at once; time jumps to the next timer."""

    is_deterministic = True

    def __init__(self) -> None:
        self.now = 0.0
        self.ready: deque[asyncio.Handle] = deque()
        self.timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self.armed = 0
        self.errors: list[Any] = []

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        outer = asyncio._get_running_loop()
        task = None if outer is None else asyncio.current_task(outer)
        if task is not None:
            asyncio.tasks._leave_task(outer, task)
        asyncio._set_running_loop(self)
        try:
            return self._run(self.create_task(main))
        finally:
            asyncio._set_running_loop(outer)
            if task is not None:
                asyncio.tasks._enter_task(outer, task)

    def _run(self, main: asyncio.Task[Any]) -> Any:
        while not main.done():
            while self.ready:
                handle = self.ready.popleft()
                if not handle._cancelled:
                    handle._run()
            if not main.done():
                self.now, _, timer = heapq.heappop(self.timers)
                self.ready.append(timer)
        return main.result()

    def time(self) -> float:
        return self.now

    def call_soon(
        self, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self.ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self.armed += 1
        heapq.heappush(self.timers, (when, self.armed, handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: Any = None, context: Any = None) -> asyncio.Task[Any]:
        return asyncio.Task(coro, loop=self, name=name, context=context)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context)

    def get_task_factory(self) -> None:
        return None

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False
