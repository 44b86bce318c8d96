"""Running a command anew whenever the code in a folder changes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
from anyio.abc import Process

from durable_async import MissingExtraError

from ._serving import DRAIN_SECONDS, OF_SIGNALS, SIGNALS
from ._terminal import note


async def keep_fresh(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
) -> int:
    """Run ``durable-async`` with these arguments, and begin anew when a Python file below the folder changes.

    Args:
        arguments: Of the command.
        folder: What is watched.
        environment: What it finds besides what is here. What may hold a password goes this way: other users see arguments.

    Returns:
        The exit status, once a signal came: 0, or that of the signal if a second one came.
    """
    try:
        from watchfiles import PythonFilter, awatch
    except ImportError as error:
        raise MissingExtraError("watchfiles", "dashboard", "--reload") from error

    stop = anyio.Event()
    changed = anyio.Event()

    async def watch() -> None:
        nonlocal changed
        async for _ in awatch(folder, watch_filter=PythonFilter(), stop_event=stop):
            changed.set()

    status = 0
    async with anyio.create_task_group() as group:
        current: list[Process] = []
        group.start_soon(_pass_on_signals, current, stop)
        group.start_soon(watch)
        while not stop.is_set():
            changed = anyio.Event()
            status = await _run_once(arguments, environment, current, changed, stop)
            if not stop.is_set():
                note("The code has changed: beginning anew.", "dim")
        group.cancel_scope.cancel()
    return status


async def _run_once(
    arguments: Sequence[str],
    environment: Mapping[str, str] | None,
    current: list[Process],
    changed: anyio.Event,
    stop: anyio.Event,
) -> int:
    """Run it until the code changes, or a signal ended it. One that ended by itself is waited with until then: its code is wrong."""
    process = await anyio.open_process(
        [sys.executable, "-m", "durable_async.cli._tied", *arguments],
        stdin=subprocess.PIPE,
        stdout=None,
        stderr=None,
        env={**os.environ, **(environment or {})},
        start_new_session=True,  # what the terminal sends is passed on here, and not heard twice
    )
    current.append(process)
    if stop.is_set():  # a signal came while it was begun, and did not reach it
        process.send_signal(signal.SIGTERM)
    try:
        await _first_of(changed, stop)
        if process.returncode is None and not stop.is_set():
            process.send_signal(signal.SIGTERM)
        with anyio.move_on_after(DRAIN_SECONDS):
            await process.wait()
    finally:
        current.clear()
        if process.returncode is None:
            process.kill()
        with anyio.CancelScope(shield=True):
            await process.wait()
            assert process.stdin is not None
            await process.stdin.aclose()
    status = process.returncode or 0
    return status if status >= 0 else OF_SIGNALS - status


async def _first_of(*events: anyio.Event) -> None:
    async with anyio.create_task_group() as group:

        async def wait(event: anyio.Event) -> None:
            await event.wait()
            group.cancel_scope.cancel()

        for event in events:
            group.start_soon(wait, event)


async def _pass_on_signals(current: list[Process], stop: anyio.Event) -> None:
    if sys.platform == "win32":
        await anyio.sleep_forever()  # Ctrl-C raises KeyboardInterrupt there, and reaches both
        return
    with anyio.open_signal_receiver(*SIGNALS, signal.SIGHUP) as signals:
        async for number in signals:
            passed_on = number if number in SIGNALS else signal.SIGTERM  # the terminal was closed
            for process in current:
                if process.returncode is None:
                    process.send_signal(passed_on)
            if stop.is_set() and not current:
                os._exit(OF_SIGNALS + number)
            stop.set()
