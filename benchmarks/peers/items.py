"""What a stretch of work cost for each item, under the names that our own fan-out and events have."""

from __future__ import annotations

from common import Used


def per_item(used: Used, items: int, suffix: str = "") -> dict[str, float]:
    """Return the time in all, and the rest for each item; the suffix ends every name."""
    figures: dict[str, float] = {
        "seconds": used.wall,
        "us": used.wall / items * 1e6,
        "per_second": items / used.wall,
        "cpu_us": used.cpu / items * 1e6,
    }
    if used.transactions is not None and used.wal_bytes is not None:
        figures["commits"] = used.transactions / items
        figures["wal_bytes"] = used.wal_bytes / items
    return {key + suffix: value for key, value in figures.items()}
