"""Starts that a worker of this process takes in the transaction that creates them: there is nothing to fetch, and nobody to wake."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from durable_async.backend import Offer
from durable_async.model.records import ClaimedInstance, Fence, NewInstance, StartOutcome


class Taking(NamedTuple):
    """What a worker of this process is to own of a call's instances, if they are new.

    Attributes:
        places: For each instance, in their order, whether it is one.
    """

    worker_id: str
    epoch: int
    places: Sequence[bool]


class Started(NamedTuple):
    """What came of a call.

    Attributes:
        taken: What the worker owns now.
        is_told: Whether fetches have collected all letters to what it owned before.
    """

    outcomes: list[StartOutcome]
    taken: Sequence[ClaimedInstance] = ()
    is_told: bool = False


class Offers:
    """What the workers of this process offer to take.

    The thread that writes does one thing after the other, and so does the loop that hears of it: a fetch that tells of letters to what was
    taken comes after the hand-over. For this, both have to be on one loop.
    """

    def __init__(self) -> None:
        self._offers: dict[str, tuple[int, Offer, asyncio.AbstractEventLoop]] = {}

    def add(self, fence: Fence, offer: Offer) -> Callable[[], None]:
        """Note what a worker offers; returns how to take that back."""
        self._offers[fence.worker_id] = (fence.epoch, offer, asyncio.get_running_loop())
        return lambda: self._forget(fence.worker_id)

    def _forget(self, worker_id: str) -> None:
        self._offers.pop(worker_id, None)

    def taking(self, instances: Sequence[NewInstance]) -> Taking | None:
        """Return what is to be taken of instances that are about to be created."""
        here = asyncio.get_running_loop()
        for worker_id, (epoch, offer, loop) in self._offers.items():
            if loop is not here:
                continue
            places = offer.choose(instances)
            if any(places):
                return Taking(worker_id, epoch, places)
        return None

    def hand_over(self, taking: Taking, started: Started) -> None:
        """Hand over what was taken. Who offers no more is about to retire, or was taken over: what it owns is freed with all else."""
        found = self._offers.get(taking.worker_id)
        if found is not None:
            for claimed in started.taken:
                found[1].take(claimed, is_told=started.is_told)
