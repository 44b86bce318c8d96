"""An entity in memory: its mail, its turns, and who has it to itself."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest

from durable_async._kernel.entities import EntityInstance, OperationOutcome
from durable_async.failure import FailureDetails
from durable_async.model.entities import EntityLock, EntitySnapshot, ParkedOperation
from durable_async.model.history import (
    EntityCallCompleted,
    EntityCallFailed,
    EntityLocked,
    EntityLockRelease,
    EntityLockRequest,
    EntityOperation,
    ExecutionTerminated,
    Letter,
    ParentLink,
    ParkedOperationsRetried,
)

ANN = ParentLink("ann", 1, 7)
BOB = ParentLink("bob", 3, 2)
ADD = EntityOperation("add", b"1")
GET = EntityOperation("get", None)
DONE = OperationOutcome(result=b"null")
FAILED = OperationOutcome(failure=FailureDetails("Oops", "no"))


def entity(*letters: Letter, snapshot: EntitySnapshot | None = None) -> EntityInstance:
    instance = EntityInstance("@account@x", 1, snapshot or EntitySnapshot())
    for number, letter in enumerate(letters, 1):
        assert instance.deliver(number, None, letter)
    return instance


def section_call(seq: int, holder: ParentLink = ANN, operation: str = "add") -> EntityOperation:
    caller = ParentLink(holder.instance_id, holder.execution, seq)
    return EntityOperation(operation, None, caller=caller, section=holder.seq)


def run(instance: EntityInstance, now_us: int = 0, outcome: OperationOutcome = DONE) -> list[str]:
    done = []
    while (operation := instance.next_operation(now_us)) is not None:
        done.append(operation.operation)
        instance.conclude(outcome)
    return done


# -- mail


def test_a_letter_is_taken_once_however_often_it_comes() -> None:
    instance = entity(ADD, GET)
    assert not instance.deliver(1, None, ADD)
    assert run(instance) == ["add", "get"]
    assert not instance.deliver(2, None, GET), "consumed, and its row is still there"
    assert instance.finish().consumed == (1, 2)
    assert instance.seen() == (1, 2)
    instance.forget((1, 2))
    assert instance.seen() == ()


def test_letters_to_another_life_and_letters_that_are_not_for_entities_are_consumed_unread() -> (
    None
):
    instance = entity()
    instance.deliver(1, 2, ADD)
    instance.deliver(2, 1, GET)
    instance.deliver(3, None, ExecutionTerminated())
    assert run(instance) == ["get"]
    assert sorted(instance.finish().consumed) == [1, 2, 3]


def test_a_letter_that_was_passed_on_can_be_taken_back_until_a_turn_took_it() -> None:
    instance = entity()
    for mail_id, letter in ((-1, ADD), (-2, GET), (-3, ADD)):
        instance.deliver(mail_id, None, letter)
    assert instance.withdraw(-2)
    assert not instance.withdraw(-2)
    assert instance.next_operation(0) is ADD
    instance.conclude(DONE)
    assert not instance.withdraw(-1)
    assert instance.next_operation(0) is ADD
    assert instance.withdraw(-3), "it was begun and not concluded"
    assert instance.next_operation(0) is None
    assert instance.finish().consumed == (-1,)


def test_a_lock_request_that_was_taken_back_locks_nothing() -> None:
    instance = entity()
    instance.deliver(-1, None, ADD)
    instance.deliver(-2, None, EntityLockRequest(ANN))
    assert instance.next_operation(0) is ADD
    assert instance.withdraw(-2)
    instance.deliver(1, None, EntityLockRelease(ANN))
    instance.conclude(DONE)
    assert instance.next_operation(0) is None
    assert instance.lock is None
    assert instance.finish().consumed == (-1, 1)


# -- turns


def test_a_turn_that_changes_nothing_stores_nothing() -> None:
    instance = entity(GET, snapshot=EntitySnapshot(b"5"))
    run(instance, outcome=OperationOutcome(result=b"5", state=b"5"))
    turn = instance.finish()
    assert turn.snapshot is None
    assert not turn.is_empty
    assert instance.finish().is_empty


def test_a_turn_tells_the_new_snapshot_once() -> None:
    instance = entity(ADD)
    run(instance, outcome=OperationOutcome(state=b"5"))
    assert instance.finish().snapshot == EntitySnapshot(b"5")
    instance.deliver(2, None, GET)
    run(instance, outcome=OperationOutcome(state=b"5"))
    assert instance.finish().snapshot is None


def test_a_turn_may_end_in_the_midst_of_an_operation() -> None:
    instance = entity(ADD, GET)
    assert instance.next_operation(0) is ADD
    instance.conclude(OperationOutcome(state=b"1"))
    assert instance.next_operation(0) is GET
    assert instance.finish().consumed == (1,)
    assert instance.has_arrivals
    instance.conclude(OperationOutcome(state=b"2"))
    turn = instance.finish()
    assert (turn.consumed, turn.snapshot) == ((2,), EntitySnapshot(b"2"))


def test_nothing_is_concluded_that_was_not_begun() -> None:
    with pytest.raises(RuntimeError, match="next_operation first"):
        entity(ADD).conclude(DONE)


def test_callers_are_answered_where_they_wait() -> None:
    instance = entity(
        EntityOperation("a", None, caller=ANN), EntityOperation("b", None, request_id="r")
    )
    instance.next_operation(0)
    instance.conclude(OperationOutcome(result=b"1"))
    instance.next_operation(0)
    instance.conclude(FAILED)
    turn = instance.finish()
    assert turn.replies == ((ANN, EntityCallCompleted(7, b"1")),)
    assert turn.answers == (("r", EntityCallFailed(0, FailureDetails("Oops", "no"))),)


def test_its_id_is_taken_apart() -> None:
    entity_id = entity().entity_id
    assert (entity_id.name, entity_id.key, entity_id.stored_name) == ("account", "x", "@account")


# -- time


def test_it_wakes_for_the_earliest_of_the_delayed() -> None:
    instance = entity(
        EntityOperation("late", None, due_us=50), EntityOperation("soon", None, due_us=20)
    )
    assert instance.has_arrivals
    assert run(instance, now_us=10) == []
    assert (instance.has_arrivals, instance.wake_at_us) == (False, 20)
    assert run(instance, now_us=20) == ["soon"]
    assert instance.wake_at_us == 50
    assert run(instance, now_us=60) == ["late"]
    assert instance.wake_at_us is None


def test_while_it_is_locked_it_wakes_for_the_end_of_the_lock_alone() -> None:
    later = EntityOperation("later", None, due_us=20)
    instance = entity(later, EntityLockRequest(ANN, hold_us=100))
    assert run(instance, now_us=10) == []
    assert instance.wake_at_us == 110
    endless = entity(later, EntityLockRequest(ANN))
    assert run(endless, now_us=10) == []
    assert endless.wake_at_us is None


# -- locks


def test_a_lock_is_given_when_all_that_came_before_is_done() -> None:
    instance = entity(ADD, EntityLockRequest(ANN, hold_us=5), GET)
    assert run(instance, now_us=100) == ["add"]
    turn = instance.finish()
    assert turn.replies == ((ANN, EntityLocked(7, "@account@x")),)
    assert turn.snapshot == EntitySnapshot(lock=EntityLock(ANN, 100, 105))
    assert turn.consumed == (1, 2)
    assert not instance.has_arrivals


def test_the_holders_calls_and_then_its_release_come_before_everybody_elses() -> None:
    locked = EntitySnapshot(lock=EntityLock(ANN, 0))
    instance = entity(
        GET,
        EntityLockRequest(BOB),
        section_call(8, operation="take"),
        section_call(9, operation="give"),
        EntityLockRelease(ANN),
        section_call(10, operation="too late"),
        snapshot=locked,
    )
    assert run(instance) == ["take", "give", "get"]
    (_, _, lost, bobs) = instance.finish().replies
    assert isinstance(lost[1], EntityCallFailed)
    assert lost[1].seq == 10
    assert lost[1].failure.is_type("EntityLockLostError")
    assert bobs == (BOB, EntityLocked(2, "@account@x"))
    assert instance.lock == EntityLock(BOB, 0)


def test_sections_of_one_orchestration_are_told_apart() -> None:
    before = ParentLink("ann", 1, 6)
    other_execution = ParentLink("ann", 2, 7)
    locked = EntitySnapshot(lock=EntityLock(ANN, 0))
    instance = entity(section_call(8, before), section_call(9, other_execution), snapshot=locked)
    assert run(instance) == []
    assert [letter.failure.is_type("EntityLockLostError") for _, letter in failures(instance)] == [
        True,
        True,
    ]


def failures(instance: EntityInstance) -> list[tuple[ParentLink, EntityCallFailed]]:
    replies = instance.finish().replies
    return [(link, letter) for link, letter in replies if isinstance(letter, EntityCallFailed)]


def test_a_release_takes_back_a_request_that_waits() -> None:
    instance = entity(EntityLockRequest(ANN), EntityLockRequest(BOB), GET, EntityLockRelease(BOB))
    assert run(instance) == []
    instance.deliver(5, None, EntityLockRelease(ANN))
    assert run(instance) == ["get"]
    turn = instance.finish()
    assert sorted(turn.consumed) == [1, 2, 3, 4, 5]
    assert [link for link, _ in turn.replies] == [ANN]


def test_who_was_parked_while_it_waited_for_a_lock_is_told_that_it_has_it_and_finds_it_lost() -> (
    None
):
    instance = entity(
        EntityLockRequest(ANN), EntityLockRequest(BOB), EntityLockRelease(BOB, is_will=True)
    )
    assert run(instance) == []
    instance.deliver(4, None, section_call(8, BOB))
    assert run(instance) == []
    (bobs, anns, lost) = instance.finish().replies
    assert anns == (ANN, EntityLocked(7, "@account@x"))
    assert bobs == (BOB, EntityLocked(2, "@account@x"))
    assert isinstance(lost[1], EntityCallFailed)
    assert lost[1].failure.is_type("EntityLockLostError")
    assert instance.lock == EntityLock(ANN, 0)


def test_a_lock_ends_by_itself_and_its_section_with_it() -> None:
    instance = entity(EntityLockRequest(ANN, hold_us=10), GET)
    assert run(instance, now_us=100) == []
    instance.deliver(3, None, section_call(8))
    instance.deliver(4, None, EntityLockRelease(ANN))
    assert run(instance, now_us=110) == ["get"]
    assert [link.seq for link, _ in failures(instance)] == [8]
    assert instance.lock is None


# -- parking


def test_the_operation_that_is_next_can_be_parked_and_its_caller_is_told() -> None:
    call = EntityOperation("explode", None, caller=ANN)
    instance = entity(EntityLockRequest(BOB), EntityLockRelease(BOB), call, GET)
    assert instance.park("died", 30, 5) is call
    assert run(instance) == ["get"]
    turn = instance.finish()
    assert turn.snapshot == EntitySnapshot(parked=(ParkedOperation(call, "died", 30),))
    assert sorted(turn.consumed) == [1, 2, 3, 4]
    ((link, letter),) = turn.replies
    assert link == ANN
    assert isinstance(letter, EntityCallFailed)
    assert letter.failure.is_type("PoisonedOperationError")
    assert "'explode' on entity @account@x was begun 5 times" in letter.failure.message


def test_where_nothing_is_next_nothing_is_parked() -> None:
    instance = entity(EntityLockRequest(ANN), GET)
    assert instance.park("died", 0, 5) is None
    assert instance.snapshot.parked == ()


def test_parked_operations_that_are_put_back_go_before_what_came_later_and_nobody_is_told() -> None:
    parked = (
        ParkedOperation(EntityOperation("first", None, caller=ANN), "died", 1),
        ParkedOperation(section_call(8, operation="second"), "died", 2),
    )
    instance = entity(ADD, ParkedOperationsRetried(), GET, snapshot=EntitySnapshot(parked=parked))
    assert run(instance) == ["add", "first", "second", "get"]
    turn = instance.finish()
    assert turn.replies == ()
    assert turn.snapshot == EntitySnapshot()


def test_parked_operations_that_were_put_back_are_kept_until_they_are_done() -> None:
    operation = EntityOperation("first", None)
    parked = EntitySnapshot(parked=(ParkedOperation(operation, "died", 1),))
    instance = entity(ParkedOperationsRetried(), snapshot=parked)
    assert instance.next_operation(0) is operation
    turn = instance.finish()
    assert (turn.consumed, turn.snapshot) == ((1,), EntitySnapshot(retried=(operation,)))
    instance.conclude(FAILED)
    assert instance.finish().snapshot == EntitySnapshot()


def test_an_operation_that_was_put_back_can_be_parked_again() -> None:
    operation = EntityOperation("first", None, caller=ANN)
    instance = entity(snapshot=EntitySnapshot(retried=(operation, ADD)))
    assert instance.has_arrivals
    assert instance.park("died again", 9, 5) is operation
    assert run(instance) == ["add"]
    turn = instance.finish()
    assert turn.replies == ()
    assert turn.snapshot == EntitySnapshot(parked=(ParkedOperation(operation, "died again", 9),))


# -- cost


def lines_run(instance: EntityInstance) -> int:
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        assert instance.next_operation(0) is not None
        instance.conclude(DONE)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("locked", [EntitySnapshot(), EntitySnapshot(lock=EntityLock(ANN, 0))])
def test_an_operation_costs_the_same_however_many_letters_wait(locked: EntitySnapshot) -> None:
    few, many = entity(snapshot=locked), entity(snapshot=locked)
    for instance, waiting in ((few, 10), (many, 10_000)):
        instance.deliver(-1, None, section_call(8) if locked.lock else ADD)
        instance.deliver(-2, None, section_call(9) if locked.lock else ADD)
        for number in range(waiting):
            instance.deliver(number + 1, None, GET)
        assert instance.next_operation(0) is not None  # puts all of them in line
        instance.conclude(DONE)
    assert lines_run(few) == lines_run(many)
