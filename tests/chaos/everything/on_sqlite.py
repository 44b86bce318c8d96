"""Everything that can happen on a SQLite file. All processes have the clock of their machine, which is the store's: there is none to skew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nemeses.files import FullReader, HeldLocks
from nemeses.processes import Blocks, Kills, Zombies
from stores import SqliteStore
from world import World

from .nemesis import AWAY_SECONDS_MAX, LEASE_SECONDS, ZOMBIE_LEASES, Act, Everything
from .plan import Strike


class EverythingOnSqlite(Everything):
    """Faults of workers, and of others who use the file."""

    def __init__(self, quotas: Mapping[str, int], minutes: float, store: SqliteStore) -> None:
        super().__init__(quotas, minutes)
        self._store = store
        self._reader = FullReader(store)

    def acts(self) -> Mapping[str, Act]:
        """Return what to do for one strike of each kind."""
        return {
            "kills": Kills(1, away_seconds_max=AWAY_SECONDS_MAX),
            "zombies": Zombies(1, LEASE_SECONDS, ZOMBIE_LEASES),
            "blocks": Blocks(1, LEASE_SECONDS),
            "held-locks": HeldLocks(1, LEASE_SECONDS, self._store),
        }

    def beside(self, plan: list[Strike]) -> Sequence[Act]:
        """Return who reads beside."""
        return [self._reader]

    async def afterwards(self, world: World) -> None:
        """Count how long one read."""
        self.injected["reader-seconds"] = int(self._reader.seconds + 0.5)
        world.notes["journal_bytes_max"] = self._reader.journal_bytes_max
