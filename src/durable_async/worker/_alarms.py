"""Alarms: when the timers of warm instances are due. Instances that were let go have theirs in the store."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import anyio

from ._slots import Slot, Slots

About = tuple[int, int, int] | None
SLEEP_SECONDS_MAX = 60.0


class Alarms:
    """A heap of due times on the store's clock; what it rings for may be long gone, and is looked up again.

    Args:
        slots: The warm instances.
        now_us: The store's clock.
    """

    def __init__(self, slots: Slots, now_us: Callable[[], int]) -> None:
        self._slots = slots
        self._now_us = now_us
        self._heap: list[tuple[int, int, Slot, About]] = []
        self._count = 0
        self._earlier = anyio.Event()
        self._prune_at = 1_000

    def set(self, at_us: int, slot: Slot, about: About = None) -> None:
        """Ring at a time."""
        if not self._heap or at_us < self._heap[0][0]:
            self._earlier.set()
        self._count += 1
        heapq.heappush(self._heap, (at_us, self._count, slot, about))
        if len(self._heap) > self._prune_at:
            self._prune()

    async def run(self, ring: Callable[[Slot, About], None]) -> None:
        """Call ``ring`` for what is due, until cancelled."""
        while True:
            now_us = self._now_us()
            while self._heap and self._heap[0][0] <= now_us:
                _, _, slot, about = heapq.heappop(self._heap)
                if slot.is_held:
                    ring(slot, about)
            self._earlier = anyio.Event()
            wait = (self._heap[0][0] - now_us) / 1e6 if self._heap else SLEEP_SECONDS_MAX
            with anyio.move_on_after(min(wait, SLEEP_SECONDS_MAX)):
                await self._earlier.wait()

    def _prune(self) -> None:
        """Drop what belongs to instances that are gone and what is there twice, so that timers do not pile up."""
        now = {id(slot): slot.instance.wake_at_us for slot in self._slots}
        kept: dict[tuple[int, int, About], tuple[int, int, Slot, About]] = {}
        for entry in self._heap:
            at_us, _, slot, about = entry
            if id(slot) in now and (about is not None or at_us == now[id(slot)]):
                kept[at_us, id(slot), about] = entry
        self._heap = list(kept.values())
        heapq.heapify(self._heap)
        self._prune_at = 2 * len(self._heap) + 1_000
