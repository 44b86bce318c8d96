"""Other processes of a benchmark, that the first one starts, asks, and ends; they end with it, too."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import IO, cast

from benchmarks.samples import ROOT, emit
from benchmarks.server import DSN_VARIABLE

STOP_SECONDS = 20.0
START_SECONDS = 60.0


class Companion:
    """One of the other processes, as the first one sees it."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def figures(self) -> dict[str, float]:
        """Return what it counted since it was asked last."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        return await self.hear()

    async def hear(self) -> dict[str, float]:
        """Return the next line that it says.

        Raises:
            RuntimeError: It ended instead.
        """
        assert self._process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("another process of the benchmark has ended")
        figures: dict[str, float] = json.loads(line)
        return figures

    async def stop(self) -> None:
        """Let it end; one that does not is killed."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def companion(dsn: str, module: str, *arguments: str) -> AsyncGenerator[Companion]:
    """Run a module as another process for the length of the block; it begins when that one is ready."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        cwd=ROOT,
        stdin=PIPE,
        stdout=PIPE,
        env={**os.environ, DSN_VARIABLE: dsn},  # not an argument, which everybody can read
    )
    one = Companion(process)
    try:
        await one.hear()
        yield one
    finally:
        await one.stop()


@asynccontextmanager
async def companions(
    dsn: str, module: str, each: Sequence[Sequence[str]]
) -> AsyncGenerator[list[Companion]]:
    """Run several, each with arguments of its own."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(companion(dsn, module, *arguments))
            for arguments in each
        ]


async def attend(answer: Callable[[], Mapping[str, float]] = dict) -> None:
    """Be such a process: say that it is ready, answer when asked, and return when the first one lets it end."""
    emit({})
    lines = cast("IO[str]", sys.stdin)
    while await asyncio.to_thread(lines.readline):
        emit(answer())
