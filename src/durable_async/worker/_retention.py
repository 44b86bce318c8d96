"""Retention carried out: a worker deletes what has been kept for long enough, little by little, beside its work."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import anyio

from durable_async.backend import Backend
from durable_async.environment import Environment
from durable_async.errors import BackendError
from durable_async.model.retention import Retention
from durable_async.model.upkeep import Expired, Expiry, Place

from ._rhythm import Rhythm

FEW = 2
"""So many workers of a hub have a round in the time in which each might, on average: one would do."""

STATEMENT_SECONDS = 0.1
"""A statement that takes longer is followed by one that looks at half as many."""

SHARE = 0.05
"""The most of the time that statements may take while there is much to delete; the rest of it they pause."""

PAUSE_SECONDS_MIN = 0.05

FIRST_LIMIT = 50
"""So many are looked at in the first statement, and twice as many in each that follows, for histories may be long."""

FROM_THE_BEGINNING_SECONDS = 86_400.0
"""A round goes on where the one before ended, and once a day from the beginning, for those that were kept because their parent went on."""

_log = logging.getLogger("durable_async")


@dataclass(slots=True)
class _Walk:
    """A walk along all that has ended, in order of completion.

    Attributes:
        expiry: What is to be deleted on it.
        batch: How many are looked at in one statement, at the most; and
        limit: at the moment.
        place: How far it has come.
        began_at: When it last began from the beginning.
    """

    expiry: Expiry
    batch: int
    limit: int
    began_at: float
    place: Place | None = None

    def take(self, expired: Expired, seconds: float) -> None:
        """Go on from where a statement has ended, with steps that suit how long it took."""
        self.place = expired.place
        if seconds > STATEMENT_SECONDS:
            self.shorten()
        else:
            self.limit = min(self.limit * 2, self.batch)

    def shorten(self) -> None:
        """Take steps of half the length."""
        self.limit = max(1, self.limit // 2)


class Retaining:
    """The rounds of one session.

    Args:
        backend: The store.
        environment: Time and chance.
        retention: What is kept for how long.
        rhythm: How often what is old is forgotten, and how many workers there are.
        deleted: Hears how many orchestrations were deleted, by name.
    """

    def __init__(
        self,
        backend: Backend,
        environment: Environment,
        retention: Retention,
        rhythm: Rhythm,
        deleted: Callable[[Counter[str]], None],
    ) -> None:
        self._backend = backend
        self._environment = environment
        self._rhythm = rhythm
        self._deleted = deleted
        now = environment.monotonic()
        self._walks = [
            _Walk(expiry, retention.batch, min(FIRST_LIMIT, retention.batch), now)
            for expiry in retention.expiries()
        ]

    async def run(self) -> None:
        """Have a round now and then, for ever."""
        while self._walks:
            await anyio.sleep(self._rhythm.upkeep_seconds)
            if self._is_one_of_few():
                await self._round()

    def _is_one_of_few(self) -> bool:
        workers = self._rhythm.workers
        return workers <= FEW or self._environment.random().random() * workers < FEW

    async def _round(self) -> None:
        for walk in self._walks:
            now = self._environment.monotonic()
            if now - walk.began_at >= FROM_THE_BEGINNING_SECONDS:
                walk.place, walk.began_at = None, now
            try:
                await self._go(walk)
            except BackendError as error:
                _log.warning("cannot delete what has been kept for long enough: %s", error)
                walk.shorten()
                return  # the next round is soon enough

    async def _go(self, walk: _Walk) -> None:
        while True:
            began_at = self._environment.monotonic()
            expired = await self._backend.expire(walk.expiry, limit=walk.limit, after=walk.place)
            seconds = self._environment.monotonic() - began_at
            walk.take(expired, seconds)
            if expired.names:
                self._deleted(Counter(expired.names.values()))
            if not expired.more:
                return
            await anyio.sleep(max(seconds * (1 / SHARE - 1), PAUSE_SECONDS_MIN))
