"""Adoption: a claimed instance becomes a warm one, by replay of its history."""

from __future__ import annotations

import functools
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

import anyio.lowlevel

from durable_async._engine.termination import refusal as refusal_of, termination
from durable_async._kernel.entities.instance import EntityInstance
from durable_async._kernel.orchestration import Orchestration
from durable_async.errors import BackendUnavailableError, CorruptHistoryError, NonDeterminismError
from durable_async.failure import FailureDetails
from durable_async.model.history import ExecutionStarted, ExecutionTerminated, HistoryEvent
from durable_async.model.identity import ENTITY_MARK
from durable_async.model.records import ClaimedInstance, HistoryRow, TurnCommit
from durable_async.serialization.events import decode_events, decode_letter, decode_snapshot
from durable_async.telemetry.logs import about

from ._entities import OPERATIONS_MAX
from ._memos import Memo
from ._parking import park
from ._slots import Slot
from ._suspects import SUSPECT_ATTEMPTS
from ._tools import Tools, ignore
from ._turns import Turns
from ._versions import hand_back
from .settings import SLICE_SECONDS, Divergence

HISTORY_PAGE_BYTES = 4 * 1024 * 1024

_log = logging.getLogger("durable_async")


async def adopt(
    claimed: ClaimedInstance, tools: Tools, turns: Turns, speaks_after: int = 0
) -> None:
    """Take a claimed instance in, or refuse it: what cannot be replayed is tried later, then parked.

    One that is to end is ended here, without its code. ``speaks_after`` is the fetch that tells the last of what caused it.
    """
    _bury_former(claimed, tools, turns)
    if claimed.instance_id.startswith(ENTITY_MARK):
        _adopt_entity(claimed, tools, turns)
        return
    order = _order_to_end(claimed)
    if order is None and claimed.attempts > tools.settings.attempts_max:
        reason = f"claimed {tools.settings.attempts_max} times, and its worker never came through"
        tools.committer.submit(park(claimed.instance_id, claimed.execution, reason), ignore)
        return
    try:
        if order is not None:
            await _end(claimed, order, tools)
            return
        refusal = tools.versions.failure_of(claimed)
        if refusal is not None:
            await _fail(claimed, refusal, tools)
            return
        slot = await _rebuild(claimed, tools, turns)
    except NonDeterminismError as error:
        await _refuse_divergent(claimed, error, tools, turns)
        return
    except Exception as error:  # noqa: BLE001 - whatever it is, it is one instance's trouble
        turns.refuse(claimed.instance_id, claimed.execution, claimed.attempts, error)
        return
    _bury_former(claimed, tools, turns)
    if tools.slots.get(claimed.instance_id) is not None:
        turns.drop(slot)  # it was replaced while it was replayed
        return
    slot.speaks_after = speaks_after
    _take_in(slot, tools, turns)


def turn_away(claimed: ClaimedInstance, tools: Tools, turns: Turns) -> bool:
    """Hand an instance back at once that others are to run, by its version; returns whether it was. To end one, no code is needed."""
    if not tools.versions.leaves_claimed(claimed) or _order_to_end(claimed) is not None:
        return False
    _bury_former(claimed, tools, turns)
    seconds = tools.versions.pass_over(claimed.name, claimed.version)
    retry_at_us = tools.backend.now_us() + round(seconds * 1e6)
    for item in hand_back(claimed, retry_at_us):
        tools.committer.submit(item, ignore)
    return True


def _adopt_entity(claimed: ClaimedInstance, tools: Tools, turns: Turns) -> None:
    """Take an entity in. If its workers died again and again, that is the doing of its next operation, which is parked."""
    attempts = tools.settings.attempts_max
    try:
        snapshot = decode_snapshot(claimed.instance_id, claimed.state)
        entity = EntityInstance(claimed.instance_id, claimed.execution, snapshot)
        for mail in claimed.mail:
            entity.deliver(mail.id, mail.execution, decode_letter(claimed.instance_id, mail.letter))
        if claimed.attempts > attempts:
            reason = f"begun {attempts} times, and its worker never came through"
            if not entity.can_park:
                reason = f"its next operation was {reason}, and as much is parked as may be: retry or delete it"
                tools.committer.submit(park(claimed.instance_id, claimed.execution, reason), ignore)
                return
            operation = entity.park(reason, tools.backend.now_us(), attempts)
            if operation is not None:
                _log.error(
                    "operation %r of entity %s is parked: %s",
                    operation.operation,
                    claimed.instance_id,
                    reason,
                    extra=about(claimed.instance_id, claimed.execution),
                )
    except Exception as error:  # noqa: BLE001 - whatever it is, it is one instance's trouble
        turns.refuse(claimed.instance_id, claimed.execution, claimed.attempts, error)
        return
    slot = Slot(
        instance=entity,
        turn=0,
        status=claimed.status,
        history_bytes=len(claimed.state or b""),
        claims=claimed.attempts,
        on_trial=OPERATIONS_MAX if min(claimed.attempts, attempts) >= SUSPECT_ATTEMPTS else 0,
        memo=None if tools.teller is None else Memo(),
    )
    _take_in(slot, tools, turns)


def _take_in(slot: Slot, tools: Tools, turns: Turns) -> None:
    if slot.turn > 1 or slot.execution > 1 or isinstance(slot.instance, EntityInstance):
        slot.speaks_after = tools.fetches.begun + 1
    slot.is_alone = slot.instance_id in tools.committer.loners
    slot.has_will = slot.turn > 1
    tools.slots.add(slot)
    turns.welcome(slot)


