"""What a fetch found, with its payloads as far as they can be had: nothing that was claimed may be lost for one that cannot."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from durable_async.model.identity import ENTITY_MARK
from durable_async.model.records import (
    ClaimedActivity,
    ClaimedInstance,
    HistoryPage,
    HistoryRow,
    Mail,
    Work,
)
from durable_async.serialization.events import unreadable

from .resolving import Fetched, Offloading, size_of

_log = logging.getLogger("durable_async")


@dataclass(frozen=True, slots=True)
class _KeptBack:
    """An activity that was claimed by a fetch, and whose input could not be had."""

    worker_id: str
    number: int
    item: ClaimedActivity


class Deliveries:
    """Puts payloads into what was fetched."""

    def __init__(self, offloading: Offloading) -> None:
        self._offloading = offloading
        self._kept_back: list[_KeptBack] = []

    def room(self, worker_id: str, activities: int) -> int:
        """Return how many further activities a worker may claim, of those that it would."""
        waiting = sum(one.worker_id == worker_id for one in self._kept_back)
        return max(0, activities - waiting)

    def forget(self, worker_id: str, number: int | None = None) -> None:
        """Let go of a worker's activities that were kept back, all or those of one fetch: others have them now."""
        self._kept_back = [
            one
            for one in self._kept_back
            if one.worker_id != worker_id or number not in (None, one.number)
        ]

    async def delivered(self, work: Work, worker_id: str, number: int, bytes_max: int) -> Work:
        """Return what was fetched, and what was kept back before, with payloads; what cannot be had is kept back, or made unreadable."""
        waiting = [one for one in self._kept_back if one.worker_id == worker_id]
        claimed = [_bounded_claim(one, bytes_max) for one in work.claimed]
        items = [one.item for one in waiting]
        fetched = await self._offloading.fetch([*claimed, *work.mail, *work.activities, *items])
        if fetched is None:
            return work
        new = [_KeptBack(worker_id, number, one) for one in work.activities]
        return msgspec.structs.replace(
            work,
            claimed=tuple(_claim(one, fetched) for one in claimed),
            mail=tuple(_mail(one, fetched) for one in work.mail),
            activities=tuple(self._activities([*waiting, *new], fetched)),
        )

    def _activities(
        self, candidates: Sequence[_KeptBack], fetched: Fetched
    ) -> Iterable[ClaimedActivity]:
        for one in candidates:
            trouble = fetched.trouble(one.item)
            is_kept_back = trouble is not None and trouble.retryable
            if one in self._kept_back:
                if is_kept_back:
                    continue
                self._kept_back.remove(one)
            elif is_kept_back:
                self._kept_back.append(one)
                continue
            yield fetched.put_back(one.item) if trouble is None else _lost(one.item, str(trouble))


def bounded_page(page: HistoryPage, bytes_max: int) -> HistoryPage:
    """Return as many rows as are not longer in all with their payloads, at least one."""
    kept = _bounded(page.rows, bytes_max)
    if len(kept) == len(page.rows):
        return page
    return HistoryPage(execution=page.execution, rows=kept, more=True)


def _bounded_claim(claimed: ClaimedInstance, bytes_max: int) -> ClaimedInstance:
    kept = _bounded(claimed.history, bytes_max)
    if len(kept) == len(claimed.history):
        return claimed
    return msgspec.structs.replace(claimed, history=kept, more_history=True)


def _bounded(rows: tuple[HistoryRow, ...], bytes_max: int) -> tuple[HistoryRow, ...]:
    size = 0
    for place, row in enumerate(rows):
        size += size_of(row.events)
        if size > bytes_max and place:
            return rows[:place]
    return rows


def _claim(claimed: ClaimedInstance, fetched: Fetched) -> ClaimedInstance:
    trouble = fetched.trouble(claimed)
    if trouble is None:
        return fetched.put_back(claimed)
    if trouble.retryable:
        return _for_later(claimed, fetched, unreadable(str(trouble), for_now=True))
    state = claimed.state
    return msgspec.structs.replace(
        claimed,
        history=tuple(_row(one, fetched) for one in claimed.history),
        mail=tuple(_mail(one, fetched) for one in claimed.mail),
        state=None if state is None else fetched.body(state),
    )


def _for_later(claimed: ClaimedInstance, fetched: Fetched, body: bytes) -> ClaimedInstance:
    """Let reading fail for now; an order to end that is among its letters is told all the same."""
    is_entity = claimed.instance_id.startswith(ENTITY_MARK)
    return msgspec.structs.replace(
        claimed,
        history=() if is_entity else (HistoryRow(turn=0, events=body),),
        more_history=False,
        mail=tuple(fetched.put_back(one) for one in claimed.mail if fetched.trouble(one) is None),
        state=body if is_entity else None,
    )


def _row(row: HistoryRow, fetched: Fetched) -> HistoryRow:
    return HistoryRow(turn=row.turn, events=fetched.body(row.events))


def _mail(mail: Mail, fetched: Fetched) -> Mail:
    return msgspec.structs.replace(mail, letter=fetched.body(mail.letter))


def _lost(item: ClaimedActivity, reason: str) -> ClaimedActivity:
    """Let an activity fail whose input is lost."""
    _log.error(
        "the input of activity %r of %s is lost, and so the activity fails: %s",
        item.activity.name,
        item.activity.instance_id,
        reason,
    )
    activity = msgspec.structs.replace(
        item.activity, input=unreadable(reason, for_now=False), options=b""
    )
    return msgspec.structs.replace(item, activity=activity)
