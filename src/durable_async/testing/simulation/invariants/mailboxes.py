"""I2: a letter that was sent lies in a mailbox until it is taken, once.

For every call it is known what it was to deliver, and what its turns say they have taken. The mailboxes have to agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from durable_async.model.records import (
    ActivityProgress,
    ActivityResult,
    Delivery,
    Mail,
    Outgoing,
    Rewrite,
    UnclaimedActivity,
)
from durable_async.testing.simulation.violations import Violation

from ._calls import Call
from .requests import firsts
from .rows import Change, Row

Items = Mapping[int, tuple[str | None, int]]


class Mailboxes:
    """Follows the mailboxes of one run."""

    def __init__(self) -> None:
        self._swept: set[int] = set()

    def see(
        self,
        call: Call,
        changes: Mapping[str, Change],
        items: Items,
        repeated: Container[str | None],
    ) -> None:
        """Compare what a call did to mailboxes with what it was to do.

        Args:
            call: The call.
            changes: What became of the instances that it was about.
            items: The queued activities before it.
            repeated: Ids of requests that were answered before, which deliver nothing.

        Raises:
            Violation: A letter is lost, doubled, taken twice, or came from nowhere.
        """
        sent = list(_sent(call, changes, items, repeated))
        allowed = [*sent, *_perhaps_sent(call, changes)]
        taken = _taken(call)
        for instance_id, change in changes.items():
            before, after = change.before, change.after
            old = {} if before is None else before.mailbox
            new = {} if after is None else after.mailbox
            consumed = taken.get(instance_id, [])
            self._check_taken(instance_id, consumed, old)
            _check_left(instance_id, consumed, new)
            gone = [mail for one, mail in old.items() if one not in new and one not in consumed]
            self._check_gone(call, change, gone)
            come = [mail for one, mail in new.items() if one not in old]
            _check_come(instance_id, come, sent, allowed, after)

    def _check_taken(self, instance_id: str, consumed: list[int], old: Mapping[int, Mail]) -> None:
        # A worker may find out by itself what the store has swept away with an execution.
        known = old.keys() | self._swept
        twice = [one for one, times in Counter(consumed).items() if times > 1 or one not in known]
        if twice:
            raise Violation("I2", "letters were taken twice", where=instance_id, letters=twice)

    def _check_gone(self, call: Call, change: Change, gone: list[Mail]) -> None:
        before, after = change.before, change.after
        if before is None or after is None or after.status.is_terminal:
            return
        lost = [mail for mail in gone if not _is_over(mail, before, after, call)]
        if lost:
            raise Violation(
                "I2", f"letters were lost in {call.verb}", where=before.instance_id, letters=lost
            )
        self._swept.update(mail.id for mail in gone)


# -- what a call is to do


def _sent(
    call: Call, changes: Mapping[str, Change], items: Items, repeated: Container[str | None]
) -> Iterator[Outgoing]:
    match call.verb:
        case "commit":
            yield from _sent_by_commit(call, items)
        case "send":
            yield from _delivered(call, repeated)
        case "rewrite" if call.answer:
            rewrites: Iterable[Rewrite] = call.args[0]
            for rewrite in rewrites:
                yield from rewrite.outgoing()
        case _:
            pass
    yield from _wills(call, changes)


def _sent_by_commit(call: Call, items: Items) -> Iterator[Outgoing]:
    for turn in call.turns():
        yield from turn.outbox
    for item in call.items:
        is_mine = (
            isinstance(item, (ActivityResult, ActivityProgress))
            and items.get(item.item_id, (None, 0))[0] == call.fence.worker_id
        )
        if is_mine and not _went_with_its_instance(call, item):
            yield item.outgoing  # type: ignore[union-attr]


def _went_with_its_instance(call: Call, item: Any) -> bool:
    """Tell whether a turn of the same batch may have deleted the activity before its result came."""
    return any(turn.instance_id == item.outgoing.instance_id for turn in call.turns())


def _delivered(call: Call, repeated: Container[str | None]) -> Iterator[Outgoing]:
    letters: Iterable[Outgoing] = call.args[0]
    for outgoing, answer in firsts(letters, call.answer, repeated):
        if answer is Delivery.DELIVERED:
            yield outgoing


def _wills(call: Call, changes: Mapping[str, Change]) -> Iterator[Outgoing]:
    """Go through what those leave that ended, went on as the next execution, were parked, or were replaced."""
    wills = {turn.instance_id: turn.will for turn in call.turns()} if call.verb == "commit" else {}
    for instance_id, change in changes.items():
        before, after = change.before, change.after
        if before is None or call.verb not in {"commit", "create"} or before.status.is_terminal:
            continue
        ended = after is None or after.status.is_terminal or after.execution != before.execution
        parked = after is not None and after.parked is not None and before.parked is None
        will = wills.get(instance_id)
        will = before.will if will is None else will
        if ended or parked:
            for receiver in will.receivers:
                yield Outgoing(instance_id=receiver, execution=None, letter=will.letter)


def _perhaps_sent(call: Call, changes: Mapping[str, Change]) -> Iterator[Outgoing]:
    if call.verb != "commit":
        return
    for turn in call.turns():
        for child in turn.children:
            if child.refusal is not None and child.parent is not None:
                yield Outgoing(
                    instance_id=child.parent.instance_id,
                    execution=child.parent.execution,
                    letter=child.refusal,
                )
    for item in call.items:
        if isinstance(item, (ActivityResult, ActivityProgress, UnclaimedActivity)):
            yield item.outgoing


def _taken(call: Call) -> dict[str, list[int]]:
    if call.verb != "commit":
        return {}
    taken: dict[str, list[int]] = {}
    for turn in call.turns():
        taken.setdefault(turn.instance_id, []).extend(turn.consumed)
    return taken


# -- what it did


def _check_left(instance_id: str, consumed: list[int], new: Mapping[int, Mail]) -> None:
    left = [one for one in consumed if one in new]
    if left:
        raise Violation(
            "I2", "letters were taken and are still there", where=instance_id, letters=left
        )


def _is_over(mail: Mail, before: Row, after: Row, call: Call) -> bool:
    """Tell whether a letter goes with the execution that has ended."""
    if after.execution == before.execution:
        return False
    return call.verb in {"create", "commit"} and (
        mail.execution == before.execution or _is_replaced(call, after)
    )


def _is_replaced(call: Call, after: Row) -> bool:
    """Tell whether it began anew, with an empty mailbox, and did not merely go on."""
    if call.verb == "create":
        return True
    return any(child.instance_id == after.instance_id for t in call.turns() for child in t.children)


def _check_come(
    instance_id: str,
    come: list[Mail],
    sent: list[Outgoing],
    allowed: list[Outgoing],
    after: Row | None,
) -> None:
    found = Counter((mail.execution, mail.letter) for mail in come)
    possible = Counter(
        (one.execution, one.letter)
        for one in allowed
        if one.instance_id == instance_id and _is_meant(one, after)
    )
    strange = found - possible
    if strange:
        raise Violation("I2", "letters came from nowhere", where=instance_id, letters=list(strange))
    due = Counter(
        (one.execution, one.letter)
        for one in sent
        if one.instance_id == instance_id and _is_meant(one, after)
    )
    lost = due - found
    if lost:
        raise Violation(
            "I2", "letters were sent and did not arrive", where=instance_id, letters=list(lost)
        )


def _is_meant(outgoing: Outgoing, after: Row | None) -> bool:
    """Tell whether a letter is for an instance as it is after the call; all others vanish."""
    if after is None:
        return outgoing.opens is not None
    if after.status.is_terminal or outgoing.execution not in {None, after.execution}:
        return False
    wanted, parent = outgoing.parent, after.parent
    return wanted is None or (parent is not None and parent.is_same_operation(wanted))
