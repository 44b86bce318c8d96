"""Suspects: what was claimed again and again because its worker died is tried alone, so that its neighbours do not pay for its crashes.

A worker that dies counts as an attempt for all that it owned. After the third claim the store counts no more: one suspect at a time is
charged with an attempt, and tried. So the one that kills its worker reaches the limit, and nobody else, however soon it does so. What was tried
and handed back in good order is not charged; what was not tried keeps the charges of its earlier trials.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import anyio
import msgspec

from durable_async.model.records import (
    CLAIMS_COUNTED,
    ActivityRecount,
    ClaimedActivity,
    ClaimedInstance,
    CommitItem,
    Mail,
    Recount,
    uncounted,
)

from ._queued import QueuedActivities
from ._tools import Tools, ignore
from ._versions import hand_back

SUSPECT_ATTEMPTS = CLAIMS_COUNTED
ALONE_SECONDS = (2.0, 10.0, 60.0)
"""How long a suspect is waited for, at its third, fourth and further claims. One that is busy for longer stays charged, and the next is
tried beside it: so whoever is busy for long is waited for longer, the closer it comes to the limit."""

_LOOK_SECONDS = 0.005

Suspect: TypeAlias = ClaimedInstance | ClaimedActivity


class Suspects:
    """The line of those that wait for their trial; bounded by what a worker may claim."""

    def __init__(
        self,
        tools: Tools,
        queued: QueuedActivities,
        adopt: Callable[[ClaimedInstance], Awaitable[None]],
        hand_on: Callable[[Mail], None],
    ) -> None:
        self._tools = tools
        self._queued = queued
        self._adopt = adopt
        self._hand_on = hand_on
        self._line: dict[str | int, Suspect] = {}
        self._arrived = anyio.Event()
        self._adopted: str | int | None = None
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._line)

    def suspects(self, claimed: Suspect) -> bool:
        """Tell whether a claim is one to be careful with; one that is to be parked is not tried any more."""
        return SUSPECT_ATTEMPTS <= claimed.attempts <= self._tools.settings.attempts_max

    def add(self, claimed: Suspect) -> None:
        """Let one wait, uncharged."""
        if self._is_closed:
            self._hand_back(claimed)
            return
        self._line[_key(claimed)] = claimed
        self._arrived.set()

    def close(self) -> None:
        """Try nothing more, and hand back what waits and what comes: the worker that retires takes an attempt off all that it still owns."""
        self._is_closed = True
        for key, claimed in list(self._line.items()):
            if key != self._adopted:
                del self._line[key]
                self._hand_back(claimed)

    def receive(self, mail: Mail) -> bool:
        """Keep a letter for one that waits; returns whether it does."""
        claimed = self._line.get(mail.instance_id)
        if not isinstance(claimed, ClaimedInstance):
            return False
        if any(one.id == mail.id for one in claimed.mail):  # told of again
            return True
        known = (*claimed.mail, mail)
        self._line[mail.instance_id] = msgspec.structs.replace(claimed, mail=known)
        return True

    def forget(self, instance_id: str) -> None:
        """Let go of one that was replaced."""
        self._line.pop(instance_id, None)

    async def run(self) -> None:
        """Try one after the other, those with the fewest attempts first: they are likely to come through."""
        while True:
            if not self._line:
                self._arrived = anyio.Event()
                await self._arrived.wait()
            key = min(self._line, key=lambda one: self._line[one].attempts)
            await self._charge(self._line[key])
            claimed = self._line.get(key)  # with the letters that came meanwhile
            if claimed is not None:
                await self._try(claimed)

    async def _charge(self, claimed: Suspect) -> None:
        """Return when its attempt is durably counted: only then may it do harm."""
        counted = anyio.Event()
        self._tools.committer.submit(
            _recount(claimed, claimed.attempts + 1), lambda dropped: counted.set()
        )
        await counted.wait()

    async def _try(self, claimed: Suspect) -> None:
        if isinstance(claimed, ClaimedInstance):
            await self._take_in(claimed)
        else:
            del self._line[claimed.item_id]
            self._queued.begin(claimed)
        step = min(claimed.attempts - SUSPECT_ATTEMPTS, len(ALONE_SECONDS) - 1)
        with anyio.move_on_after(ALONE_SECONDS[step]):
            while not self._came_through(claimed):  # noqa: ASYNC110 - many small things end it, soon
                await anyio.sleep(_LOOK_SECONDS)

    async def _take_in(self, claimed: ClaimedInstance) -> None:
        """Have it adopted. It stays in the line until it is: letters that come while it is replayed are kept here, and handed on."""
        self._adopted = claimed.instance_id
        await self._adopt(claimed)
        self._adopted = None
        kept = self._line.pop(claimed.instance_id, None)
        if isinstance(kept, ClaimedInstance):
            for mail in kept.mail[len(claimed.mail) :]:
                self._hand_on(mail)

    def _hand_back(self, claimed: Suspect) -> None:
        """Give one back that was not tried, charged or not."""
        submit = self._tools.committer.submit
        if isinstance(claimed, ClaimedInstance):
            for item in hand_back(claimed, self._tools.backend.now_us()):
                submit(item, ignore)
        else:
            attempts = uncounted(claimed.attempts)
            given = ActivityRecount(item_id=claimed.item_id, attempts=attempts, is_returned=True)
            submit(given, ignore)

    def _came_through(self, claimed: Suspect) -> bool:
        if isinstance(claimed, ClaimedActivity):
            return not self._queued.is_running(claimed.item_id)
        slot = self._tools.slots.get(claimed.instance_id)
        if slot is None or slot.claims == 0:
            return True
        if not slot.is_idle:
            return False
        # It was replayed and only waits: that has killed nobody.
        slot.came_through()
        self._tools.committer.submit(_recount(claimed, 0), ignore)
        return True


def _key(claimed: Suspect) -> str | int:
    return claimed.instance_id if isinstance(claimed, ClaimedInstance) else claimed.item_id


def _recount(claimed: Suspect, attempts: int) -> CommitItem:
    if isinstance(claimed, ClaimedActivity):
        return ActivityRecount(item_id=claimed.item_id, attempts=attempts)
    return Recount(instance_id=claimed.instance_id, attempts=attempts, execution=claimed.execution)
