"""A worker process that may kill itself with SIGKILL, at its most delicate moment.

``mortal_worker.py URL HUB MOMENT NUMBER`` dies at its NUMBERth commit: ``before`` it is sent, ``during`` it, or ``after`` it is durable and nobody
has heard of that. With the moment ``never`` it works until it is ended.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from test_laws import SETTINGS, registry  # type: ignore[import-not-found]

from durable_async import TaskHub

Commit = Callable[..., Awaitable[Any]]

PATIENT = replace(SETTINGS, attempts_max=1_000)
"""What is tried while its worker kills itself is no culprit; after five times in a row it would be parked."""


def mortal(commit: Commit, moment: str, number: int) -> Commit:
    """Return a commit that is the last thing that the process does, when it is called for that time."""
    calls = 0

    async def at_last(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls != number:
            return await commit(*args)
        if moment != "before":
            committing = asyncio.ensure_future(commit(*args))
            await (committing if moment == "after" else asyncio.sleep(0.001))
        os.kill(os.getpid(), signal.SIGKILL)

    return at_last


async def main(url: str, name: str, moment: str, number: str) -> None:
    async with TaskHub.open(url, hub=name, registry=registry) as hub:
        if moment != "never":
            hub.backend.commit = mortal(hub.backend.commit, moment, int(number))  # type: ignore[method-assign, assignment]
        async with hub.worker(settings=PATIENT):
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
