"""Memos: what a worker with listeners remembers of a warm instance, to tell it when it is durable; gone with the instance's slot."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from durable_async.model.history import (
    HistoryEvent,
    TimerCancelled,
    TimerCreated,
    TimerFired,
    TurnStarted,
)
from durable_async.telemetry import Ongoing


class Memo(msgspec.Struct, eq=False):
    """What is remembered of one instance.

    Attributes:
        has_begun: Whether it was told that the code of this execution began.
        timers: When those that are open were created, by their numbers.
        ended: Attempts of activities that ended here, whose results are not recorded yet, by the activities' numbers.
        operations: Those of an entity that ended, whose effects are not recorded yet.
    """

    has_begun: bool = False
    timers: dict[int, int] = {}
    ended: dict[int, Ongoing] = {}
    operations: list[Ongoing] = []

    def recall(self, events: Iterable[HistoryEvent]) -> None:
        """Take note of the timers in a stretch of history."""
        at_us = 0
        for event in events:
            match event:
                case TurnStarted():
                    at_us = event.at_us
                case TimerCreated():
                    self.timers[event.seq] = at_us
                case TimerFired() | TimerCancelled():
                    self.timers.pop(event.seq, None)
                case _:
                    pass
