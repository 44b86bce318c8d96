"""The documented patterns, read from where they are documented and executed as they stand."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.docs.markdown import ROOT, blocks
from tests.integration.worlds import World

from durable_async import OrchestrationState, TaskHub
from durable_async.testing import VirtualEnvironment
from durabletask import entities, task
from durabletask._runtime.texts import TextPayloads
from durabletask.serialization import DEFAULT_DATA_CONVERTER, DataConverter
from durabletask.worker import TaskHubGrpcWorker

VARIABLE = "DURABLE_TASK_PATTERNS"
BESIDE = ROOT.parent / "shared" / "patterns" / "durable_task_python_patterns.md"
FILE = Path(os.environ.get(VARIABLE, BESIDE))

_HEADING = re.compile(r"^#{2,3} +(?P<title>.+?) *$", re.MULTILINE)


def documented() -> dict[str, list[str]]:
    """Return the Python blocks below each heading, in order."""
    text = FILE.read_text(encoding="utf-8")
    found: dict[str, list[str]] = {}
    marks = [*_HEADING.finditer(text)]
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    for mark, end in zip(marks, ends, strict=True):
        inside = [block.text for block in blocks(text[mark.end() : end])]
        if inside:
            found[mark["title"]] = inside
    return found


class Program:
    """A program that is made of documented blocks, and of the names that they use and do not define.

    Attributes:
        names: Its global names.
        worker: What the blocks call ``worker``; not started.
    """

    def __init__(self, *, worker: TaskHubGrpcWorker | None = None, **names: Any) -> None:
        self.worker = worker or TaskHubGrpcWorker(logger=logging.getLogger(__name__))
        self.names: dict[str, Any] = {
            "__name__": "documented",
            "task": task,
            "entities": entities,
            "worker": self.worker,
            **names,
        }

    def execute(self, heading: str, number: int = 0) -> None:
        """Execute a block as it stands."""
        source = documented()[heading][number]
        exec(compile(source, f"<{heading}>", "exec", dont_inherit=True), self.names)

    def register(
        self,
        *,
        orchestrators: tuple[str, ...] = (),
        activities: tuple[str, ...] = (),
        entities: tuple[str, ...] = (),
    ) -> None:
        """Register what the blocks leave to the reader."""
        for name in orchestrators:
            self.worker.add_orchestrator(self.names[name])
        for name in activities:
            self.worker.add_activity(self.names[name])
        for name in entities:
            self.worker.add_entity(self.names[name])

    @asynccontextmanager
    async def running(self, world: World, env: VirtualEnvironment) -> AsyncIterator[Running]:
        """Run it in virtual time."""
        registry = self.worker._native_registry()
        async with (
            world.hub(env, registry, payloads=TextPayloads()) as hub,
            hub.worker(registry),
        ):
            yield Running(hub)


class Running:
    """A program at work, and a client that speaks its payloads."""

    def __init__(self, hub: TaskHub, converter: DataConverter = DEFAULT_DATA_CONVERTER) -> None:
        self.hub = hub
        self._converter = converter

    async def start(self, name: str, value: Any = None, *, version: str | None = None) -> str:
        text = self._converter.serialize(value)
        return (await self.hub.client.start(name, text, version=version)).instance_id

    async def ended(self, instance_id: str) -> OrchestrationState:
        return await self.hub.client.wait_for_end(instance_id)

    async def outcome(self, name: str, value: Any = None, *, version: str | None = None) -> Any:
        """Run an orchestration, and return its output."""
        return self.output(await self.ended(await self.start(name, value, version=version)))

    def output(self, state: OrchestrationState) -> Any:
        assert state.failure is None, state.failure
        return self._converter.deserialize(state.output())

    async def raise_event(self, instance_id: str, name: str, value: Any = None) -> None:
        text = self._converter.serialize(value)
        await self.hub.client.raise_event(instance_id, name.casefold(), text)
