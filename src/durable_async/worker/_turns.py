"""Turns: takes ready instances through their code, one at a time, and hands the commits over."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, Protocol

import anyio.lowlevel

from durable_async._engine.ends import End
from durable_async._engine.fold import fold, queued
from durable_async._engine.options import encode_options
from durable_async._kernel.entities.instance import EntityInstance
from durable_async._kernel.futures import ActivityFuture
from durable_async._kernel.orchestration import Orchestration, TurnResult
from durable_async.errors import (
    BackendUnavailableError,
    CorruptHistoryError,
    LimitExceededError,
)
from durable_async.failure import FailureDetails
from durable_async.model.history import (
    ActivityCompleted,
    ActivityFailed,
    EntityOperation,
    ExecutionStarted,
)
from durable_async.model.identity import ENTITY_MARK
from durable_async.model.records import (
    NO_WILL,
    Abandon,
    CommitItem,
    Mail,
    Recount,
    Release,
    TurnCommit,
    uncounted,
)
from durable_async.model.status import Status
from durable_async.serialization.events import decode_letter
from durable_async.telemetry.logs import about

from ._calls import STRANGERS_MAX, ActivityCalls, unsaved
from ._conversations import Conversations
from ._drafts import Draft, Sent
from ._entities import EntityTurns
from ._limits import Limits
from ._parking import named, park, readable
from ._slots import Slot
from ._tools import Tools, ignore
from .settings import SLICE_SECONDS

DETERMINISM_ATTEMPTS = 3
BACKOFF_SECONDS_MAX = 60.0
PROGRAMS_MAX = 1_000

_log = logging.getLogger("durable_async")


class _Mailbox(Protocol):
    def forget(self, mail_ids: list[int]) -> None: ...


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
        self._now_us = 0
        self._programs: dict[str, Any] = {}
        self._consumed: list[tuple[_Mailbox, list[int]]] = []
        self._strangers: set[str] = set()
        self._conversations = Conversations(tools, self)
        self._limits = Limits(tools.settings)
        self.calls = ActivityCalls(tools)
        self.entities = EntityTurns(tools, self._go_on, self._rest, self.give_up, self._hand_back)

    def forget_consumed(self) -> None:
        """Forget the letters whose rows are gone; called before the store is asked for letters.

        Not sooner: an answer that is on its way may still tell of them, and they would be taken twice.
        """
        for mailbox, mail_ids in self._consumed:
            mailbox.forget(mail_ids)
        self._consumed.clear()

    async def run(self) -> None:
        """Run turns until cancelled; yields to the rest of the program every 2 ms."""
        slots, settings = self._tools.slots, self._tools.settings
        while True:
            has_more = self._run_slice()
            if slots.waiting < settings.turns_ahead:
                self._on_room()
            if has_more:
                await anyio.lowlevel.checkpoint()
            else:
                await slots.wait()

    def _run_slice(self) -> bool:
        """Run turns for about 2 ms; whether there may be more. All see one time, that of the beginning."""
        next_ready, begin = self._tools.slots.next_ready, self._conversations.begin
        clock = self._tools.environment.monotonic
        self._look_at_the_clock()
        end = clock() + SLICE_SECONDS
        while (slot := next_ready()) is not None:
            begin(slot)
            if clock() >= end:
                return True
        return False

    def _look_at_the_clock(self) -> None:
        self._now_us = self._tools.backend.now_us()

    def _go_on(self, draft: Draft) -> None:
        """Go on with what came of a turn that took long."""
        self._look_at_the_clock()
        self._conversations.go_on(draft)

    # -- one turn

    def program(self, name: str) -> Any:
        """Return the program of an orchestrator that is run here."""
        program = self._programs.get(name)
        if program is None:
            orchestrator = self._tools.registry.find_orchestrator(name)
            assert orchestrator is not None, "only registered names are claimed"
            if len(self._programs) >= PROGRAMS_MAX:  # with a fallback, names come from callers
                self._programs.clear()
            program = self._programs[name] = orchestrator.program(self._tools.payloads)
        return program

    def take(self, slot: Slot, former: Draft | None) -> Draft | None:
        """Give an instance a turn, after those that ``former`` tells of; ``None`` if nothing comes of it now.

        Raises:
            Exception: The turn cannot be had.
        """
        instance = slot.instance
        if isinstance(instance, EntityInstance):
            draft = self.entities.take(slot, instance, self._now_us, is_first=former is None)
        else:
            draft = self._take_orchestration(slot, instance, former)
        if draft is None and former is None and slot.is_held and not slot.is_busy:
            self._look_at_the_clock()  # what is due now is so for the next turn, too
            self._rest(slot)
        return draft

    def _take_orchestration(
        self, slot: Slot, instance: Orchestration, former: Draft | None
    ) -> Draft | None:
        now_us = self._now_us
        teller = self._tools.teller
        begun_at = 0.0 if teller is None else teller.clock()
        result = self._tools.watchdog.watch(slot.instance_id, instance.turn, now_us)
        if not result.events and not result.consumed:
            return None
        commit, effects = fold(
            instance,
            result,
            turn=slot.turn,
            status=slot.status if former is None else former.status,
            now_us=now_us,
        )
        try:
            self._limits.check(instance, result, slot.history_bytes, len(commit.events))
        except LimitExceededError:
            _take_back(instance, result)
            raise
        outbox = [Sent(outgoing) for outgoing in commit.outbox] if commit.outbox else []
        draft = Draft(slot, commit, result.events, result.consumed, outbox, effects)
        if teller is not None:
            draft.seconds = teller.clock() - begun_at
            draft.repeated = result.repeated
        return draft

    def submit(self, draft: Draft) -> None:
        """Have a draft committed, and go on when it is durable."""
        slot, effects = draft.slot, draft.effects
        if effects.start or effects.stop:
            draft.begins, draft.commit = self.calls.place(slot, draft.commit, effects)
        slot.committing = True
        slot.renewing = draft.commit.next_execution is not None
        submit = self._tools.committer.submit
        submit(draft.commit, functools.partial(self._answered, draft))
        if slot.on_trial:
            # As if it were given back and claimed anew: what is next in its line is begun for the first time.
            first = Recount(instance_id=slot.instance_id, attempts=1, execution=slot.execution)
            submit(first, ignore)

    def skip(self, draft: Draft) -> None:
        """Go on after a draft of which nothing is to be written: it only read, and told somebody here."""
        _mailbox_of(draft.slot).forget(draft.consumed)
        if self._tools.teller is not None:
            self._tools.teller.committed(draft)
        self._rest(draft.slot)

    # -- after the commit

    def _answered(self, draft: Draft, dropped: bool) -> None:
        """Take a commit's answer, and go on; if the instance was let go meanwhile, others see to it."""
        slot = draft.slot
        slot.committing = slot.renewing = False
        if draft.begins:
            self.calls.redeem(len(draft.begins))
        if not slot.is_held:
            return
        if dropped:
            self.drop(slot)
            self._claim_again(slot)
            return
        if draft.consumed:
            self._consumed.append((_mailbox_of(slot), draft.consumed))
        self._note(slot, draft)
        effects = draft.effects
        for seq in effects.stop:
            self.calls.stop(slot, seq)
        if effects.next_started is not None:
            self._continue(slot, effects.next_started)
        elif slot.instance.outcome is not None:
            self._tell_end(slot, draft.commit)
            self.drop(slot)
        else:
            for item in draft.commit.queued:
                slot.elsewhere.add(item.seq)
                self.calls.expect(slot, item.seq)
            for future in draft.begins:
                self.calls.start(slot, future)
            self._rest(slot)

    def _tell_end(self, slot: Slot, commit: TurnCommit) -> None:
        """Tell those of this process who wait for it; a failure is told in the log, too, without its words, which may hold what nobody should log."""
        ends = self._tools.ends
        if commit.failure is not None:
            _log.info(
                "%s failed: %s",
                named(commit.instance_id),
                readable(_kinds(commit.failure)),
                extra=about(commit.instance_id, commit.execution),
            )
        if commit.status is Status.COMPLETED and ends.is_awaited(commit.instance_id):
            name = slot.orchestration.started.name
            ends.tell(End(commit.instance_id, commit.execution, name, commit.output))

    def _note(self, slot: Slot, draft: Draft) -> None:
        """Take note of what the store holds now, and tell it."""
        tools, commit = self._tools, draft.commit
        if slot.claims or slot.is_suspect:
            slot.came_through()
        if commit.events:
            slot.turn += 1
            tools.slots.grow(slot, len(commit.events))
        if commit.state is not None:
            tools.slots.grow(slot, len(commit.state) - slot.history_bytes)
        if commit.will is not None:
            slot.has_will = commit.will != NO_WILL
        if commit.status is not None:
            slot.status = commit.status
        for outgoing in commit.outbox:
            tools.fetches.owe(outgoing.instance_id)
            if outgoing.opens is not None:
                self._warn_of_stranger(outgoing.opens)
        if tools.teller is not None:
            tools.teller.committed(draft)

    def _warn_of_stranger(self, name: str) -> None:
        if name in self._strangers or self._tools.registry.find_entity(name) is not None:
            return
        if len(self._strangers) < STRANGERS_MAX:
            self._strangers.add(name)
            _log.warning(
                "entity %r is not registered here: what is sent to it waits for a worker that registers it",
                name.removeprefix(ENTITY_MARK),
            )

    def _rest(self, slot: Slot) -> None:
        """It has nothing on its way: another turn if something came meanwhile, else an alarm for what is due."""
        instance = slot.instance
        wake_us = instance.wake_at_us
        if instance.has_arrivals:
            self._tools.slots.enqueue(slot)
            return
        if slot.on_trial:
            slot.end_trial()
        if wake_us is None:
            return
        if wake_us <= self._tools.backend.now_us():
            self._tools.slots.enqueue(slot)
        else:
            self._tools.alarms.set(wake_us, slot)

    def _continue(self, slot: Slot, started: ExecutionStarted) -> None:
        """Go on with the next execution, with what is in the mailbox; let it go if its version is not run here."""
        old = slot.orchestration
        versions = self._tools.versions
        if not versions.takes(started.name, started.version):
            if versions.leaves(started.name, started.version):
                versions.pass_over(started.name, started.version)
            self._hand_back(slot, old.execution + 1)
            return
        self.calls.stop_all(slot)
        fresh = Orchestration(
            old.instance_id, old.execution + 1, started, self.program(started.name)
        )
        fresh.mailbox = old.mailbox
        fresh.replay([started])
        self._evict(old)
        slot.renew(fresh)
        self._tools.slots.grow(slot, -slot.history_bytes)
        self._tools.slots.enqueue(slot)

    def welcome(self, slot: Slot) -> None:
        """Go on with an instance that was just claimed: begin its activities again, then its turn."""
        if isinstance(slot.instance, EntityInstance):
            self._tools.slots.enqueue(slot)
            return
        pending = [
            future
            for future in slot.instance.pending_activities()
            if future.seq not in slot.elsewhere
        ]
        local, away = self.calls.split(pending)
        for future in local:
            self.calls.start(slot, future)
        for seq in slot.elsewhere:
            self.calls.expect(slot, seq)
        if away:
            self._queue(slot, away)
        elif slot.turn <= 1:
            self._tools.slots.enqueue(slot)
        else:
            self._rest(slot)

    def _queue(self, slot: Slot, futures: list[ActivityFuture[Any]]) -> None:
        """Put activities into the hub's queue, without a turn."""
        instance = slot.orchestration
        origin = instance.started.origin
        commit = TurnCommit(
            instance_id=instance.instance_id,
            execution=instance.execution,
            turn=slot.turn,
            events=b"",
            queued=tuple(
                queued(instance, future, encode_options(future, origin)) for future in futures
            ),
        )
        slot.committing = True
        draft = Draft(slot, commit)
        self._tools.committer.submit(commit, functools.partial(self._answered, draft))

    def receive(self, slot: Slot, mail: Mail) -> bool:
        """Take a letter that came through the store; returns whether somebody may be waiting for what comes of it."""
        try:
            letter = decode_letter(mail.instance_id, mail.letter)
        except (CorruptHistoryError, BackendUnavailableError) as error:
            self.give_up(slot, error)
            return True
        if slot.instance.deliver(mail.id, mail.execution, letter) and not slot.queued:
            self._tools.slots.enqueue(slot)
        return not (
            isinstance(letter, EntityOperation)
            and letter.caller is None
            and letter.request_id is None
        )

    # -- letting go

    def drop(self, slot: Slot) -> None:
        """Forget an instance: it ended, or somebody else goes on with it."""
        self._tools.slots.remove(slot)
        self.calls.stop_all(slot)
        self._evict(slot.instance)

    def _evict(self, instance: Orchestration | EntityInstance) -> None:
        if isinstance(instance, Orchestration) and not instance.evict():
            _log.warning(
                "orchestration %s does not end when it is cancelled; its memory is kept",
                instance.instance_id,
                extra=about(instance.instance_id, instance.execution),
            )
            self._bury(instance)

    def _claim_again(self, slot: Slot) -> None:
        """The store knows better: let it go, and have it claimed and replayed."""
        abandon = Abandon(
            instance_id=slot.instance_id,
            retry_at_us=self._tools.backend.now_us(),
            execution=slot.execution,
        )
        self._tools.committer.submit(abandon, ignore)

    def give_up(self, slot: Slot, error: Exception) -> None:
        """Abandon a turn: nothing of it is committed; try again later, then park."""
        if isinstance(slot.instance, Orchestration) and not slot.renewing:
            self._save_results(slot)  # of an execution that is over, nobody wants them
        self.drop(slot)
        # A turn on its way may be the last of its execution.
        execution = None if slot.committing else slot.execution
        self.refuse(slot.instance_id, execution, slot.claims, error)

    def _hand_back(self, slot: Slot, execution: int | None = None) -> None:
        """Let an instance go that has work to do, at its execution or another one, for whoever claims it next."""
        release = Release(
            instance_id=slot.instance_id,
            wake_at_us=self._tools.backend.now_us(),
            execution=slot.execution if execution is None else execution,
        )
        self.drop(slot)
        self._tools.committer.submit(release, ignore)

    def _save_results(self, slot: Slot) -> None:
        """Put outcomes that only this process knows into the instance's mailbox."""
        instance = slot.orchestration
        outbox = unsaved(instance)
        if outbox:
            commit = TurnCommit(
                instance_id=instance.instance_id,
                execution=instance.execution,
                turn=slot.turn,
                events=b"",
                outbox=outbox,
            )
            self._tools.committer.submit(commit, ignore)

    def refuse(
        self, instance_id: str, execution: int | None, claims: int, error: Exception
    ) -> None:
        """Give a claimed instance back for later, or park it if that was tried often enough, or will not change: it is over a limit.

        Where something is away that it needs, the claim does not count: others do not park it for that.
        """
        tools = self._tools
        claims = max(claims, 1)
        is_its_own = not isinstance(error, BackendUnavailableError)
        item: CommitItem
        is_hopeless = isinstance(error, LimitExceededError)
        if is_hopeless or (claims >= DETERMINISM_ATTEMPTS and is_its_own):
            reason = f"{type(error).__name__}: {error}"
            item = park(instance_id, execution, reason)
        else:
            if not is_its_own:
                recount = Recount(
                    instance_id=instance_id, attempts=uncounted(claims), execution=execution
                )
                tools.committer.submit(recount, ignore)
            wait = min(2.0 ** (claims - 1), BACKOFF_SECONDS_MAX)
            _log.warning(
                "%s is tried again in %g s: %s",
                named(instance_id),
                wait,
                error,
                extra=about(instance_id, execution),
            )
            retry_us = tools.backend.now_us() + round(wait * 1e6)
            item = Abandon(instance_id=instance_id, retry_at_us=retry_us, execution=execution)
        tools.committer.submit(item, ignore)


def _take_back(instance: Orchestration, result: TurnResult) -> None:
    """Put outcomes of activities back that a turn took in vain: this process may be the only one that knows them."""
    for event in result.events:
        if isinstance(event, (ActivityCompleted, ActivityFailed)):
            instance.deliver(None, instance.execution, event)


def _mailbox_of(slot: Slot) -> _Mailbox:
    instance = slot.instance
    return instance if isinstance(instance, EntityInstance) else instance.mailbox


def _kinds(failure: FailureDetails | None) -> str:
    """Name the types of a failure and of its causes."""
    kinds: list[str] = []
    while failure is not None:
        kinds.append(failure.error_type)
        failure = failure.cause
    return " from ".join(kinds)
