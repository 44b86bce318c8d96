"""I17: a claim counts as an attempt, attempts are bounded, and what is parked stays parked until somebody puts it back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from durable_async.model.records import (
    CLAIMS_COUNTED,
    ClaimedActivity,
    ClaimedInstance,
    Park,
    Recount,
    Release,
    TurnCommit,
)
from durable_async.testing.simulation.violations import Violation

from ._calls import Call
from .mailboxes import Items
from .rows import Change, Row

LATER = 15
"""So often somebody who is to park something may die, or be cut off, before that is done."""


class Claims:
    """What was claimed, and how often.

    Args:
        attempts_max: After how many attempts something is parked.
    """

    def __init__(self, attempts_max: int) -> None:
        self._attempts_max = attempts_max
        self._worn_out: dict[str, int] = {}
        self._trials: Counter[str] = Counter()

    def see(self, call: Call) -> None:
        """Take in a call.

        Raises:
            Violation: Something was tried more often than it may be.
        """
        if call.verb == "fetch":
            for claimed in call.answer.claimed:
                self._claim(claimed)
        elif call.verb == "commit":
            for item in call.items:
                instance_id = getattr(item, "instance_id", None)
                if instance_id in self._worn_out:
                    self._check_end(item, self._worn_out.pop(instance_id))
                self._follow_trials(item)
        elif call.verb == "unpark":
            for instance_id in call.answer:
                self._worn_out.pop(instance_id, None)
                self._trials.pop(instance_id, None)

    def _claim(self, claimed: ClaimedInstance) -> None:
        self._worn_out.pop(claimed.instance_id, None)
        is_entity = claimed.instance_id.startswith("@")  # of these, an operation is parked
        if claimed.attempts > self._attempts_max:
            self._count(claimed.instance_id, claimed.attempts)
            if not is_entity:
                self._worn_out[claimed.instance_id] = claimed.attempts

    def _follow_trials(self, item: object) -> None:
        """Count trials here, too: what the store holds can be set back, by whoever undoes more than it did."""
        match item:
            case Recount(attempts=attempts) if attempts > CLAIMS_COUNTED:
                self._count(item.instance_id, attempts)
            case TurnCommit() | Release() | Park() | Recount(attempts=0):
                self._trials.pop(item.instance_id, None)
            case _:
                pass  # the trials before it stand

    def _count(self, instance_id: str, attempts: int) -> None:
        self._trials[instance_id] += 1
        if self._trials[instance_id] > self._attempts_max + LATER:
            raise Violation("I17", "tried for ever", where=instance_id, attempts=attempts)

    def _check_end(self, item: object, attempts: int) -> None:
        ends = isinstance(item, TurnCommit) and item.status is not None and item.status.is_terminal
        if isinstance(item, TurnCommit) and not ends:
            raise Violation(
                "I17",
                "tried again instead of being parked",
                where=item.instance_id,
                attempts=attempts,
                most=self._attempts_max,
            )


def check_claims(call: Call, changes: Mapping[str, Change], items: Items) -> None:
    """See that a fetch took what it may, and counted it.

    Raises:
        Violation: It did not.
    """
    for claimed in call.answer.claimed:
        if claimed.instance_id in changes:  # nothing is said of those that are excused
            _check_claim(claimed, changes[claimed.instance_id])
    for item in call.answer.activities:
        _check_item(item, items)


def _check_claim(claimed: ClaimedInstance, change: Change) -> None:
    before, after = change.before, change.after
    if before is None or after is None:
        raise Violation("I5", "what is not there was claimed", where=claimed.instance_id)
    if before.owner is not None:
        raise Violation(
            "I5", "claimed from its owner", where=claimed.instance_id, owner=before.owner
        )
    if not _counted(before.attempts) == after.attempts == claimed.attempts:
        raise Violation(
            "I17",
            "a claim was not counted",
            where=claimed.instance_id,
            before=before.attempts,
            after=after.attempts,
            told=claimed.attempts,
        )
    if before.parked is not None and not before.is_final:
        raise Violation("I17", "claimed while it is parked", where=claimed.instance_id)
    if [mail.id for mail in claimed.mail] != list(before.mailbox):
        raise Violation("I2", "a claim does not tell of all letters", where=claimed.instance_id)


def _counted(attempts: int) -> int:
    """Return how many attempts there are after a claim: the first are counted when it happens, further ones when they are tried."""
    return max(attempts, min(attempts + 1, CLAIMS_COUNTED))


def _check_item(item: ClaimedActivity, items: Items) -> None:
    owner, attempts = items.get(item.item_id, (None, 0))
    if owner is not None:
        raise Violation("I5", "an activity was claimed twice", where=item.activity.instance_id)
    if item.attempts != _counted(attempts):
        raise Violation(
            "I17", "a claim was not counted", where=item.activity.instance_id, item=item.item_id
        )


def check_parks(call: Call, changes: Mapping[str, Change]) -> None:
    """See that only those are parked who were to be, and are put back by those who may.

    Raises:
        Violation: Others are.
    """
    parks = (
        {item.instance_id for item in call.items if isinstance(item, Park)}
        if call.verb == "commit"
        else set()
    )
    for instance_id, change in changes.items():
        before, after = change.before, change.after
        was, now = _is_parked(before), _is_parked(after)
        if now and not was and instance_id not in parks:
            raise Violation("I17", "parked, and nobody asked for it", where=instance_id)
        still_there = before is not None and after is not None
        if was and not now and still_there and call.verb not in {"unpark", "fetch", "create"}:
            raise Violation("I17", f"put back by {call.verb}", where=instance_id)


def _is_parked(row: Row | None) -> bool:
    return row is not None and row.parked is not None
