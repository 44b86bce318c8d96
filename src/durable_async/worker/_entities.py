"""Entities at work: operations carried out in order, quick ones between other turns, others in tasks and threads."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

import anyio
from anyio.abc import TaskStatus

from durable_async._engine.entity_fold import fold_entity
from durable_async._engine.operations import Operation
from durable_async._kernel.entities.instance import EntityInstance
from durable_async._kernel.entities.outcome import OperationOutcome
from durable_async.errors import EntityOperationFailedError, TurnBudgetError
from durable_async.failure import FailureDetails
from durable_async.model.history import EntityOperation
from durable_async.registry import EntityDefinition
from durable_async.telemetry import Outcome
from durable_async.telemetry.logs import about

from ._drafts import Draft, Sent
from ._slots import Slot
from ._tools import Tools

_log = logging.getLogger("durable_async")

OPERATIONS_MAX = 1_000
"""Operations in one turn."""

TURN_SECONDS = 0.005
"""A turn of quick operations is over after this time, and committed; there may be more to do then."""

BATCH_SECONDS = 0.05
"""The same for operations that wait, or run in threads."""

QUICK_SECONDS = 0.005
QUICK_RUNS = 3
"""A ``def`` operation that was so quick so often in a row need not run in a thread."""

SLOW_SECONDS = 0.1
SLOW_RUNS = 3
"""One that was slower than quick so often in a row, or once as slow as this, has to prove itself anew; a busy machine makes anything slow now and then."""

EXPERIENCE_MAX = 10_000


@dataclass(slots=True)
class _Experience:
    """How a ``def`` operation has behaved in this process."""

    quick_runs: int = 0
    slow_runs: int = 0
    is_quick: bool = False

    def note(self, seconds: float) -> None:
        if seconds <= QUICK_SECONDS:
            self.quick_runs += 1
            self.slow_runs = 0
        else:
            self.slow_runs += 1
            if not self.is_quick or self.slow_runs >= SLOW_RUNS or seconds > SLOW_SECONDS:
                self.quick_runs = 0
        self.is_quick = self.quick_runs >= QUICK_RUNS


class EntityTurns:
    """Carries out the operations of one session's entities.

    A ``def`` operation that was quick several times runs between other turns; the first times, and as soon as it was slow once, it runs in a
    thread. ``async def`` operations run in tasks of the event loop. Whatever takes long keeps nobody waiting but its own entity.

    Args:
        tools: What the session shares.
        go_on: Takes what a turn came to, when that took longer than ``take``.
        rest: Takes an entity of which nothing came.
        give_up: Lets an instance go whose turn cannot be had.
        hand_back: Lets an entity go whose next operation is not begun here any more.
    """

    def __init__(
        self,
        tools: Tools,
        go_on: Callable[[Draft], None],
        rest: Callable[[Slot], None],
        give_up: Callable[[Slot, Exception], None],
        hand_back: Callable[[Slot], None],
    ) -> None:
        self._tools = tools
        self._go_on = go_on
        self._rest = rest
        self._give_up = give_up
        self._hand_back = hand_back
        self._experience: dict[tuple[str, str], _Experience] = {}
        self._threads = anyio.CapacityLimiter(tools.settings.threads_max)
        self._limiter = anyio.CapacityLimiter(tools.settings.operations_max)
        self._group = asyncio.TaskGroup()
        self.running = 0
        self.closed = False

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Host operations that take longer, until cancelled."""
        async with self._group:
            task_status.started()
            try:
                await anyio.sleep_forever()
            finally:
                self.closed = True

    # -- quick ones

    def take(
        self, slot: Slot, entity: EntityInstance, now_us: int, *, is_first: bool
    ) -> Draft | None:
        """Carry out what is quick; ``None`` if there is nothing to do, or the first operation takes longer, and is under way now.

        Args:
            slot: The entity's.
            entity: What is in it.
            now_us: The store's clock.
            is_first: Whether nothing that it did before waits for a commit; only then may it become busy.
        """
        try:
            return self._tools.watchdog.watch(
                slot.instance_id, self._take, slot, entity, now_us, is_first
            )
        except TurnBudgetError:
            self._experience.clear()  # one of them was trusted and should not have been
            raise

    def _take(
        self, slot: Slot, entity: EntityInstance, now_us: int, is_first: bool
    ) -> Draft | None:
        tools = self._tools
        clock = tools.environment.monotonic
        if slot.claims > tools.settings.attempts_max:
            parked = self._draft(slot, now_us)
            if parked is not None:  # durable before the next one begins, which may be no better
                return parked
        definition = self._definition(entity)
        payloads, new_id = tools.payloads, tools.environment.new_id
        begun = clock()
        left = _most(slot)
        while (letter := entity.next_operation(now_us)) is not None:
            operation = Operation(definition, entity, letter, payloads, now_us, new_id)
            known = self._known(definition, letter)
            is_quick = known.is_quick and not slot.on_trial
            if operation.is_async or operation.in_thread or not is_quick:
                if is_first and left == _most(slot):
                    # What was said here, such as the end of a section, is taken in the group of whoever said it, or not at all.
                    done = self._draft(slot, now_us)
                    if done is None:
                        self._take_time(slot)
                    return done
                break
            started = clock()
            outcome = operation.run() if tools.teller is None else self._tell(slot, operation)
            self._conclude(slot, entity, letter, outcome)
            ended = clock()
            known.note(ended - started)
            left -= 1
            if left == 0 or ended - begun > TURN_SECONDS:
                break
        return self._draft(slot, now_us)

    def _definition(self, entity: EntityInstance) -> EntityDefinition:
        definition = self._tools.registry.find_entity(entity.entity_id.stored_name)
        assert definition is not None, "only registered names are claimed"
        return definition

    @staticmethod
    def _conclude(
        slot: Slot, entity: EntityInstance, letter: EntityOperation, outcome: OperationOutcome
    ) -> None:
        if slot.on_trial:
            slot.on_trial -= 1
        failure = outcome.failure
        if failure is not None and letter.caller is None and letter.request_id is None:
            # A signal's failure is told nobody and is in no history, so it would be lost.
            error = EntityOperationFailedError(slot.instance_id, letter.operation, failure)
            _log.warning(
                "%s, and nobody waits for it\n%s",
                error,
                failure.stack_trace.rstrip(),
                extra=about(slot.instance_id, slot.execution),
            )
        entity.conclude(outcome)

    def _known(self, definition: EntityDefinition, letter: EntityOperation) -> _Experience:
        key = (definition.name, letter.operation)
        known = self._experience.get(key)
        if known is None:
            if len(self._experience) >= EXPERIENCE_MAX:  # names come from callers
                self._experience.clear()
            known = self._experience[key] = _Experience()
        return known

    def _draft(self, slot: Slot, now_us: int) -> Draft | None:
        entity = slot.entity
        turn = entity.finish()
        if turn.is_empty:
            return None
        commit = fold_entity(entity, turn, now_us=now_us)
        outbox = [Sent(outgoing) for outgoing in commit.outbox] if commit.outbox else []
        return Draft(slot, commit, consumed=list(commit.consumed), outbox=outbox)

    def _tell(self, slot: Slot, operation: Operation) -> OperationOutcome:
        """Carry out a quick one, and tell of it."""
        teller = self._tools.teller
        assert teller is not None
        ongoing = teller.operation_began(operation, slot)
        if ongoing is None:
            return operation.run()
        begun_at = teller.clock()
        try:
            outcome = operation.run()
        except BaseException:
            ongoing.ended(Outcome(status="cancelled", seconds=teller.clock() - begun_at))
            raise
        teller.operation_ended(ongoing, slot, outcome, begun_at)
        return outcome

    # -- those that take longer

    def _take_time(self, slot: Slot) -> None:
        if self.closed:
            self._hand_back(slot)
            return
        slot.is_busy = True
        self.running += 1
        self._group.create_task(self._carry_out(slot))

    async def _carry_out(self, slot: Slot) -> None:
        try:
            async with self._limiter:
                draft = await self._batch(slot)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is one instance's trouble
            slot.is_busy = False
            if slot.is_held:
                self._give_up(slot, error)
            return
        finally:
            self.running -= 1
        slot.is_busy = False
        if not slot.is_held:
            return
        if draft is None:
            self._rest(slot)
        else:
            self._go_on(draft)

    async def _batch(self, slot: Slot) -> Draft | None:
        tools, entity = self._tools, slot.entity
        clock = tools.environment.monotonic
        definition = self._definition(entity)
        payloads, new_id = tools.payloads, tools.environment.new_id
        begun = clock()
        left = _most(slot)
        while True:
            now_us = tools.backend.now_us()
            letter = entity.next_operation(now_us)
            if letter is None:
                break
            operation = Operation(definition, entity, letter, payloads, now_us, new_id)
            if tools.teller is None:
                outcome = await self._perform(definition, operation)
            else:
                outcome = await self._perform_and_tell(slot, definition, operation)
            self._conclude(slot, entity, letter, outcome)
            left -= 1
            if left == 0 or clock() - begun > BATCH_SECONDS:
                break
        return self._draft(slot, tools.backend.now_us())

    async def _perform_and_tell(
        self, slot: Slot, definition: EntityDefinition, operation: Operation
    ) -> OperationOutcome:
        teller = self._tools.teller
        assert teller is not None
        ongoing = teller.operation_began(operation, slot)
        if ongoing is None:
            return await self._perform(definition, operation)
        begun_at = teller.clock()
        try:
            outcome = await self._perform(definition, operation)
        except BaseException:
            ongoing.ended(Outcome(status="cancelled", seconds=teller.clock() - begun_at))
            raise
        teller.operation_ended(ongoing, slot, outcome, begun_at)
        return outcome

    async def _perform(
        self, definition: EntityDefinition, operation: Operation
    ) -> OperationOutcome:
        if operation.is_async:
            return await self._perform_async(operation)
        environment = self._tools.environment
        if not operation.in_thread and self._known(definition, operation.letter).is_quick:
            return operation.run()

        def run() -> tuple[OperationOutcome, float]:
            started = environment.monotonic()
            outcome = operation.run()
            return outcome, environment.monotonic() - started

        outcome, seconds = await environment.run_in_thread(
            run, limiter=self._threads, abandon_on_cancel=True
        )
        self._known(definition, operation.letter).note(seconds)
        return outcome

    async def _perform_async(self, operation: Operation) -> OperationOutcome:
        try:
            return await operation.run_async()
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if self.closed or task is None:
                raise
            # Nobody else cancels this task: its own code did, which is the operation's failure.
            while task.uncancel():
                pass
            return OperationOutcome(failure=FailureDetails.of(error))


def _most(slot: Slot) -> int:
    """Return how many operations a turn may have: a suspect's are tried one by one, so that what came through before stays."""
    return 1 if slot.is_suspect else OPERATIONS_MAX
