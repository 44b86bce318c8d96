"""What a worker says when it is offered what its process starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from durable_async.model.records import ClaimedInstance, NewInstance


class Takes:
    """A worker's offer to take everything, or what it is told to."""

    def __init__(self) -> None:
        self.chosen: Callable[[NewInstance], bool] = lambda one: True
        self.taken: list[ClaimedInstance] = []
        self.told: list[bool] = []

    def choose(self, instances: Sequence[NewInstance]) -> Sequence[bool]:
        return [self.chosen(one) for one in instances]

    def take(self, claimed: ClaimedInstance, *, is_told: bool) -> None:
        self.taken.append(claimed)
        self.told.append(is_told)

    def ids(self) -> list[str]:
        return [one.instance_id for one in self.taken]
