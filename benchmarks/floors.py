"""Which part of the house a piece of code belongs to, as profiles and counts of calls tell it."""

from __future__ import annotations

OWN = "durable_async/"

FLOORS: dict[str, tuple[str, ...]] = {
    "kernel": ("durable_async/_kernel/",),
    "fold": ("durable_async/_engine/",),
    "activities": ("durable_async/worker/_activities.py", "durable_async/worker/_queued.py"),
    "committer": ("durable_async/worker/_committer.py",),
    "worker": ("durable_async/worker/",),
    "client": ("durable_async/client/",),
    "values": (
        "durable_async/serialization/",
        "durable_async/registry/",
        "durable_async/model/",
        "durable_async/failure.py",
        "durable_async/errors.py",
    ),
    "store": ("durable_async/backends/", "durable_async/backend.py", "durable_async/hub.py"),
    "environment": ("durable_async/environment.py",),
    "driver": ("/asyncpg/", "/sqlite3/"),
    "asyncio and anyio": ("/asyncio/", "/anyio/", "/selectors.py", "/contextlib.py"),
}
"""From the floor to what its files' paths hold; the first that fits counts."""

ELSEWHERE = "elsewhere"


def floor_of(path: str) -> str:
    """Return the floor of a file."""
    path = path.replace("\\", "/")
    for floor, parts in FLOORS.items():
        if any(part in path for part in parts):
            return floor
    return ELSEWHERE
