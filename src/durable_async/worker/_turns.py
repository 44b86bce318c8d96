"""Turns: takes ready instances through their code, one at a time, and hands the commits over."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.lowlevel
import msgspec

from durable_async._engine.fold import Effects, fold, queued
from durable_async._engine.options import encode_options
from durable_async._kernel.futures import ActivityFuture
from durable_async._kernel.letters import Mailbox
from durable_async._kernel.orchestration import Orchestration
from durable_async.backend import Backend
from durable_async.environment import Environment
from durable_async.errors import BackendUnavailableError, CorruptHistoryError, NotRegisteredError
from durable_async.failure import FailureDetails
from durable_async.model.history import (
    ActivityFailed,
    ActivityHeartbeat,
    ExecutionStarted,
    Letter,
)
from durable_async.model.policy import seconds_of
from durable_async.model.records import (
    Abandon,
    Mail,
    Outgoing,
    TurnCommit,
    UnclaimedActivity,
)
from durable_async.registry import Registry
from durable_async.serialization import DataConverter
from durable_async.serialization.events import decode_letter, encode_letter

from ._activities import ActivityRunner, Attempt
from ._alarms import About, Alarms
from ._committer import Committer
from ._parking import park
from ._slots import Slot, Slots
from ._watchdog import Watchdog
from .settings import WorkerSettings

SLICE_SECONDS = 0.002
DETERMINISM_ATTEMPTS = 3
BACKOFF_SECONDS_MAX = 60.0

_log = logging.getLogger("durable_async")


@dataclass(slots=True)
class Tools:
    """What one session shares between its parts."""

    backend: Backend
    environment: Environment
    registry: Registry
    payloads: DataConverter
    settings: WorkerSettings
    committer: Committer
    slots: Slots
    alarms: Alarms
    watchdog: Watchdog
    pause_at: float = 0.0


class Turns:
    """Runs the turns of one session's instances.

    Nothing that a turn decided happens before its commit: effects hang on the committer's answer. An instance has at most one turn on its way.
    """

    def __init__(
        self,
        tools: Tools,
        on_graveyard: Callable[[Orchestration], None],
        on_room: Callable[[], None],
    ) -> None:
        self._tools = tools
        self._on_room = on_room
        self._bury = on_graveyard
        self._arrived = anyio.Event()
        self._programs: dict[str, Any] = {}
        self._strangers: set[str] = set()
        self._consumed: list[tuple[Mailbox, list[int]]] = []
        self.activities: ActivityRunner | None = None
        self.turns = 0

    def enqueue(self, slot: Slot) -> None:
        """Give an instance a turn soon."""
        self._tools.slots.enqueue(slot)
        self._arrived.set()

    def forget_consumed(self) -> None:
        """Forget the letters whose rows are gone; called before the store is asked for letters.

        Not sooner: an answer that is on its way may still tell of them, and they would be taken twice.
        """
        for mailbox, mail_ids in self._consumed:
            mailbox.forget(mail_ids)
        self._consumed.clear()

    async def run(self) -> None:
        """Run turns until cancelled; yields to the rest of the program every 2 ms."""
        tools = self._tools
        while True:
            slice_end = tools.environment.monotonic() + SLICE_SECONDS
            while (slot := tools.slots.next_ready()) is not None:
                self._turn(slot)
                if tools.environment.monotonic() >= slice_end:
                    break
            if tools.slots.waiting < tools.settings.turns_ahead:
                self._on_room()
            if slot is None:
                self._arrived = anyio.Event()
                await self._arrived.wait()
            else:
                await anyio.lowlevel.checkpoint()

    # -- one turn

    def program(self, name: str) -> Any:
        """Return the program of a registered orchestrator."""
        program = self._programs.get(name)
        if program is None:
            orchestrator = self._tools.registry.find_orchestrator(name)
            assert orchestrator is not None, "only registered names are claimed"
            program = self._programs[name] = orchestrator.program(self._tools.payloads)
        return program

    def _turn(self, slot: Slot) -> None:
        tools = self._tools
        instance = slot.instance
        now_us = tools.backend.now_us()
        try:
            result = tools.watchdog.watch(
                instance.instance_id, functools.partial(instance.turn, now_us)
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, it is one instance's trouble
            self.give_up(slot, error)
            return
        self.turns += 1
        commit, effects = fold(
            instance,
            result,
            turn=slot.turn,
            status=slot.status,
            now_us=now_us,
        )
        local, commit = self._place(slot, commit, effects)
        if not result.events and not commit.consumed and not commit.queued and not commit.cancelled:
            self._rest(slot)
            return
        slot.committing = True
        slot.renewing = commit.next_execution is not None

        def done(dropped: bool) -> None:
            if self._is_held(slot, dropped):
                if result.consumed:
                    self._consumed.append((instance.mailbox, result.consumed))
                self._committed(slot, commit, effects, local)

        tools.committer.submit(commit, done)

    def _place(
        self, slot: Slot, commit: TurnCommit, effects: Effects
    ) -> tuple[list[ActivityFuture[Any]], TurnCommit]:
        """Decide which activities run here and which go to the hub's queue."""
        if not effects.start and not (effects.stop and slot.elsewhere):
            return [], commit
        local, away = self._split(effects.start)
        cancelled = tuple(seq for seq in effects.stop if seq in slot.elsewhere)
        if away or cancelled:
            items = tuple(queued(slot.instance, future, encode_options(future)) for future in away)
            commit = _with(commit, queued=items, cancelled=cancelled)
        return local, commit

    def _split(
        self, futures: list[ActivityFuture[Any]]
    ) -> tuple[list[ActivityFuture[Any]], list[ActivityFuture[Any]]]:
        runner = self.activities
        assert runner is not None
        room = runner.room
        local: list[ActivityFuture[Any]] = []
        away: list[ActivityFuture[Any]] = []
        for future in futures:
            known = self._tools.registry.find_activity(future.name) is not None
            (local if known and len(local) < room else away).append(future)
        return local, away

    # -- after the commit

    def _is_held(self, slot: Slot, dropped: bool) -> bool:
        """Take a commit's answer; whether the instance is still here, and goes on. If it was let go meanwhile, others see to it."""
        slot.committing = slot.renewing = False
        held = self._tools.slots.holds(slot)
        if held and dropped:
            self.drop(slot)
            self._claim_again(slot)
        return held and not dropped

    def _committed(
        self, slot: Slot, commit: TurnCommit, effects: Effects, local: list[ActivityFuture[Any]]
    ) -> None:
        tools = self._tools
        if commit.events:
            slot.turn += 1
            tools.slots.grow(slot, len(commit.events))
        slot.claims = 0
        if commit.status is not None:
            slot.status = commit.status
        for seq in effects.stop:
            self._stop(slot, seq)
        if effects.next_started is not None:
            self._continue(slot, effects.next_started)
        elif slot.instance.outcome is not None:
            self.drop(slot)
        else:
            for item in commit.queued:
                slot.elsewhere.add(item.seq)
                self._expect(slot, item.seq)
            for future in local:
                self.start(slot, future)
            self._rest(slot)

    def _rest(self, slot: Slot) -> None:
        """It has nothing on its way: another turn if something came meanwhile, else an alarm for what is due."""
        instance = slot.instance
        wake_us = instance.wake_at_us
        if instance.mailbox.has_arrivals:
            self.enqueue(slot)
        elif wake_us is not None:
            if wake_us <= self._tools.backend.now_us():
                self.enqueue(slot)
            else:
                self._tools.alarms.set(wake_us, slot)

    def _continue(self, slot: Slot, started: ExecutionStarted) -> None:
        """Go on with the next execution, with what is in the mailbox."""
        self._stop_all(slot)
        old = slot.instance
        fresh = Orchestration(
            old.instance_id, old.execution + 1, started, self.program(started.name)
        )
        fresh.mailbox = old.mailbox
        fresh.replay([started])
        self._evict(old)
        slot.instance = fresh
        slot.turn = 1
        slot.elsewhere.clear()
        self._tools.slots.grow(slot, -slot.history_bytes)
        self.enqueue(slot)

    def welcome(self, slot: Slot) -> None:
        """Go on with an instance that was just claimed: begin its activities again, then its turn."""
        pending = [
            future
            for future in slot.instance.pending_activities()
            if future.seq not in slot.elsewhere
        ]
        local, away = self._split(pending)
        for future in local:
            self.start(slot, future)
        for seq in slot.elsewhere:
            self._expect(slot, seq)
        if away:
            self._queue(slot, away)
        elif slot.turn <= 1:
            self.enqueue(slot)
        else:
            self._rest(slot)

    def _queue(self, slot: Slot, futures: list[ActivityFuture[Any]]) -> None:
        """Put activities into the hub's queue, without a turn."""
        instance = slot.instance
        commit = TurnCommit(
            instance_id=instance.instance_id,
            execution=instance.execution,
            turn=slot.turn,
            events=b"",
            queued=tuple(queued(instance, future, encode_options(future)) for future in futures),
        )
        slot.committing = True

        def done(dropped: bool) -> None:
            if self._is_held(slot, dropped):
                self._committed(slot, commit, Effects(), [])

        self._tools.committer.submit(commit, done)

    # -- activities

    def start(self, slot: Slot, future: ActivityFuture[Any]) -> None:
        """Begin an attempt of an activity here; its call is durable."""
        activity = self._tools.registry.find_activity(future.name)
        assert activity is not None
        limit = future.options.schedule_to_close
        attempt = Attempt(
            activity,
            slot.instance.instance_id,
            slot.instance.execution,
            future.seq,
            future.attempt,
            future.input,
            future.options,
            None
            if limit is None
            else future.scheduled_at_us + round(seconds_of(limit, "schedule_to_close") * 1e6),
            future.heartbeat,
        )
        slot.attempts[future.seq] = attempt
        assert self.activities is not None
        self.activities.start(attempt)

    def deliver(self, attempt: Attempt, letter: Letter) -> None:
        """Take the letter of a local attempt."""
        slot = self._tools.slots.get(attempt.instance_id)
        if slot is None or slot.instance.execution != attempt.execution:
            return
        if slot.attempts.get(attempt.seq) is attempt:
            if not isinstance(letter, ActivityHeartbeat):
                del slot.attempts[attempt.seq]
            slot.instance.deliver(None, attempt.execution, letter)
            self.enqueue(slot)

    def receive(self, slot: Slot, mail: Mail) -> None:
        """Take a letter that came through the store."""
        try:
            letter = decode_letter(mail.instance_id, mail.letter)
        except CorruptHistoryError as error:
            self.give_up(slot, error)
            return
        if slot.instance.deliver(mail.id, mail.execution, letter):
            self.enqueue(slot)

    def _expect(self, slot: Slot, seq: int) -> None:
        """If an activity in the queue is one that nobody here registers, give other workers a while to claim it."""
        future = slot.instance.pending_activity(seq)
        if future is not None and self._tools.registry.find_activity(future.name) is None:
            self._warn_of_stranger(future.name)
            about = (seq, slot.instance.execution, future.attempt)
            self._tools.alarms.set(self._grace_ends_us(), slot, about)

    def _warn_of_stranger(self, name: str) -> None:
        if name not in self._strangers:
            self._strangers.add(name)
            _log.warning(
                "activity %r is not registered here: each call of it waits %g s for a worker that registers it, and then fails",
                name,
                self._tools.settings.unregistered_grace_seconds,
            )

    def wake_at_us(self, slot: Slot) -> int | None:
        """Return when somebody must look at an instance that is let go now, although nothing arrives."""
        wake_us = slot.instance.wake_at_us
        waiting = map(slot.instance.pending_activity, slot.elsewhere)
        find = self._tools.registry.find_activity
        if slot.instance.suspended or all(one is None or find(one.name) for one in waiting):
            return wake_us
        grace_us = self._grace_ends_us()
        return grace_us if wake_us is None else min(wake_us, grace_us)

    def _grace_ends_us(self) -> int:
        grace = self._tools.settings.unregistered_grace_seconds
        return self._tools.backend.now_us() + round(grace * 1e6)

    def alarm(self, slot: Slot, about: About) -> None:
        """Something of an instance is due."""
        if about is None:
            self.enqueue(slot)
            return
        seq, execution, attempt = about
        future = slot.instance.pending_activity(seq)
        if future is None or slot.instance.execution != execution or seq not in slot.elsewhere:
            return
        if future.attempt != attempt:
            return
        self._give_up_unclaimed(slot, future)

    def _give_up_unclaimed(self, slot: Slot, future: ActivityFuture[Any]) -> None:
        """Let a queued activity fail that nobody claimed; if somebody did, look again later: that worker may die."""
        instance = slot.instance
        letter = ActivityFailed(future.seq, future.attempt, not_registered(future.name))
        item = UnclaimedActivity(
            instance_id=instance.instance_id,
            execution=instance.execution,
            seq=future.seq,
            outgoing=Outgoing(
                instance_id=instance.instance_id,
                execution=instance.execution,
                letter=encode_letter(letter),
            ),
        )

        def done(dropped: bool) -> None:
            if self._tools.slots.holds(slot) and slot.instance is instance:
                self._expect(slot, future.seq)

        self._tools.committer.submit(item, done)

    def _stop(self, slot: Slot, seq: int) -> None:
        slot.elsewhere.discard(seq)
        attempt = slot.attempts.pop(seq, None)
        if attempt is not None:
            assert self.activities is not None
            self.activities.stop(attempt)

    def _stop_all(self, slot: Slot) -> None:
        for seq in list(slot.attempts):
            self._stop(slot, seq)

    # -- letting go

    def drop(self, slot: Slot) -> None:
        """Forget an instance: it ended, or somebody else goes on with it."""
        self._tools.slots.remove(slot)
        self._stop_all(slot)
        self._evict(slot.instance)

    def _evict(self, instance: Orchestration) -> None:
        if not instance.evict():
            _log.warning(
                "orchestration %s does not end when it is cancelled; its memory is kept",
                instance.instance_id,
            )
            self._bury(instance)

    def _claim_again(self, slot: Slot) -> None:
        """The store knows better: let it go, and have it claimed and replayed."""
        abandon = Abandon(
            instance_id=slot.instance.instance_id,
            retry_at_us=self._tools.backend.now_us(),
            execution=slot.instance.execution,
        )
        self._tools.committer.submit(abandon, _ignore)

    def give_up(self, slot: Slot, error: Exception) -> None:
        """Abandon a turn: nothing of it is committed; try again later, then park."""
        if not slot.renewing:
            self._save_results(slot)  # of an execution that is over, nobody wants them
        self.drop(slot)
        # A turn on its way may be the last of its execution.
        execution = None if slot.committing else slot.instance.execution
        self.refuse(slot.instance.instance_id, execution, slot.claims, error)

    def _save_results(self, slot: Slot) -> None:
        """Put outcomes that only this process knows into the instance's mailbox: its activities have ended, and must not run again."""
        instance = slot.instance
        letters = instance.mailbox.unstored(instance.execution)
        if not letters:
            return
        outbox = tuple(
            Outgoing(
                instance_id=instance.instance_id,
                execution=instance.execution,
                letter=encode_letter(letter),
            )
            for letter in letters
        )
        commit = TurnCommit(
            instance_id=instance.instance_id,
            execution=instance.execution,
            turn=slot.turn,
            events=b"",
            outbox=outbox,
        )
        self._tools.committer.submit(commit, _ignore)

    def refuse(
        self, instance_id: str, execution: int | None, claims: int, error: Exception
    ) -> None:
        """Give a claimed instance back for later, or park it if that was tried often enough."""
        tools = self._tools
        claims = max(claims, 1)
        is_its_own = not isinstance(error, BackendUnavailableError)
        if claims >= DETERMINISM_ATTEMPTS and is_its_own:
            _log.error("orchestration %s is parked: %s", instance_id, error)
            reason = f"{type(error).__name__}: {error}"
            item: Any = park(instance_id, execution, reason)
        else:
            wait = min(2.0 ** (claims - 1), BACKOFF_SECONDS_MAX)
            _log.warning("orchestration %s is tried again in %g s: %s", instance_id, wait, error)
            retry_us = tools.backend.now_us() + round(wait * 1e6)
            item = Abandon(instance_id=instance_id, retry_at_us=retry_us, execution=execution)
        tools.committer.submit(item, _ignore)


def _ignore(dropped: bool) -> None:
    """Nothing follows."""


def _with(commit: TurnCommit, **changes: Any) -> TurnCommit:
    return msgspec.structs.replace(commit, **changes)


def not_registered(name: str) -> FailureDetails:
    """Describe that no worker registers an activity."""
    return FailureDetails.of(NotRegisteredError("activity", name), non_retryable=True)
