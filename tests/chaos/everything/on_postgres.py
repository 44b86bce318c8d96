"""Everything that can happen on Postgres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nemeses.beside import DeafEars, Losses, PinnedXmin, Slowness
from nemeses.networks import CutOffs, HalfOpenings, LostWakeups
from nemeses.processes import Blocks, Kills, Zombies
from nemeses.servers import (
    BackendKills,
    Crashes,
    Exhaustions,
    PostmasterKills,
    Promotions,
    Storms,
)
from stores import ProxiedPair
from world import World

from .nemesis import AWAY_SECONDS_MAX, LEASE_SECONDS, ZOMBIE_LEASES, Act, Everything
from .plan import Strike, first_server_strike

_LOSSES_SPARE = 2.5
"""So many more are aimed at than the quota asks for: where nobody commits just then, none is lost, and a busy machine commits less often."""

_GUSTS = 25
_GUST_PAUSE_SECONDS = (0.1, 0.3)


class EverythingOnPostgres(Everything):
    """Faults of workers, of networks and of the server, and at the end a silence in which wake-ups are lost."""

    def __init__(self, quotas: Mapping[str, int], minutes: float, store: ProxiedPair) -> None:
        super().__init__(quotas, minutes)
        self._store = store
        self._slow = Slowness(store, quotas["slow-seconds"])
        self._losses = Losses(store, (self._pause("lost-answers"), self._pause("lost-replies")))
        self._deaf = DeafEars(store, quotas["deaf-ears"])
        self._pinned = PinnedXmin(store)

    def acts(self) -> Mapping[str, Act]:
        """Return what to do for one strike of each kind."""
        store = self._store
        return {
            "kills": Kills(1, away_seconds_max=AWAY_SECONDS_MAX),
            "zombies": Zombies(1, LEASE_SECONDS, ZOMBIE_LEASES),
            "cut-offs": CutOffs(1, LEASE_SECONDS, store),
            "half-openings": HalfOpenings(1, store),
            "blocks": Blocks(1, LEASE_SECONDS),
            "storms": Storms(1, store, gusts=_GUSTS, pause_seconds=_GUST_PAUSE_SECONDS),
            "crashes": Crashes(1, store),
            "postmaster-kills": PostmasterKills(1, store),
            "backend-kills": BackendKills(1, store),
            "exhaustions": Exhaustions(1, store),
            "promotions": Promotions(1, store, has_standby=False),
        }

    def beside(self, plan: list[Strike]) -> Sequence[Act]:
        """Return what goes on beside: connections are slow for a while, somewhen before the server is struck first."""
        quiet_seconds = first_server_strike(plan) * self.seconds
        self._slow.begin_seconds_max = max(quiet_seconds - self.quotas["slow-seconds"], 0.0)
        return [self._losses, self._slow, self._deaf, self._pinned]

    async def afterwards(self, world: World) -> None:
        """Lose wake-ups, and count what went on beside."""
        for _ in range(self.quotas["lost-wakeups"] // LostWakeups.ROUND):
            await self._lose_wakeups(world, LostWakeups.ROUND)
        await self._lose_wakeups(world, self.quotas["lost-wakeups"] % LostWakeups.ROUND)
        self.injected["lost-replies"] = self._losses.of_clients
        self.injected["deaf-ears"] = self._deaf.times
        self.injected["slow-seconds"] = int(self._slow.seconds + 0.5)
        self.injected["pinned-seconds"] = int(self._pinned.seconds + 0.5)
        world.notes["late_pieces"] = self._slow.late

    def _pause(self, kind: str) -> float:
        return self.seconds / max(self.quotas[kind], 1) / _LOSSES_SPARE

    async def _lose_wakeups(self, world: World, number: int) -> None:
        await self.strike("lost-wakeups", LostWakeups(number, self._store), world)
        self.injected["lost-wakeups"] += number - 1
