"""The whole of it: a store, four workers, a process of clients, and everything that can happen to them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clients import ClientOrders, Party
from load import Customers
from stores import ProxiedPair, SqliteStore
from world import run_in_world

from durable_async import Client

from .figures import Figures, Limits, make_figures
from .nemesis import LEASE_SECONDS, ZOMBIE_LEASES, Everything
from .on_postgres import EverythingOnPostgres
from .on_sqlite import EverythingOnSqlite
from .quotas import POSTGRES, SQLITE, scaled
from .remote import RemoteCustomers

_WORKERS = 4
_CLIENTS = 4
_KILLED = (1.0, 2.0)
_HUNG = (LEASE_SECONDS + 2.0, LEASE_SECONDS + 2.0)
_RESTARTED = (2.0, 2.0)
_SETTINGS = {"lease_seconds": LEASE_SECONDS, "heartbeat_seconds": 0.5}
_PARTIES = [
    *(Party("crowd", number, 1) for number in range(_CLIENTS)),
    *(Party("load", number, 3) for number in range(_CLIENTS)),
    *(Party("errands", number, 1) for number in (1, 3)),
    Party("bank", 0, 4),
]


@dataclass(frozen=True)
class Kind:
    """What is different from store to store.

    Attributes:
        store: Makes it in a folder.
        nemesis: Makes what strikes.
        quotas: Of ten minutes.
        limits: How long what was hit may need to go on.
        skews: How far the clocks of the first workers are ahead, in seconds.
    """

    store: Callable[[Path], Any]
    nemesis: Callable[[Mapping[str, int], float, Any], Everything]
    quotas: Mapping[str, int]
    limits: Limits
    skews: Sequence[float] = ()


KINDS = {
    "postgres": Kind(
        ProxiedPair,
        EverythingOnPostgres,
        POSTGRES,
        {
            **dict.fromkeys(("kills", "exhaustions"), _KILLED),
            **dict.fromkeys(("zombies", "cut-offs", "half-openings"), _HUNG),
            **dict.fromkeys(
                ("crashes", "postmaster-kills", "backend-kills", "promotions"), _RESTARTED
            ),
            **dict.fromkeys(("storms", "blocks"), _RESTARTED),
            "lost-wakeups": (1.0, 1.0),
        },
        skews=(600.0, -600.0),
    ),
    "sqlite": Kind(
        SqliteStore,
        EverythingOnSqlite,
        SQLITE,
        {
            "kills": _KILLED,
            # Who is frozen while it writes has the only lock for as long as it is.
            "zombies": (_HUNG[0], ZOMBIE_LEASES[1] * LEASE_SECONDS + 2.0),
            "blocks": _RESTARTED,
            "held-locks": _RESTARTED,
        },
    ),
}


async def play_everything(name: str, minutes: float, folder: Path, seed: int) -> Figures:
    """Run it on a store of a kind, in a folder, for so many minutes of faults."""
    folder.mkdir()
    kind = KINDS[name]
    quotas = scaled(kind.quotas, minutes)
    store = kind.store(folder)
    nemesis = kind.nemesis(quotas, minutes, store)
    world = folder / "world"
    operations: Counter[str] = Counter()

    def customers(client: Client, ledger: str) -> Customers:
        nonlocal operations
        hubs = [store.remote_client() for _ in range(_CLIENTS)]
        orders = ClientOrders(hubs, _PARTIES, ledger, seed, str(world / "known"))
        made = RemoteCustomers(client, orders, world / "clients.log")
        operations = made.acknowledged.operations
        return made

    began = time.monotonic()
    try:
        await store.open()
        findings = await run_in_world(
            world,
            store,
            nemesis,
            workers=_WORKERS,
            customers=customers,
            errands=0,
            settings=_SETTINGS,
            seed=seed,
            skews=kind.skews,
        )
        errors = store.errors()
    finally:
        store.close()
    return make_figures(
        f"everything on {name}",
        seed=seed,
        minutes=minutes,
        seconds=time.monotonic() - began,
        limits=kind.limits,
        quotas=quotas,
        injected=nemesis.injected,
        operations=operations,
        findings=findings,
        errors=errors,
    )
