"""I2, I3, I4, I5, I9, I10, I16, I17: a sound story passes, and each way to break a row is noticed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from durable_async.errors import FencedError
from durable_async.model.entities import EntityLock, EntitySnapshot
from durable_async.model.history import (
    ActivityCompleted,
    EntityLockRelease,
    EventRaised,
    ExecutionCompleted,
    ExecutionTerminated,
    ParentLink,
)
from durable_async.model.policy import ReusePolicy
from durable_async.model.records import (
    Abandon,
    HistoryRow,
    Park,
    Release,
    TurnCommit,
    Will,
)
from durable_async.model.status import Status
from durable_async.serialization.events import encode_letter, encode_snapshot
from durable_async.testing.simulation.violations import Violation

from .records import Story, asks, begun, operation

EVENT = EventRaised("x", b"1")


@pytest.fixture
def story() -> Story:
    """One instance, claimed, that has had a turn."""
    story = Story(attempts_max=2)
    story.start()
    story.fetch()
    story.commit(begun(status=Status.RUNNING))
    return story


def noticed(invariant: str, text: str = "") -> Any:
    return pytest.raises(Violation, match=rf"^{invariant}\b.*{text}")


def test_a_sound_story_passes(story: Story) -> None:
    story.send("i", EVENT, request_id="r")
    story.send("i", EVENT, request_id="r")
    (mail,) = story.fetch().mail
    story.commit(begun(EVENT, turn=2, consumed=(mail.id,)))
    story.commit(begun(ExecutionCompleted(b"1"), turn=3, status=Status.COMPLETED, output=b"1"))
    story.call("purge", ["i"])
    story.start()
    assert story.row().execution == 2


# -- I2, I12


def test_a_letter_that_vanishes(story: Story) -> None:
    story.send("i", EVENT)
    story.row().mailbox.clear()
    with noticed("I2", "lost in send"):
        story.send("i", EventRaised("y", None))


def test_a_letter_from_nowhere(story: Story) -> None:
    story.send("i", EVENT)
    (mail,) = story.row().mailbox.values()
    story.row().mailbox[99] = msgspec.structs.replace(mail, id=99)
    with noticed("I2", "came from nowhere"):
        story.commit(begun(turn=2))


def test_a_letter_that_does_not_arrive(story: Story) -> None:
    deliver = story.hub.deliver
    story.hub.deliver = lambda *args: (deliver(*args), story.row().mailbox.clear())[0]  # type: ignore[method-assign]
    with noticed("I2", "did not arrive"):
        story.send("i", EVENT)


def test_a_letter_that_is_taken_twice(story: Story) -> None:
    story.send("i", EVENT)
    (mail,) = story.fetch().mail
    story.commit(begun(EVENT, turn=2, consumed=(mail.id,)))
    with noticed("I2", "taken twice"):
        story.commit(begun(EVENT, turn=3, consumed=(mail.id,)))


def test_a_letter_that_is_taken_and_stays(story: Story) -> None:
    story.send("i", EVENT)
    (mail,) = story.fetch().mail
    story.hub.take_letters = lambda instance, ids: None  # type: ignore[method-assign]
    with noticed("I2", "still there"):
        story.commit(begun(EVENT, turn=2, consumed=(mail.id,)))


def test_an_event_that_is_taken_and_not_shown(story: Story) -> None:
    story.send("i", EVENT)
    (mail,) = story.fetch().mail
    with noticed("I12", "not given to the code"):
        story.commit(begun(turn=2, consumed=(mail.id,)))


def test_an_event_that_nobody_sent(story: Story) -> None:
    with noticed("I2", "nobody sent"):
        story.commit(begun(EVENT, turn=2))


def test_a_row_that_changes_by_itself(story: Story) -> None:
    story.row().attempts = 7
    with noticed("I2", "was not about it"):
        for number in range(100):
            story.start(f"other-{number}")


def test_a_request_to_an_entity_that_is_not_answered(story: Story) -> None:
    story.send("@counter@a", operation(request_id="r"), opens="@counter")
    (claimed,) = story.fetch().claimed
    turn = TurnCommit(
        instance_id="@counter@a",
        execution=1,
        turn=0,
        events=b"",
        consumed=tuple(mail.id for mail in claimed.mail),
    )
    with noticed("I2", "not answered"):
        story.commit(turn)


def test_an_operation_before_it_is_due(story: Story) -> None:
    due_us = story.clock.us + 1
    story.send("@counter@a", operation(due_us=due_us), opens="@counter")
    (claimed,) = story.fetch().claimed
    turn = TurnCommit(
        instance_id="@counter@a", execution=1, turn=0, events=b"", consumed=(claimed.mail[0].id,)
    )
    with noticed("I13", "before it is due"):
        story.commit(turn)


# -- I3, I4


def test_a_history_that_is_rewritten(story: Story) -> None:
    story.row().history._rows[0] = HistoryRow(turn=0, events=begun().events)
    with noticed("I3", "not what was written"):
        story.commit(begun(turn=2))


def test_a_history_that_loses_its_end(story: Story) -> None:
    story.commit(begun(turn=2), Release(instance_id="i", wake_at_us=0))
    story.row().history._rows.pop()
    with noticed("I3", "turns are missing"):
        story.fetch()


def test_a_gap_between_turns(story: Story) -> None:
    with noticed("I4", "not one chain"):
        story.commit(begun(turn=3))


def test_a_status_that_history_does_not_tell_of(story: Story) -> None:
    with noticed("I3", "status"):
        story.commit(begun(turn=2, status=Status.COMPLETED))


def test_a_turn_after_the_end(story: Story) -> None:
    story.commit(begun(ExecutionCompleted(b"1"), turn=2, status=Status.COMPLETED))
    story.row().owner = "w"
    story.hub.workers["w"].owned["i"] = None
    with noticed("I(3|5)"):
        story.commit(begun(turn=3))


def test_a_fence_that_does_not_move(story: Story) -> None:
    before = story.fence
    story.commit(begun(turn=2))
    story.fence = before
    with pytest.raises(FencedError):
        story.commit(begun(turn=3))
    story.hub.workers["w"].seq = before.seq
    with noticed("I4", "not one chain"):
        story.commit(begun(turn=3))


# -- I5


def test_a_worker_that_was_taken_over(story: Story) -> None:
    zombie, row = story.fence, story.hub.workers["w"]
    row.lease_until_us = 0
    story.call("register_worker", "heir", 60.0)
    story.call("take_over", story.fence)
    story.hub.workers["w"] = row
    story.fence = zombie
    with noticed("I5", "taken over"):
        story.commit(begun(turn=2))


def test_a_turn_of_what_is_another_s(story: Story) -> None:
    story.commit(Release(instance_id="i", wake_at_us=None))
    story.hub.workers["w"].owned["i"] = None
    with noticed("I5", "not the worker's"):
        story.commit(begun(turn=2))


def test_an_instance_with_two_owners(story: Story) -> None:
    story.call("register_worker", "other", 60.0)
    story.hub.workers["other"].owned["i"] = None
    with noticed("I5", "not one owner"):
        story.send("i", EVENT)


def test_a_lease_that_comes_back_to_life(story: Story) -> None:
    story.clock.us += 61_000_000
    story.hub.workers["w"].lease_until_us = story.clock.us + 1
    with noticed("I5", "run out"):
        story.inspector.applied("w1", "renew_lease", (story.fence, 60.0), {}, None)


# -- I9, I10


def locked(story: Story, entity_id: str, holder: str) -> None:
    """Lock an entity behind everybody's back, as if its turn had been committed."""
    lock = EntityLock(ParentLink(holder, 1, 1), story.clock.us)
    story.send(entity_id, asks(holder), opens="@counter")
    found = {claimed.instance_id: claimed for claimed in story.fetch().claimed}
    (mail,) = found[entity_id].mail
    story.commit(
        TurnCommit(
            instance_id=entity_id,
            execution=1,
            turn=0,
            events=b"",
            consumed=(mail.id,),
            state=encode_snapshot(EntitySnapshot(lock=lock)),
        )
    )


