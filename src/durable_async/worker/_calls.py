"""Activities that this worker's orchestrations have called: begun here or given to the hub's queue, stopped, and given up."""

from __future__ import annotations

import logging
import math
from collections import OrderedDict
from typing import Any, TypeAlias

import msgspec

from durable_async._engine.fold import Effects, queued
from durable_async._engine.options import encode_options
from durable_async._kernel.futures import ActivityFuture
from durable_async._kernel.orchestration import Orchestration
from durable_async.errors import NotRegisteredError
from durable_async.failure import FailureDetails
from durable_async.model.history import ActivityFailed, ActivityHeartbeat, Letter
from durable_async.model.policy import seconds_of
from durable_async.model.records import Outgoing, TurnCommit, UnclaimedActivity
from durable_async.serialization.events import encode_letter

from ._activities import ActivityRunner, Attempt
from ._alarms import About
from ._slots import Slot
from ._tools import Tools

DEADLINES_MAX = 10_000
"""Calls of activities that nobody here registers, of which it is remembered until when they wait."""
STRANGERS_MAX = 1_000
"""Names that nobody here registers, of which it is said once each: they come from callers."""

_log = logging.getLogger("durable_async")

_Call: TypeAlias = tuple[str, int, int, int]
"""Instance, execution, number and attempt."""


