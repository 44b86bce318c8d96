"""The rhythm of a worker: when it looks at the hub although nothing was heard, and what it sees to along the way.

One clock for all that a worker that has nothing to do must see to: work of which no hint came, its lease, workers that died, and what is
to be forgotten. All of it goes along with fetches, so that an idle worker makes one call at a time, and a busy one none for it at all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from durable_async.environment import Environment
from durable_async.model.records import NO_ERRANDS, Census, Errands

from .settings import WorkerSettings

ACTIVE_SECONDS = 60.0
"""A hub in which nothing has happened for so long is quiet."""

QUIETER = 2
"""How much longer the waits of a quiet hub's workers are."""

JITTER, QUIET_JITTER = 0.1, 0.01
"""By what share a wait may be shorter, so that workers do not all come at once. A little each time is enough when there are many times."""

EARLY = 0.6
"""What share of its time must have passed for a look at other workers to go along with a fetch."""

LOOKERS = 4
"""So many workers of a hub look for dead ones in the time in which each might, on average: their number must not be squared."""

DEAF_POLLS = 4
FIRST_POLLS = 50
"""A worker that can hear nothing waits for a fiftieth of its time after something came, and for a fourth at most."""

UPKEEP_SECONDS = 65.0
QUIET_UPKEEP_SECONDS = 900.0
"""Between two times at which what is old is forgotten; the first is such that who begins in a quiet hub soon has the second."""


class Rhythm:
    """The clock of one session.

    Args:
        environment: Time and chance.
        settings: The times.
        is_deaf: Tells whether nothing can be heard just now.
    """

    def __init__(
        self, environment: Environment, settings: WorkerSettings, is_deaf: Callable[[], bool]
    ) -> None:
        now = environment.monotonic()
        self._environment = environment
        self._settings = settings
        self._is_deaf = is_deaf
        self._stirred_at = self._looked_at = self._renewed_at = now
        self._deaf_wait = 0.0
        self._workers = 1
        self._commits = 0
        self._renewals = threading.Lock()

    # -- the lease

    @property
    def silent_seconds(self) -> float:
        """How long ago the lease was extended last."""
        return self._environment.monotonic() - self._renewed_at

    def renewed(self, begun_at: float) -> None:
        """Note that the lease was extended by a call that began then; from any thread."""
        with self._renewals:
            self._renewed_at = max(self._renewed_at, begun_at)

    # -- looks at the hub

    def stir(self) -> None:
        """Note that something happened in the hub."""
        self._stirred_at = self._environment.monotonic()
        self._deaf_wait = 0.0

    def wait_seconds(self) -> float:
        """Return how long to wait for a hint now, before the next look at the hub."""
        settings = self._settings
        wait = min(settings.poll_seconds, settings.sweep_seconds) * self._slowness
        jitter = JITTER if self._slowness == 1 else QUIET_JITTER
        wait *= 1 - jitter * self._environment.random().random()
        return min(wait, self._next_deaf_wait()) if self._is_deaf() else wait

    def errands(self) -> Errands:
        """Return what the fetch that begins now is to do along the way."""
        lease = self._settings.lease_seconds if self._is_renewal_near() else None
        looks = self._is_to_look()
        if lease is None and not looks:
            return NO_ERRANDS
        return Errands(lease_seconds=lease, looks_around=looks)

    def learn(self, census: Census) -> None:
        """Take in what a look told."""
        if census.commits != self._commits or census.workers != self._workers:
            self.stir()
        self._commits, self._workers = census.commits, census.workers

    @property
    def workers(self) -> int:
        """How many workers the hub has, as far as is known."""
        return self._workers

    @property
    def upkeep_seconds(self) -> float:
        """How long after what is old was forgotten last to do so again."""
        return UPKEEP_SECONDS if self._slowness == 1 else QUIET_UPKEEP_SECONDS

    @property
    def _slowness(self) -> float:
        quiet = self._environment.monotonic() - self._stirred_at
        return 1 if quiet < ACTIVE_SECONDS else QUIETER

    def _is_renewal_near(self) -> bool:
        """Tell whether the lease is to be extended before the next look might come."""
        settings = self._settings
        next_look = min(settings.poll_seconds, settings.sweep_seconds) * self._slowness
        return self.silent_seconds + next_look >= settings.heartbeat_seconds

    def _is_to_look(self) -> bool:
        now = self._environment.monotonic()
        if now - self._looked_at < self._settings.sweep_seconds * self._slowness * EARLY:
            return False
        self._looked_at = now
        return self._environment.random().random() * self._workers < LOOKERS

    def _next_deaf_wait(self) -> float:
        poll = self._settings.poll_seconds
        self._deaf_wait = min(max(self._deaf_wait * 2, poll / FIRST_POLLS), poll / DEAF_POLLS)
        return self._deaf_wait
