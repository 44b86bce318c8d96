"""Chance that a replay repeats: streams seeded by the instance and a name.

Each name has a stream of its own, so that a draw added under one name shifts nothing under another.
"""

from __future__ import annotations

import hashlib
import random
import uuid


class Streams:
    """The random streams of one execution."""

    def __init__(self, instance_id: str, execution: int) -> None:
        self._seed = f"{instance_id}\0{execution}\0"
        self._streams: dict[str, random.Random] = {}

    def random(self, name: str) -> random.Random:
        """Return the stream of a name; the same object each time."""
        stream = self._streams.get(name)
        if stream is None:
            digest = hashlib.sha256((self._seed + name).encode()).digest()
            stream = self._streams[name] = random.Random(digest)
        return stream

    def uuid4(self, name: str) -> uuid.UUID:
        """Return the next id of a name."""
        return uuid.UUID(int=self.random(f"uuid\0{name}").getrandbits(128), version=4)

    def draw(self, seq: int, attempt: int) -> float:
        """Return a number in [0, 1) that belongs to one attempt of one operation."""
        digest = hashlib.sha256(f"{self._seed}{seq}\0{attempt}".encode()).digest()
        return int.from_bytes(digest[:7], "big") / (1 << 56)
