"""Reenactment: a history shown to today's code, to see where that stands; nothing comes of it.

The code runs, as in every replay: what it does outside of durable calls, such as to print, it does once more.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from durable_async._kernel.futures import EventFuture
from durable_async._kernel.orchestration import Orchestration
from durable_async._kernel.places import Place
from durable_async._kernel.program import Program
from durable_async.errors import DurableError, TurnBudgetError
from durable_async.model.explanation import SourceLine, Stand
from durable_async.model.history import ExecutionStarted, HistoryEvent, TurnStarted

WatchTurn = Callable[[str, Callable[[], object]], object]
"""Calls what runs an instance's code, and interrupts it if it does not come back, as a worker's watchdog does."""


class Reenactment:
    """One execution, replayed turn by turn, until `close`.

    Attributes:
        error: Why it cannot be replayed: the code does not fit the history, does what no replay can repeat, or does not come back.
    """

    def __init__(
        self,
        instance_id: str,
        execution: int,
        started: ExecutionStarted,
        program: Program,
        watch: WatchTurn,
    ) -> None:
        self.error: DurableError | None = None
        self._instance_id = instance_id
        self._watch = watch
        self._orchestration = Orchestration(instance_id, execution, started, program)
        self._turn_at_us = 0
        self._since_us: dict[EventFuture[Any], int] = {}

    def show(self, turn: Sequence[HistoryEvent]) -> None:
        """Show the code one more turn; nothing happens after an error."""
        if self.error is not None:
            return
        try:
            self._watch(self._instance_id, partial(self._orchestration.replay, turn))
        except DurableError as error:
            self.error = error
            return
        for event in turn:
            if isinstance(event, TurnStarted):
                self._turn_at_us = event.at_us
        for future in self._orchestration.awaited_events():
            self._since_us.setdefault(future, self._turn_at_us)

    def awaited_events(self) -> list[tuple[str, int]]:
        """Return the external events that are waited for: name, and since when in microseconds."""
        return [
            (future.name, self._since_us[future]) for future in self._orchestration.awaited_events()
        ]

    def stands(self) -> tuple[Stand, ...]:
        """Return where the code's tasks stand."""
        return tuple(map(_stand, self._orchestration.places()))

    def close(self) -> None:
        """Let the code go."""
        with suppress(TurnBudgetError):
            self._watch(self._instance_id, self._orchestration.evict)


def _stand(place: Place) -> Stand:
    return Stand(
        task=place.task,
        lines=tuple(
            SourceLine(file, line, function, linecache.getline(file, line).strip())
            for file, line, function in place.lines
        ),
        seqs=tuple(future.seq for future in place.awaited if future.seq),
        events=tuple(future.name for future in place.awaited if isinstance(future, EventFuture)),
    )
