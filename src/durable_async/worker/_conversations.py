"""Conversations: turns of this worker's instances that answer each other, made durable together.

An orchestration that calls an entity which is warm here, idle, and quick, need not wait for the store: the letter is passed on, the entity
has its turn, and its answer gives the orchestration another turn, all before anything is written. What comes of it are commits of one
group: all of them or none. So a chain of calls costs one commit. A letter that its receiver has not taken when the conversation ends goes
through the store, as if nothing had been tried.

Locks are given here only to whoever gets all that it asked for. Two who each had one of two entities, in conversations of two workers, and
asked for the other through the store, would wait for each other for ever.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable
from itertools import count
from typing import Protocol

import msgspec

from durable_async._kernel.entities.instance import EntityInstance
from durable_async.model.history import (
    EntityCallCompleted,
    EntityCallFailed,
    EntityLocked,
    EntityLockRelease,
    EntityLockRequest,
    EntityOperation,
    Letter,
)
from durable_async.model.records import Outgoing
from durable_async.serialization.events import decode_letter

from ._drafts import Draft, Sent, is_empty
from ._slots import Slot
from ._tools import Tools

TURNS_MAX = 200
"""After so many turns, what is said goes through the store; those who were addressed before still have theirs."""

TALK_SECONDS = 0.01
"""The same after this time, for the event loop is held meanwhile."""

FREE_SECONDS = 60.0
"""Longer than a worker that is in conversation, and does nothing else meanwhile, keeps its lease."""

_NONE: frozenset[int] = frozenset()

_PASSED_ON = (
    EntityCallCompleted,
    EntityCallFailed,
    EntityLocked,
    EntityOperation,
    EntityLockRequest,
    EntityLockRelease,
)
"""Letters whose receiver takes them at once, if it can at all; others may have to be kept."""


class Turns(Protocol):
    """What a conversation asks of the rest of the worker."""

    def take(self, slot: Slot, former: Draft | None) -> Draft | None:
        """Give an instance a turn now, after those that ``former`` tells of; ``None`` if nothing comes of it, or it is busy for longer.

        Raises:
            Exception: The turn cannot be had.
        """
        ...

    def submit(self, draft: Draft) -> None:
        """Have a draft committed; it is as it is to be written."""
        ...

    def skip(self, draft: Draft) -> None:
        """Go on after a draft of which nothing is to be written."""
        ...

    def give_up(self, slot: Slot, error: Exception) -> None:
        """Let an instance go whose turn cannot be had."""
        ...


class Conversations:
    """Leads one conversation at a time, without a pause."""

    def __init__(self, tools: Tools, turns: Turns) -> None:
        self._tools = tools
        self._turns = turns
        self._letters = count(-1, -1)
        self._groups = count(1)

    def begin(self, slot: Slot) -> None:
        """Give an instance a turn, and those their turns whom it addresses."""
        try:
            draft = self._turns.take(slot, None)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is one instance's trouble
            self._turns.give_up(slot, error)
            return
        if draft is None:
            return
        if draft.outbox:
            self.go_on(draft)
        else:  # the usual case, of which there are many
            self._turns.submit(draft)

    def go_on(self, first: Draft) -> None:
        """Pass on what a turn sent, until nobody has anything to say; then submit everything."""
        line = deque(self._pass_on(first, first.outbox))
        if not line:
            self._turns.submit(first)
            return
        drafts = {first.slot: first}
        heard: dict[Slot, None] = {}
        broken: dict[Slot, Exception] = {}
        turns = 0
        clock = self._tools.environment.monotonic
        end = clock() + TALK_SECONDS
        while line:
            slot = line.popleft()
            heard[slot] = None
            if slot not in broken and self._may_hear(slot):
                turns += 1
                draft, said = self._listen(slot, drafts, broken)
                if draft is not None and turns < TURNS_MAX and clock() <= end:
                    line += self._pass_on(draft, said)
        self._take_back(drafts.values(), heard)
        self._submit(list(drafts.values()))
        for slot, error in broken.items():  # what it did before the turn that failed is sound
            self._turns.give_up(slot, error)

    def _listen(
        self, slot: Slot, drafts: dict[Slot, Draft], broken: dict[Slot, Exception]
    ) -> tuple[Draft | None, list[Sent]]:
        """Give a receiver its turn; returns its draft, if anything came of it, and what it said."""
        former = drafts.get(slot)
        try:
            draft = self._turns.take(slot, former)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is one instance's trouble
            broken[slot] = error
            return None, []
        if draft is None:
            return None, []
        said = draft.outbox
        if former is None:
            drafts[slot] = draft
        else:
            former.add(draft)
        return drafts[slot], said

    # -- passing on

    def _pass_on(self, draft: Draft, outbox: list[Sent]) -> list[Slot]:
        """Give letters to those who are here; returns these."""
        if not outbox or not self._may_speak(draft.slot):
            return []
        letters = [
            decode_letter(sent.outgoing.instance_id, sent.outgoing.letter) for sent in outbox
        ]
        receivers = [
            self._receiver(sent.outgoing, letter)
            for sent, letter in zip(outbox, letters, strict=True)
        ]
        asks_for_locks = EntityLockRequest in map(type, letters)
        refused = self._refused(draft, letters, receivers) if asks_for_locks else _NONE
        addressed: dict[Slot, None] = {}
        for sent, slot, letter in zip(outbox, receivers, letters, strict=True):
            outgoing = sent.outgoing
            is_refused = isinstance(letter, EntityLockRequest) and letter.holder.seq in refused
            if slot is None or is_refused or outgoing.instance_id in draft.posted:
                draft.posted.add(outgoing.instance_id)
                continue
            sent.passed_as = next(self._letters)
            slot.instance.deliver(sent.passed_as, outgoing.execution, letter)
            addressed[slot] = None
        return list(addressed)

    def _receiver(self, outgoing: Outgoing, letter: Letter) -> Slot | None:
        """Return who would take a letter here now."""
        slot = self._tools.slots.get(outgoing.instance_id)
        if slot is None or outgoing.execution not in (None, slot.execution):
            return None
        return slot if isinstance(letter, _PASSED_ON) and self._may_hear(slot) else None

    def _refused(
        self, draft: Draft, letters: list[Letter], receivers: list[Slot | None]
    ) -> Container[int]:
        """Return which critical sections cannot begin here now: an entity of theirs is not here, or has something else to do first."""
        refused: set[int] = set()
        earlier: set[Slot] = set()
        for letter, slot in zip(letters, receivers, strict=True):
            if isinstance(letter, EntityLockRequest) and (
                slot is None
                or slot in earlier
                or slot.instance_id in draft.posted
                or not self._is_free(slot)
            ):
                refused.add(letter.holder.seq)
            if slot is not None:
                earlier.add(slot)
        return refused

    def _is_free(self, slot: Slot) -> bool:
        """Tell whether an entity would grant a lock at once, whatever else comes in this conversation before its turn."""
        entity = slot.entity
        until_us = self._tools.backend.now_us() + round(FREE_SECONDS * 1e6)
        return (
            entity.lock is None
            and not entity.has_arrivals
            and (entity.wake_at_us or until_us) >= until_us
        )

    def _may_speak(self, slot: Slot) -> bool:
        """Tell whether nothing that it sent before it came here can be on its way still, and it takes part."""
        return (
            self._tools.fetches.taken >= slot.speaks_after
            and not slot.is_alone
            and not slot.is_suspect
        )

    def _may_hear(self, slot: Slot) -> bool:
        """Tell whether a turn now would take what it is told, after all that was sent to it before.

        Some take no part: their turns could not be stored together with others', or workers died of them, or may have.
        """
        return (
            not (
                slot.committing
                or slot.is_busy
                or slot.is_alone
                or slot.is_suspect
                or slot.instance.outcome is not None
                or slot.instance_id in self._tools.fetches.owed
            )
            and slot.is_held
        )

    # -- the end

    def _take_back(self, drafts: Iterable[Draft], heard: Iterable[Slot]) -> None:
        """Let letters that were not taken go through the store."""
        taken = {mail_id for draft in drafts for mail_id in draft.consumed if mail_id < 0}
        left = [
            sent
            for draft in drafts
            for sent in draft.outbox
            if sent.passed_as and sent.passed_as not in taken
        ]
        if not left:
            return
        by_id = {slot.instance_id: slot for slot in heard}
        for sent in left:
            by_id[sent.outgoing.instance_id].instance.withdraw(sent.passed_as)
            sent.passed_as = 0

    def _submit(self, drafts: list[Draft]) -> None:
        written: list[Draft] = []
        for draft in drafts:
            draft.commit = draft.sealed()
            if is_empty(draft.commit) and not _may_be_gone(draft.slot):
                self._turns.skip(draft)
            else:
                written.append(draft)
        group = next(self._groups) if len(written) > 1 else 0
        for draft in written:
            if group:
                draft.commit = msgspec.structs.replace(draft.commit, group=group)
            self._turns.submit(draft)


def _may_be_gone(slot: Slot) -> bool:
    """Tell whether the store may have forgotten an entity that is here still; what it did is void then, and its turn must be judged."""
    return isinstance(slot.instance, EntityInstance) and slot.instance.snapshot.is_empty
