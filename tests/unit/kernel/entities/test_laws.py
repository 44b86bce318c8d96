"""The laws of an entity's mailbox, over random streams from several senders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings, strategies as st

from durable_async._kernel.entities import EntityInstance, EntityTurn
from durable_async.model.entities import EntityLock, EntitySnapshot
from durable_async.model.history import (
    EntityCallFailed,
    EntityLocked,
    EntityLockRelease,
    EntityLockRequest,
    EntityOperation,
    Letter,
)
from durable_async.serialization.events import decode_snapshot, encode_snapshot

from .reference import Reference
from .streams import ENTITY, REASON, Do, Pass, Post, Send, Step, Work, carry_out, fragile, lively

law = settings(max_examples=200)


def plain(turn: EntityTurn, snapshot: EntitySnapshot) -> EntityTurn:
    return EntityTurn(
        tuple(sorted(turn.consumed)),
        snapshot,
        turn.replies,
        turn.answers,
        turn.signals,
        turn.starts,
    )


# -- step by step like the simple model


@law
@given(lively)
def test_each_step_is_the_simple_models(steps: Sequence[Step]) -> None:
    instance = EntityInstance(ENTITY, 1, EntitySnapshot())
    model = Reference(ENTITY, EntitySnapshot())
    post, now_us = Post(), 100
    for step in steps:
        match step:
            case Send():
                letter = post.write(step, now_us)
                assert instance.deliver(post.number, None, letter)
                assert model.deliver(post.number, letter)
            case Pass(us):
                now_us += us
            case Work(operations):
                for _ in range(operations):
                    operation = instance.next_operation(now_us)
                    assert operation == model.next_operation(now_us)
                    assert operation is None or operation is instance.next_operation(now_us + 50)
                    if operation is None:
                        break
                    outcome = carry_out(instance.state, operation)
                    instance.conclude(outcome)
                    model.conclude(now_us, outcome)
                    assert instance.state == model.state
            case Do("park"):
                assert instance.park(REASON, now_us, 5) == model.park(REASON, now_us, 5)
            case _:
                pass
    assert plain(instance.finish(), instance.snapshot) == model.finish()


# -- batches


def run_in_batches(steps: Sequence[Step], ends: Sequence[bool]) -> tuple[object, ...]:
    """Return all that comes of the steps; a turn may end after each piece of work."""
    instance, post, now_us = EntityInstance(ENTITY, 1, EntitySnapshot()), Post(), 100
    whole = EntityTurn()
    snapshot = EntitySnapshot()
    may_end = iter(ends)

    def end_turn() -> None:
        nonlocal whole, snapshot
        turn = instance.finish()
        assert turn.is_empty == (turn == EntityTurn())
        snapshot = turn.snapshot if turn.snapshot is not None else snapshot
        assert snapshot == instance.snapshot
        instance.forget(turn.consumed)
        whole = EntityTurn(
            whole.consumed + turn.consumed,
            None,
            whole.replies + turn.replies,
            whole.answers + turn.answers,
            whole.signals + turn.signals,
            whole.starts + turn.starts,
        )

    for step in steps:
        match step:
            case Send():
                instance.deliver(post.number, None, post.write(step, now_us))
            case Pass(us):
                now_us += us
            case Work(operations):
                for _ in range(operations):
                    operation = instance.next_operation(now_us)
                    if next(may_end, False):
                        end_turn()  # in the midst of an operation, too
                    if operation is None:
                        break
                    instance.conclude(carry_out(instance.state, operation))
            case Do("park"):
                instance.park(REASON, now_us, 5)
            case _:
                pass
    end_turn()
    return whole, snapshot, sorted(instance.seen())


@law
@given(lively, st.lists(st.booleans(), max_size=40))
def test_where_turns_end_never_matters(steps: Sequence[Step], ends: Sequence[bool]) -> None:
    assert run_in_batches(steps, ends) == run_in_batches(steps, [])


# -- crashes


@dataclass
class Store:
    """What is durable, and what was seen of it outside."""

    rows: dict[int, Letter] = field(default_factory=dict)
    snapshot: bytes = b""
    turns: list[EntityTurn] = field(default_factory=list)
    done: list[tuple[EntityOperation, str]] = field(default_factory=list)
    log: list[EntityOperation | EntityLock] = field(default_factory=list)

    def commit(self, turn: EntityTurn) -> None:
        for mail_id in turn.consumed:
            del self.rows[mail_id]
        if turn.snapshot is not None:
            self.snapshot = encode_snapshot(turn.snapshot)
        self.turns.append(turn)


class Life:
    """An entity that is dropped at any moment, and comes back from what is stored."""

    def __init__(self) -> None:
        self.store = Store()
        self.sent: dict[int, Letter] = {}
        self.post = Post()
        self.now_us = 100
        self.instance = self.wake()

    def wake(self) -> EntityInstance:
        self.done: list[tuple[EntityOperation, str]] = []
        self.log: list[EntityOperation | EntityLock] = []
        instance = EntityInstance(ENTITY, 1, decode_snapshot(ENTITY, self.store.snapshot))
        for mail_id, letter in self.store.rows.items():
            instance.deliver(mail_id, None, letter)
        return instance

    def send(self, send: Send) -> None:
        letter = self.post.write(send, self.now_us)
        self.sent[self.post.number] = self.store.rows[self.post.number] = letter

    def take(self, step: Step) -> None:
        match step:
            case Send():
                self.send(step)
            case Pass(us):
                self.now_us += us
            case Work(operations):
                self.work(operations)
            case Do("deliver"):
                for mail_id, letter in self.store.rows.items():
                    self.instance.deliver(mail_id, None, letter)  # also those that are there
            case Do("finish"):
                self.finish()
            case Do("crash"):
                self.instance = self.wake()
            case Do("park"):
                self.park()

    def work(self, operations: int) -> bool:
        for _ in range(operations):
            before = self.instance.lock
            operation = self.instance.next_operation(self.now_us)
            lock = self.instance.lock
            if lock is not None and lock != before:
                self.log.append(lock)
            if operation is None:
                return False
            self.check_isolation(operation)
            outcome = carry_out(self.instance.state, operation)
            self.instance.conclude(outcome)
            self.log.append(operation)
            self.done.append((operation, "done" if outcome.failure is None else "failed"))
        return True

    def check_isolation(self, operation: EntityOperation) -> None:
        snapshot = self.instance.snapshot
        caller = operation.caller
        if operation in snapshot.retried:
            assert snapshot.lock is None
        elif operation.section and caller is not None:
            assert snapshot.lock is not None
            holder = snapshot.lock.holder
            assert (caller.instance_id, operation.section) == (holder.instance_id, holder.seq)
        else:
            assert snapshot.lock is None

    def park(self) -> None:
        operation = self.instance.park(REASON, self.now_us, 5)
        if operation is not None:
            self.done.append((operation, "parked"))

    def finish(self) -> None:
        turn = self.instance.finish()
        self.store.commit(turn)
        self.store.done += self.done
        self.store.log += self.log
        self.done, self.log = [], []
        self.instance.forget(turn.consumed)

    def request_of(self, lock: EntityLock) -> int:
        return next(
            number
            for number, letter in self.sent.items()
            if isinstance(letter, EntityLockRequest) and letter.holder == lock.holder
        )

    def calm_down(self) -> None:
        """Let everything end: holders release, time passes, what was parked is tried again."""
        held = [
            letter.holder for letter in self.sent.values() if isinstance(letter, EntityLockRequest)
        ]
        for holder in held:
            self.post.number += 1
            release = EntityLockRelease(holder)
            self.sent[self.post.number] = self.store.rows[self.post.number] = release
        self.now_us += 1_000
        self.take(Send("retry", "ann"))
        self.take(Do("deliver"))
        while self.work(3):
            self.finish()
        self.finish()


@law
@given(fragile)
def test_nothing_is_lost_or_doubled_whenever_it_crashes(steps: Sequence[Step]) -> None:
    life = Life()
    for step in steps:
        life.take(step)
    life.calm_down()
    assert life.store.rows == {}
    assert not life.instance.has_arrivals
    assert life.instance.wake_at_us is None
    left = decode_snapshot(ENTITY, life.store.snapshot)
    assert (left.lock, left.parked, left.retried) == (None, (), ())

    replies = [reply for turn in life.store.turns for reply in turn.replies]
    answers = [answer for turn in life.store.turns for answer in turn.answers]
    lost = {
        link.seq
        for link, letter in replies
        if isinstance(letter, EntityCallFailed) and letter.failure.is_type("EntityLockLostError")
    }
    operations = {
        number: letter
        for number, letter in life.sent.items()
        if isinstance(letter, EntityOperation)
    }

    ends = Counter(number_of(op) for op, how in life.store.done if how != "parked")
    assert ends == Counter(set(operations) - lost)

    asked = Counter(number for number, op in operations.items() if op.caller is not None)
    told = Counter(link.seq for link, letter in replies if not isinstance(letter, EntityLocked))
    assert told == asked
    requested = Counter(op.request_id for op in operations.values() if op.request_id is not None)
    assert Counter(request_id for request_id, _ in answers) == requested


@law
@given(fragile)
def test_order_is_that_of_arrival_whenever_it_crashes(steps: Sequence[Step]) -> None:
    life = Life()
    for step in steps:
        life.take(step)
    life.calm_down()
    parked = {number_of(op) for op, how in life.store.done if how == "parked"}
    everybodys: list[int] = []
    in_sections: dict[tuple[str, int], list[int]] = {}
    for happened in life.store.log:
        if isinstance(happened, EntityLock):
            everybodys.append(life.request_of(happened))
        elif number_of(happened) in parked or happened.due_us:
            continue  # these are out of line
        elif happened.section and happened.caller:
            section = (happened.caller.instance_id, happened.section)
            in_sections.setdefault(section, []).append(number_of(happened))
        else:
            everybodys.append(number_of(happened))
    assert everybodys == sorted(everybodys)
    assert all(own == sorted(own) for own in in_sections.values())


@law
@given(fragile)
def test_the_state_is_what_the_committed_operations_make_of_it(steps: Sequence[Step]) -> None:
    life = Life()
    for step in steps:
        life.take(step)
    life.calm_down()
    state: bytes | None = None
    signals, starts = [], []
    for operation, how in life.store.done:
        if how == "done":
            outcome = carry_out(state, operation)
            state = outcome.state
            signals += outcome.signals
            starts += outcome.starts
    assert decode_snapshot(ENTITY, life.store.snapshot).state == state
    assert [signal for turn in life.store.turns for signal in turn.signals] == signals
    assert [start for turn in life.store.turns for start in turn.starts] == starts


def number_of(operation: EntityOperation) -> int:
    return int(operation.operation.partition(":")[2])
