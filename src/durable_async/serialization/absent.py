"""What stands for a payload that is not here. It begins with a byte that neither JSON, nor any UTF-8, nor MessagePack can hold."""

from __future__ import annotations

OFFLOADED = b"\xc1offloaded:"
"""Begins what a hub's store holds in place of a payload that is in a payload store."""

UNREADABLE = b"\xc1unreadable:"
"""Begins what a backend hands over in place of something that it could not read."""

FOR_NOW, FOR_GOOD = b"for now:", b"for good:"


def why_absent(data: bytes) -> str | None:
    """Return why a payload is not here, if these bytes stand for one that is not; ``None`` if they are something else."""
    if data.startswith(OFFLOADED):
        return (
            "it is kept in a payload store, which this process was not given: every process of the hub "
            "needs the same one: give it as payload_store"
        )
    if data.startswith(UNREADABLE):
        reason = data.removeprefix(UNREADABLE).removeprefix(FOR_GOOD).removeprefix(FOR_NOW)
        return reason.decode(errors="replace")
    return None
