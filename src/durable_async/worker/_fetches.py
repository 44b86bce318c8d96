"""Fetches by number, and which letters in the store a later fetch is still to tell of.

An instance's letter may go to another instance of the same worker directly only if nothing that was sent to that one before is still on
its way through the store: or it would overtake.
"""

from __future__ import annotations


class Fetches:
    """The fetches of one session, which are made one after the other.

    Attributes:
        begun: Number of the last one that was sent.
        taken: Number of the last one whose answer was taken in.
        asked: How many instances the one that is on its way may bring.
        owed: Instances for which something may be in the store that was not told of, each with the fetch that will tell.
    """

    def __init__(self) -> None:
        self.begun = 0
        self.taken = 0
        self.asked = 0
        self.owed: dict[str, int] = {}

    def begin(self, instances: int = 0) -> int:
        """Return the number of the next one, which asks for so many instances."""
        self.begun += 1
        self.asked = instances
        return self.begun

    def take(self) -> None:
        """Note that the answer to the last one has been taken in."""
        self.taken = self.begun
        self.asked = 0
        if self.owed:
            self.owed = {key: due for key, due in self.owed.items() if due > self.taken}

    def owe(self, instance_id: str) -> None:
        """Note that something for this instance was stored just now: a fetch that is sent from now on tells of it."""
        self.owed[instance_id] = self.begun + 1
