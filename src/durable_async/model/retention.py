"""Retention: how long orchestrations that have ended are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Any, ClassVar

from durable_async.errors import ValidationError, shown
from durable_async.model.identity import check_name
from durable_async.model.policy import Seconds, seconds_of
from durable_async.model.status import Status
from durable_async.model.upkeep import Expiry

AGE_SECONDS_MIN = 60.0
"""Nothing goes sooner, so that whoever waits for an orchestration, in whichever process, sees how it ended."""

BATCH_MAX = 10_000

_DONE = (Status.COMPLETED, Status.TERMINATED)
_ENDED = (*_DONE, Status.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long orchestrations that have ended are kept, with their histories; after that the hub's workers delete them.

        Retention(age=timedelta(days=7), by_name={"audit": None, "ping": timedelta(hours=1)})

    Whatever has not ended is kept: what waits, is suspended, or is parked; and entities. So is a sub-orchestration, however long ago it ended,
    as long as the run of its parent that started it goes on.

    Attributes:
        age: Seconds or a ``timedelta`` since the end, by the store's clock, at least a minute; ``None`` keeps them for ever.
        failed: The same for those that failed, for they may be rewound; never shorter than ``age``.
        by_name: Ages by the names of orchestrators, whatever way they ended, in place of both.
        batch: How many are looked at in one statement, at the most; while statements take long, fewer are.
    """

    OFF: ClassVar[Retention]
    """Everything is kept for ever."""

    age: Seconds | None = timedelta(days=30)
    failed: Seconds | None = timedelta(days=90)
    by_name: Mapping[str, Seconds | None] = field(default_factory=dict[str, Seconds | None])
    batch: int = 500

    def __post_init__(self) -> None:
        _microseconds(self.age, "age")
        _microseconds(self.failed, "failed")
        if not isinstance(self.by_name, Mapping):
            raise ValidationError("by_name", f"must be ages by name, not {shown(self.by_name)}")
        for name, age in self.by_name.items():
            _microseconds(age, f"by_name[{check_name(name, 'by_name')!r}]")
        object.__setattr__(self, "by_name", MappingProxyType(dict(self.by_name)))
        batch: Any = self.batch
        if not isinstance(batch, int) or not 1 <= batch <= BATCH_MAX:
            raise ValidationError("batch", f"must be from 1 to {BATCH_MAX:,}, not {shown(batch)}")

    def expiries(self) -> tuple[Expiry, ...]:
        """Return what is to be deleted, one for each age; no orchestration is in two of them, nothing at all if everything is kept."""
        named = tuple(sorted(self.by_name))
        others: dict[int, tuple[Status, ...]] = {}
        age = _microseconds(self.age, "age")
        failed = _microseconds(self.failed, "failed")
        if age is not None:
            others[age] = _DONE
            if failed is not None:
                failed = max(age, failed)
                others[failed] = (*others.get(failed, ()), Status.FAILED)
        ages: dict[int, list[str]] = {}
        for name in named:
            of_name = _microseconds(self.by_name[name], name)
            if of_name is not None:
                ages.setdefault(of_name, []).append(name)
        return (
            *(
                Expiry(age_us=age_us, statuses=statuses, other_than=named)
                for age_us, statuses in others.items()
            ),
            *(
                Expiry(age_us=age_us, statuses=_ENDED, names=tuple(names))
                for age_us, names in sorted(ages.items())
            ),
        )


def _microseconds(age: Seconds | None, field: str) -> int | None:
    """Return an age as the store has it.

    Raises:
        ValidationError: It is none, or shorter than a minute.
    """
    if age is None:
        return None
    seconds = seconds_of(age, field)
    if seconds < AGE_SECONDS_MIN:
        raise ValidationError(field, f"must be a minute or more, not {shown(age)}")
    return round(seconds * 1_000_000)


Retention.OFF = Retention(age=None, failed=None)

DEFAULT_RETENTION = Retention()
"""What a hub goes by that is told nothing else."""
