"""Drafts: what the turns of one instance come to, until they are submitted as one commit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from durable_async._engine.fold import Effects
from durable_async._kernel.futures import ActivityFuture
from durable_async.model.history import HistoryEvent
from durable_async.model.records import NO_WILL, Outgoing, TurnCommit
from durable_async.model.status import Status
from durable_async.serialization.events import encode_events

from ._slots import Slot


class Sent(msgspec.Struct, eq=False):
    """A letter of a draft.

    Attributes:
        passed_as: The id under which it was passed on to its receiver here; 0 if it goes through the store.
    """

    outgoing: Outgoing
    passed_as: int = 0


class Draft(msgspec.Struct, eq=False):
    """The turns of one instance since its last commit.

    Attributes:
        commit: Everything that they come to, but for what stands below.
        events: Their history events, an orchestration's.
        consumed: Letters that they took; those that were passed on here have ids below 0.
        outbox: What they sent, in order.
        effects: What may happen once they are durable.
        posted: Receivers of letters that go through the store: what comes after these must not be faster.
        begins: Activities that will run here, of those that may begin; known when it is submitted.
        seconds: How long the code ran, where somebody listens.
        repeated: What a rewound execution asked for again, where somebody listens.
    """

    slot: Slot
    commit: TurnCommit
    events: list[HistoryEvent] = []
    consumed: list[int] = []
    outbox: list[Sent] = []
    effects: Effects = msgspec.field(default_factory=Effects)
    posted: set[str] = set()
    begins: Sequence[ActivityFuture[Any]] = ()
    seconds: float = 0.0
    repeated: Sequence[HistoryEvent] = ()

    @property
    def status(self) -> Status:
        """What the store will hold."""
        return self.slot.status if self.commit.status is None else self.commit.status

    def add(self, later: Draft) -> None:
        """Take in what a later turn came to."""
        old, new = self.commit, later.commit
        self.events += later.events
        self.consumed += later.consumed
        self.outbox += later.outbox
        self.seconds += later.seconds
        self.commit = msgspec.structs.replace(
            new,
            status=old.status if new.status is None else new.status,
            custom_status=old.custom_status if new.custom_status is None else new.custom_status,
            state=old.state if new.state is None else new.state,
            will=old.will if new.will is None else new.will,
            children=old.children + new.children,
            answers=old.answers + new.answers,
        )
        stopped = set(later.effects.stop)
        begun = [future for future in self.effects.start if future.seq not in stopped]
        self.effects = Effects(
            start=begun + later.effects.start,
            stop=self.effects.stop + later.effects.stop,
            next_started=later.effects.next_started,
        )

    def sealed(self) -> TurnCommit:
        """Return the commit as it is to be written; letters that were passed on and taken are not in it."""
        commit = self.commit
        ends = commit.next_execution is not None
        is_known = commit.will != NO_WILL or self.slot.has_will
        return msgspec.structs.replace(
            commit,
            events=encode_events(self.events) if self.events and not ends else b"",
            consumed=tuple(mail_id for mail_id in self.consumed if mail_id > 0),
            outbox=tuple(sent.outgoing for sent in self.outbox if not sent.passed_as),
            # One that was made and revoked since the last commit, the store need not hear of.
            will=commit.will if is_known else None,
        )


def is_empty(commit: TurnCommit) -> bool:
    """Tell whether nothing would be written."""
    return (
        not (
            commit.events
            or commit.consumed
            or commit.outbox
            or commit.answers
            or commit.children
            or commit.queued
            or commit.cancelled
            or commit.next_execution
        )
        and (commit.status, commit.custom_status, commit.state, commit.will) == (None,) * 4
    )
