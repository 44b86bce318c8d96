"""Ends: what a worker committed as the end of an orchestration, handed to who waits for it in the same process.

Once the commit has landed, its result is as good as one that is read, and whoever waits need not ask the store for what was in this process a
moment ago. Nothing depends on it: who is not told here hears a hint, or looks.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class End:
    """An orchestration completed, and that is durable.

    Attributes:
        instance_id: Its id.
        execution: The execution that completed.
        name: The orchestrator's name.
        output: Its encoded result.
    """

    instance_id: str
    execution: int
    name: str
    output: bytes | None


class Ends:
    """Those of a process who wait for ends, by the id of what they wait for."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Callable[[End], None]]] = {}

    @contextmanager
    def awaited(self, instance_id: str, told: Callable[[End], None]) -> Generator[None]:
        """Have somebody called, on the event loop, at the end of an instance in the block."""
        waiting = self._waiting.setdefault(instance_id, [])
        waiting.append(told)
        try:
            yield
        finally:
            waiting.remove(told)
            if not waiting:
                del self._waiting[instance_id]

    def is_awaited(self, instance_id: str) -> bool:
        """Tell whether anybody waits for the end of an instance."""
        return instance_id in self._waiting

    def tell(self, end: End) -> None:
        """Tell those who wait for it."""
        for told in tuple(self._waiting.get(end.instance_id, ())):
            told(end)
