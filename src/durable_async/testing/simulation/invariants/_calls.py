"""What the invariants look at: calls that a store has carried out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from durable_async.model.records import CommitItem, Fence, TurnCommit


class Call(msgspec.Struct, frozen=True):
    """A verb of the port that took effect.

    Attributes:
        node: The process that asked.
        verb: Name of the verb.
        args: What it was called with.
        options: The same, by name.
        answer: What came of it, whether or not the process will hear of it.
        now_us: The store's clock.
    """

    node: str
    verb: str
    args: tuple[Any, ...]
    options: dict[str, Any]
    answer: Any
    now_us: int

    @property
    def fence(self) -> Fence:
        """Whose call it is, if it is a worker's."""
        fence: Fence = self.args[0]
        return fence

    @property
    def items(self) -> tuple[CommitItem, ...]:
        """What a commit is made of."""
        return tuple(self.args[1])

    def turns(self) -> Iterator[TurnCommit]:
        """Go through the turns of a commit that were not left out."""
        dropped = self.answer.dropped
        for item in self.items:
            if isinstance(item, TurnCommit) and item.instance_id not in dropped:
                yield item