class ActivityCalls:
    """The calls of one session's orchestrations."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._strangers: set[str] = set()
        self._deadlines: OrderedDict[_Call, int] = OrderedDict()
        self.runner: ActivityRunner | None = None

    # -- where they run

    def place(
        self, slot: Slot, commit: TurnCommit, effects: Effects
    ) -> tuple[list[ActivityFuture[Any]], TurnCommit]:
        """Decide which activities run here and which go to the hub's queue; returns the former, and the commit with the latter."""
        local, away = self.split(effects.start)
        cancelled = (
            tuple(seq for seq in effects.stop if seq in slot.elsewhere) if slot.elsewhere else ()
        )
        if away or cancelled:
            instance = slot.orchestration
            origin = instance.started.origin
            items = tuple(
                queued(instance, future, encode_options(future, origin)) for future in away
            )
            commit = msgspec.structs.replace(commit, queued=items, cancelled=cancelled)
        assert self.runner is not None
        self.runner.promised += len(local)
        return local, commit

    def redeem(self, count: int) -> None:
        """Take note that so many activities that were to run here are started now, or will never be."""
        assert self.runner is not None
        self.runner.promised -= count

    def split(
        self, futures: list[ActivityFuture[Any]]
    ) -> tuple[list[ActivityFuture[Any]], list[ActivityFuture[Any]]]:
        """Return those that may run here, and the others."""
        assert self.runner is not None
        room = self.runner.room
        local: list[ActivityFuture[Any]] = []
        away: list[ActivityFuture[Any]] = []
        for future in futures:
            known = self._tools.registry.find_activity(future.name) is not None
            (local if known and len(local) < room else away).append(future)
        return local, away

    # -- running here

    def start(self, slot: Slot, future: ActivityFuture[Any]) -> None:
        """Begin an attempt of an activity here; its call is durable."""
        activity = self._tools.registry.find_activity(future.name)
        assert activity is not None
        limit = future.options.schedule_to_close
        assert self.runner is not None
        attempt = Attempt(
            self.runner,
            activity,
            slot.instance_id,
            slot.execution,
            future.seq,
            future.attempt,
            future.input,
            future.options,
            None
            if limit is None
            else future.scheduled_at_us + round(seconds_of(limit, "schedule_to_close") * 1e6),
            future.heartbeat,
        )
        if self._tools.teller is not None:
            attempt.origin = slot.orchestration.started.origin
        slot.attempts[future.seq] = attempt
        self.runner.start(attempt)

    def deliver(self, attempt: Attempt, letter: Letter) -> None:
        """Take the letter of a local attempt."""
        slots = self._tools.slots
        slot = slots.get(attempt.instance_id)
        if slot is None or slot.execution != attempt.execution:
            return
        instance = slot.instance
        if slot.attempts.get(attempt.seq) is attempt and isinstance(instance, Orchestration):
            if not isinstance(letter, ActivityHeartbeat):
                del slot.attempts[attempt.seq]
                if attempt.ongoing is not None and slot.memo is not None:
                    slot.memo.ended[attempt.seq] = attempt.ongoing
            instance.deliver(None, attempt.execution, letter)
            slots.enqueue(slot)

    def stop(self, slot: Slot, seq: int, *, for_good: bool = True) -> None:
        """Stop an activity whose outcome nobody waits for any more, unless it is begun again elsewhere."""
        slot.elsewhere.discard(seq)
        attempt = slot.attempts.pop(seq, None)
        if attempt is not None:
            assert self.runner is not None
            self.runner.stop(attempt, for_good=for_good)

    def stop_all(self, slot: Slot) -> None:
        """Stop all that run here; those of an execution that has not ended are begun again by whoever has it next."""
        for seq in list(slot.attempts):
            self.stop(slot, seq, for_good=slot.instance.outcome is not None)

    # -- in the hub's queue

    def expect(self, slot: Slot, seq: int) -> None:
        """If an activity in the queue is one that nobody here registers, give other workers a while to claim it."""
        future = slot.orchestration.pending_activity(seq)
        if future is None or self._tools.registry.find_activity(future.name) is not None:
            return
        ends_us = self._grace_ends_us(slot, future)
        if ends_us is None:
            return
        self._warn_of_stranger(future.name)
        if ends_us <= self._tools.backend.now_us():
            # It may not be warm for long enough to hear an alarm.
            self._give_up_unclaimed(slot, future)
        else:
            self._tools.alarms.set(ends_us, slot, (seq, slot.execution, future.attempt))

    def _warn_of_stranger(self, name: str) -> None:
        if name not in self._strangers and len(self._strangers) < STRANGERS_MAX:
            self._strangers.add(name)
            _log.warning(
                "activity %r is not registered here: each call of it waits %g s for a worker that registers it, and then fails",
                name,
                self._tools.settings.unregistered_grace_seconds,
            )

    def wake_at_us(self, slot: Slot) -> int | None:
        """Return when somebody must look at an instance that is let go now, although nothing arrives."""
        wake_us = slot.instance.wake_at_us
        if not slot.elsewhere or slot.instance.suspended:
            return wake_us
        find = self._tools.registry.find_activity
        waiting = map(slot.orchestration.pending_activity, sorted(slot.elsewhere))
        ends = (self._grace_ends_us(slot, one) for one in waiting if one and not find(one.name))
        return min((one for one in (wake_us, *ends) if one is not None), default=None)

    def _grace_ends_us(self, slot: Slot, future: ActivityFuture[Any]) -> int | None:
        """Return until when an activity that nobody here registers may wait; ``None`` for ever.

        That is kept when its instance is let go, or one that comes and goes would wait anew each time, and never to the end.
        """
        grace = self._tools.settings.unregistered_grace_seconds
        if math.isinf(grace):
            return None
        call = (slot.instance_id, slot.execution, future.seq, future.attempt)
        if call not in self._deadlines:
            self._deadlines[call] = self._tools.backend.now_us() + round(grace * 1e6)
            if len(self._deadlines) > DEADLINES_MAX:
                self._deadlines.popitem(last=False)
        return self._deadlines[call]

    def alarm(self, slot: Slot, about: About) -> None:
        """Something of an instance is due: a turn, or the end of an activity's grace."""
        if about is None:
            self._tools.slots.enqueue(slot)
            return
        seq, execution, attempt = about
        if slot.execution != execution or seq not in slot.elsewhere:
            return
        future = slot.orchestration.pending_activity(seq)
        if future is not None and future.attempt == attempt:
            self._give_up_unclaimed(slot, future)

    def _give_up_unclaimed(self, slot: Slot, future: ActivityFuture[Any]) -> None:
        """Let a queued activity fail that nobody claimed; if somebody did, look again later: that worker may die."""
        instance = slot.orchestration
        call = (slot.instance_id, slot.execution, future.seq, future.attempt)
        self._deadlines.pop(call, None)
        letter = ActivityFailed(future.seq, future.attempt, not_registered(future.name))
        item = UnclaimedActivity(
            instance_id=instance.instance_id,
            execution=instance.execution,
            seq=future.seq,
            outgoing=_to_itself(instance, letter),
        )

        def done(dropped: bool) -> None:
            if slot.is_held and slot.instance is instance:
                self.expect(slot, future.seq)

        self._tools.committer.submit(item, done)


def _to_itself(instance: Orchestration, letter: Letter) -> Outgoing:
    return Outgoing(
        instance_id=instance.instance_id,
        execution=instance.execution,
        letter=encode_letter(letter),
    )


def unsaved(instance: Orchestration) -> tuple[Outgoing, ...]:
    """Return outcomes that only this process knows: its activities have ended, and must not run again."""
    letters = instance.mailbox.unstored(instance.execution)
    return tuple(_to_itself(instance, letter) for letter in letters)


def not_registered(name: str) -> FailureDetails:
    """Describe that no worker registers an activity."""
    return FailureDetails.of(NotRegisteredError("activity", name), non_retryable=True)