def test_a_lock_of_somebody_who_never_was(story: Story) -> None:
    with noticed("I9", "somebody who is gone"):
        locked(story, "@counter@a", "nobody")


def test_a_lock_that_its_holder_does_not_release(story: Story) -> None:
    locked(story, "@counter@a", "i")
    with noticed("I9", "somebody who is gone"):
        story.commit(begun(ExecutionCompleted(b"1"), turn=2, status=Status.COMPLETED))


def test_a_lock_that_a_will_releases(story: Story) -> None:
    locked(story, "@counter@a", "i")
    letter = encode_letter(EntityLockRelease(ParentLink("i", 1, 1), is_will=True))
    will = Will(receivers=("@counter@a",), letter=letter)
    story.commit(begun(turn=2, will=will))
    story.commit(begun(ExecutionCompleted(b"1"), turn=3, status=Status.COMPLETED))
    story.hub.bequeath = lambda instance: None  # type: ignore[method-assign]
    story.start("j")
    story.fetch()
    story.commit(begun(instance_id="j", will=will))
    with noticed("I2", "did not arrive"):
        end = ExecutionCompleted(b"1")
        story.commit(begun(end, turn=2, instance_id="j", status=Status.COMPLETED))


def test_a_circle_of_those_who_wait(story: Story) -> None:
    story.start("j")
    story.fetch()
    locked(story, "@counter@a", "i")
    locked(story, "@counter@b", "j")
    story.send("@counter@a", asks("j"))
    with noticed("I9", "wait for each other"):
        story.send("@counter@b", asks("i"))


