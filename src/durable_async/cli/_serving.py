"""Running a worker in this process until a signal comes: the first one drains, the second one stops at once."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import TaskGroup

from durable_async import Registry, TaskHub

SIGNALS = (signal.SIGINT, signal.SIGTERM)
OF_SIGNALS = 128
"""What the number of a signal is added to for the exit status of what ends by it."""
DRAIN_SECONDS = 15.0
"""A worker that was told to stop by another process of ours, and has not so long after, is ended; others take over."""


async def serve(
    hub: TaskHub,
    *,
    on_started: Callable[[], None],
    registry: Registry | None = None,
    beside: Callable[[anyio.Event], Awaitable[None]] | None = None,
) -> None:
    """Open a hub and run its worker; return when a signal has come and everything is handed back.

    Args:
        hub: As its program describes it, not open yet.
        on_started: Called when the worker has begun.
        registry: What the worker runs; the hub's by default.
        beside: What else runs as long, and ends when the event is set.
    """
    stop = anyio.Event()
    async with anyio.create_task_group() as group:
        opening = anyio.CancelScope()
        group.start_soon(_heed_signals, stop, opening)
        with opening:
            await _serve(hub, stop, group, opening, on_started, registry, beside)
        group.cancel_scope.cancel()


async def _serve(
    hub: TaskHub,
    stop: anyio.Event,
    group: TaskGroup,
    opening: anyio.CancelScope,
    on_started: Callable[[], None],
    registry: Registry | None,
    beside: Callable[[anyio.Event], Awaitable[None]] | None,
) -> None:
    async with hub, hub.worker(registry):
        opening.shield = (
            True  # from here on a signal sets the event, and is not to cut short what drains
        )
        on_started()
        if beside is None:
            await stop.wait()
        else:
            await beside(stop)


async def _heed_signals(stop: anyio.Event, opening: anyio.CancelScope) -> None:
    if sys.platform == "win32":
        # Ctrl-C raises KeyboardInterrupt there, and there is no second one.
        await anyio.sleep_forever()
    with anyio.open_signal_receiver(*SIGNALS) as signals:
        async for number in signals:
            if stop.is_set():
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(OF_SIGNALS + number)
            stop.set()
            if not opening.shield:
                opening.cancel()
