"""ScheduleStatus: how a schedule stands."""

from __future__ import annotations

from enum import Enum


class ScheduleStatus(str, Enum):  # noqa: UP042 - str() of it is as in the SDK
    """How a schedule stands."""

    UNINITIALIZED = "Uninitialized"
    """Nobody has created it."""

    ACTIVE = "Active"
    """It starts orchestrations."""

    PAUSED = "Paused"
    """It waits to be resumed."""

    def to_dotnet_ordinal(self) -> int:
        """Return the number that it is stored as, which is that of .NET's enumeration."""
        return _IN_ORDER.index(self)

    @classmethod
    def from_dotnet(cls, value: int | str | None) -> ScheduleStatus:
        """Return the status of a number or a name in any case; what is neither is `UNINITIALIZED`."""
        if isinstance(value, str):
            return _BY_TEXT.get(value.strip().lower(), cls.UNINITIALIZED)
        if isinstance(value, int) and not isinstance(value, bool) and value in _ORDINALS:
            return _IN_ORDER[value]
        return cls.UNINITIALIZED


_IN_ORDER = tuple(ScheduleStatus)
_ORDINALS = range(len(_IN_ORDER))
_BY_TEXT = {status.value.lower(): status for status in ScheduleStatus} | {
    str(ordinal): status for ordinal, status in enumerate(ScheduleStatus)
}