def test_a_request_for_a_lock_that_is_left(story: Story) -> None:
    story.send("@counter@a", asks("nobody"), opens="@counter")
    assert story.inspector._locks is not None
    with noticed("I10", "left"):
        story.inspector._locks.check_all_free()


# -- I16


def test_an_execution_that_comes_twice(story: Story) -> None:
    story.commit(begun(ExecutionCompleted(b"1"), turn=2, status=Status.COMPLETED))
    story.call("purge", ["i"])
    story.hub.tombstones._answers.clear()
    with noticed("I16", "comes twice"):
        story.start()


def test_another_answer_to_the_same_request(story: Story) -> None:
    story.start("j", request_id="r")
    story.hub.starts._answers.clear()
    with noticed("I16", "another answer"):
        story.start("j", request_id="r", reuse=ReusePolicy.RETURN_EXISTING)


# -- I17


def test_an_attempt_that_is_not_counted(story: Story) -> None:
    story.start("j")
    own = story.hub.own

    def forget(instance: Any, row: Any) -> None:
        own(instance, row)
        instance.attempts = 0

    story.hub.own = forget  # type: ignore[method-assign]
    with noticed("I17", "not counted"):
        story.fetch()


def test_what_is_tried_too_often(story: Story) -> None:
    for _ in range(3):
        story.commit(Abandon(instance_id="i", retry_at_us=0))
        story.fetch()
    with noticed("I17", "instead of being parked"):
        story.commit(begun(turn=2))


def test_a_neighbour_that_is_parked(story: Story) -> None:
    story.start("j")
    story.fetch()
    story.row("j").parked = "for nothing"
    with noticed("I17", "nobody asked"):
        story.commit(begun(instance_id="j"), Park(instance_id="i", reason="poison"))


def test_what_is_parked_and_claimed(story: Story) -> None:
    story.commit(Park(instance_id="i", reason="poison"))
    story.hub.make_ready(story.row(), 0)
    with noticed("I17", "while it is parked"):
        story.fetch()


def test_an_end_takes_the_mailbox_along(story: Story) -> None:
    story.send("i", ExecutionTerminated(), final=True)
    (mail,) = story.fetch().mail
    story.send("i", ActivityCompleted(1, b"1"), execution=1)
    end = ExecutionTerminated()
    story.commit(begun(end, turn=2, status=Status.TERMINATED, consumed=(mail.id,)))
    assert not story.row().mailbox