def _bury_former(claimed: ClaimedInstance, tools: Tools, turns: Turns) -> None:
    former = tools.slots.get(claimed.instance_id)
    if former is not None and former.instance.execution <= claimed.execution:
        turns.drop(former)  # it was replaced, and this is its next life


def _order_to_end(claimed: ClaimedInstance) -> ExecutionTerminated | None:
    for mail in claimed.mail:
        with suppress(CorruptHistoryError, BackendUnavailableError):
            letter = decode_letter(claimed.instance_id, mail.letter)
            if isinstance(letter, ExecutionTerminated):
                return letter
    return None


async def _end(claimed: ClaimedInstance, order: ExecutionTerminated, tools: Tools) -> None:
    events, turn = await _read(claimed, tools)
    _submit_end(claimed, events, termination(claimed, order, events, turn), tools)


def _submit_end(
    claimed: ClaimedInstance, events: list[HistoryEvent], commit: TurnCommit, tools: Tools
) -> None:
    teller = tools.teller
    done = ignore if teller is None else teller.ended_without_code(claimed, events, commit)
    tools.committer.submit(commit, done)


async def _read(claimed: ClaimedInstance, tools: Tools) -> tuple[list[HistoryEvent], int]:
    """Return the history of an instance, as far as it can be read, and the number of its next turn.

    Raises:
        BackendUnavailableError: It cannot be read for now, or not in full.
    """
    events: list[HistoryEvent] = []
    turn = -1
    async with aclosing(_rows(claimed, tools)) as rows:
        async for row in rows:
            turn = row.turn
            with suppress(CorruptHistoryError):
                events += decode_events(claimed.instance_id, row.events)
    return events, turn + 1


async def _refuse_divergent(
    claimed: ClaimedInstance, error: NonDeterminismError, tools: Tools, turns: Turns
) -> None:
    """Let an instance go whose code does not fit its history, or let it fail."""
    refused: Exception = error
    if tools.settings.divergence is Divergence.FAIL:
        try:
            await _fail(claimed, FailureDetails.of(error), tools)
        except BackendUnavailableError as unavailable:
            refused = unavailable
        else:
            return
    turns.refuse(claimed.instance_id, claimed.execution, claimed.attempts, refused)


async def _fail(claimed: ClaimedInstance, failure: FailureDetails, tools: Tools) -> None:
    events, turn = await _read(claimed, tools)
    _log.error(
        "orchestration %s fails: %s",
        claimed.instance_id,
        failure.message,
        extra=about(claimed.instance_id, claimed.execution),
    )
    _submit_end(claimed, events, refusal_of(claimed, failure, turn), tools)


async def _rebuild(claimed: ClaimedInstance, tools: Tools, turns: Turns) -> Slot:
    instance: Orchestration | None = None
    size = 0
    turn = -1
    memo = None if tools.teller is None else Memo()
    try:
        async with aclosing(_rows(claimed, tools)) as rows:
            async for row in rows:
                events = decode_events(claimed.instance_id, row.events)
                if instance is None:
                    instance = _begin(claimed, events, turns)
                await _replay(instance, events, tools)
                if memo is not None:
                    memo.recall(events)
                size += len(row.events)
                turn = row.turn
        _deliver(claimed, instance)
    except BaseException:
        if instance is not None:
            instance.evict()
        raise
    assert instance is not None
    if memo is not None:
        memo.has_begun = instance.begun_at_us is not None
    return Slot(
        instance=instance,
        turn=turn + 1,
        status=claimed.status,
        history_bytes=size,
        claims=claimed.attempts,
        elsewhere=set(claimed.queued),
        memo=memo,
    )


def _begin(claimed: ClaimedInstance, events: list[HistoryEvent], turns: Turns) -> Orchestration:
    started = events[0] if events else None
    if not isinstance(started, ExecutionStarted):
        raise CorruptHistoryError(claimed.instance_id, "it does not begin with ExecutionStarted")
    if started.name != claimed.name:
        reason = f"it is one of {started.name!r}, and its instance runs {claimed.name!r}"
        raise CorruptHistoryError(claimed.instance_id, reason)
    return Orchestration(
        claimed.instance_id, claimed.execution, started, turns.program(started.name)
    )


def _deliver(claimed: ClaimedInstance, instance: Orchestration | None) -> None:
    if instance is None:
        raise CorruptHistoryError(claimed.instance_id, "it is empty")
    for mail in claimed.mail:
        letter = decode_letter(claimed.instance_id, mail.letter)
        instance.deliver(mail.id, mail.execution, letter)


async def _replay(instance: Orchestration, events: list[HistoryEvent], tools: Tools) -> None:
    """Replay one turn's events; the worker's loop gets a chance every 2 ms."""
    tools.watchdog.watch(instance.instance_id, functools.partial(instance.replay, events))
    now = tools.environment.monotonic()
    if now >= tools.pause_at:
        await anyio.lowlevel.checkpoint()
        tools.pause_at = tools.environment.monotonic() + SLICE_SECONDS


async def _rows(claimed: ClaimedInstance, tools: Tools) -> AsyncGenerator[HistoryRow, None]:
    """Go through its whole history: what came with the claim, then page by page."""
    rows, more = claimed.history, claimed.more_history
    while True:
        for row in rows:
            yield row
        if not more:
            return
        page = await tools.backend.read_history(
            claimed.instance_id,
            execution=claimed.execution,
            after_turn=rows[-1].turn,
            bytes_max=HISTORY_PAGE_BYTES,
        )
        rows, more = page.rows, page.more
