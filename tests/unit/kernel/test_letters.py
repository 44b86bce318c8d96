"""The mailbox: letters once each, events kept until somebody waits for them."""

from __future__ import annotations

from hypothesis import given, strategies as st

from durable_async._kernel.letters import Mailbox
from durable_async.failure import FailureDetails
from durable_async.model.history import (
    ActivityCompleted,
    ActivityFailed,
    EventRaised,
    ExecutionResumed,
    ExecutionSuspended,
    ExecutionTerminated,
    Letter,
)


def filled(*letters: object) -> Mailbox:
    mailbox = Mailbox()
    for number, letter in enumerate(letters, 1):
        assert mailbox.put(number, None, letter)  # type: ignore[arg-type]
    return mailbox


def all_taken(mailbox: Mailbox, execution: int) -> list[Letter]:
    letters = []
    while (letter := mailbox.take(execution)) is not None:
        letters.append(letter)
    return letters


def test_controls_can_be_taken_before_the_rest() -> None:
    suspended, resumed, result = (
        ExecutionSuspended(),
        ExecutionResumed(),
        ActivityCompleted(1, b"1"),
    )
    mailbox = filled(result, suspended, EventRaised("go", None), resumed)
    assert list(mailbox.take_controls()) == [suspended, resumed]
    assert mailbox.drain_consumed() == [2, 4]
    assert all_taken(mailbox, 1) == [result, EventRaised("go", None)]
    assert mailbox.drain_consumed() == [1]
    assert not mailbox.has_arrivals


def test_what_is_not_taken_stays() -> None:
    mailbox = filled(ExecutionTerminated(), ExecutionSuspended(), ActivityCompleted(1, b"1"))
    assert next(mailbox.take_controls()) == ExecutionTerminated()
    assert mailbox.drain_consumed() == [1]
    assert mailbox.has_arrivals
    assert mailbox.take(1) == ExecutionSuspended()
    assert all_taken(mailbox, 1) == [ActivityCompleted(1, b"1")]


def test_stale_letters_are_consumed_unseen() -> None:
    mailbox = Mailbox()
    mailbox.put(1, 1, ActivityCompleted(1, b"old"))
    mailbox.put(2, 2, ActivityCompleted(1, b"new"))
    assert all_taken(mailbox, 2) == [ActivityCompleted(1, b"new")]
    assert mailbox.drain_consumed() == [1, 2]


def test_local_letters_have_no_number_to_delete() -> None:
    mailbox = Mailbox()
    assert mailbox.put(None, 1, ActivityCompleted(1, b"1"))
    assert mailbox.put(None, 1, ActivityCompleted(1, b"1"))
    assert len(all_taken(mailbox, 1)) == 2
    assert mailbox.drain_consumed() == []
    assert mailbox.seen() == ()


def test_the_first_event_among_those_waited_for_is_next() -> None:
    one, two, three = EventRaised("a", b"1"), EventRaised("b", b"2"), EventRaised("a", b"3")
    mailbox = filled(one, two, three)
    all_taken(mailbox, 1)
    assert mailbox.next_event({"c": []}) is None
    assert mailbox.next_event({"b": [], "c": []}) == two
    assert mailbox.next_event({"b": [], "a": []}) == one
    assert mailbox.next_event({"b": [], "a": []}) == three
    assert mailbox.next_event({"b": [], "a": []}) is None
    assert mailbox.drain_consumed() == [2, 1, 3]


def test_dropping_takes_kept_and_arrived_events_and_nothing_else() -> None:
    mailbox = filled(EventRaised("a", None), ExecutionSuspended(), EventRaised("b", None))
    mailbox.take(1)
    mailbox.drop_kept()
    assert sorted(mailbox.drain_consumed()) == [1, 3]
    assert all_taken(mailbox, 1) == [ExecutionSuspended()]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 6)), max_size=30))
def test_every_letter_is_consumed_once(arrivals: list[tuple[str, int]]) -> None:
    mailbox = Mailbox()
    put = [
        number for name, number in arrivals if mailbox.put(number, None, EventRaised(name, None))
    ]
    assert len(put) == len(set(put))
    all_taken(mailbox, 1)
    taken = []
    while (event := mailbox.next_event({"a": [], "b": [], "c": []})) is not None:
        taken.append(event)
    consumed = mailbox.drain_consumed()
    assert consumed == put
    assert sorted(mailbox.seen()) == sorted(put)
    mailbox.forget(consumed)
    assert mailbox.seen() == ()


def test_outcomes_that_have_arrived_are_answers() -> None:
    failed = ActivityFailed(2, 3, FailureDetails("builtins.ValueError", "no"))
    mailbox = filled(ActivityCompleted(1, b"1"), EventRaised("go", None), failed)
    mailbox.put(9, 1, ActivityCompleted(4, b"of the execution before"))
    assert mailbox.answers(2) == {1: ActivityCompleted(1, b"1"), 2: failed}
    all_taken(mailbox, 2)
    assert mailbox.answers(2) == {}


def test_what_no_store_has_is_kept_until_its_turn_came_through() -> None:
    local, later = ActivityCompleted(1, b"1"), ActivityCompleted(2, b"2")
    mailbox = filled(ActivityCompleted(3, b"stored"))
    mailbox.put(None, 1, local)
    assert mailbox.unstored(1) == [local]
    all_taken(mailbox, 1)
    mailbox.put(None, 1, later)
    assert mailbox.unstored(1) == [local, later]
    mailbox.drain_consumed()
    assert mailbox.unstored(1) == [later]
    assert mailbox.unstored(2) == []
