"""Random streams of letters to one entity, and what its operations do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from durable_async._kernel.entities import EntitySignal, OperationOutcome, OrchestrationStart
from durable_async.failure import FailureDetails
from durable_async.model.history import (
    EntityLockRelease,
    EntityLockRequest,
    EntityOperation,
    ExecutionTerminated,
    Letter,
    ParentLink,
    ParkedOperationsRetried,
)

ENTITY = "@account@ann"
SENDERS = ("ann", "bob", "eve")
REASON = "5 workers died of it"


@dataclass(frozen=True)
class Send:
    """A letter is sent: of what kind, by whom, and what there is to say of it."""

    kind: str
    sender: str
    number: int = 0
    does: str = "add"


@dataclass(frozen=True)
class Pass:
    """Time passes."""

    us: int


@dataclass(frozen=True)
class Work:
    """At most so many operations are carried out."""

    operations: int


@dataclass(frozen=True)
class Do:
    """One of the other things that happen: deliver, finish, park, crash."""

    what: str


Step = Send | Pass | Work | Do

_senders = st.sampled_from(SENDERS)
_does = st.sampled_from(["add", "add", "add", "fail", "clear", "tell"])
_operations = st.builds(
    Send,
    st.sampled_from(["signal", "call", "request"]),
    _senders,
    st.sampled_from([0, 0, 0, 5, 20]),  # due after
    _does,
)
_locks = st.builds(Send, st.just("lock"), _senders, st.sampled_from([0, 0, 10]))  # held for
_others = st.one_of(
    st.builds(Send, st.just("section"), _senders, st.just(0), _does),
    st.builds(Send, st.sampled_from(["unlock", "end"]), _senders),
    st.builds(Send, st.sampled_from(["retry", "noise"]), _senders),
)
_works = st.builds(Work, st.integers(1, 4))
_passes = st.builds(Pass, st.sampled_from([0, 5, 10]))  # to the very moment, often
_deliveries, _finishes, _crashes, _parks = map(
    st.just, [Do("deliver"), Do("finish"), Do("crash"), Do("park")]
)


def _section(sender: str, held_us: int, calls: list[str], *, is_left: bool) -> list[Step]:
    """Return a critical section as holders go through it: the calls, and perhaps the end, come when it is locked."""
    inside = [Send("section", sender, 0, does) for does in calls]
    end = [Send("unlock", sender)] if is_left else []
    return [Send("lock", sender, held_us), Do("deliver"), Work(3), *inside, *end, Do("deliver")]


def _misfortune(parked: int) -> list[Step]:
    """Return how operations are parked and tried again."""
    return [*[Do("park")] * parked, Send("retry", "ann"), Do("deliver")]


_stretches = st.one_of(
    st.builds(
        _section,
        _senders,
        st.sampled_from([0, 10]),
        st.lists(_does, max_size=3),
        is_left=st.booleans(),
    ),
    st.builds(_misfortune, st.integers(1, 3)),
)


def _streams(*steps: st.SearchStrategy[Step]) -> st.SearchStrategy[list[Step]]:
    single = st.one_of(*steps).map(lambda step: [step])
    parts = st.lists(st.one_of(single, single, single, _stretches), min_size=15, max_size=50)
    return parts.map(lambda lists: [step for part in lists for step in part])


# Sending outweighs the rest, so that letters pile up and lines form.
lively = _streams(_operations, _operations, _locks, _others, _works, _works, _passes, _parks)
fragile = _streams(
    _operations,
    _operations,
    _locks,
    _others,
    _deliveries,
    _works,
    _works,
    _passes,
    _finishes,
    _crashes,
    _parks,
)


class Post:
    """Writes the letters. Sections are numbered, so that a holder never asks twice in the same name."""

    def __init__(self) -> None:
        self.number = 0
        self.sections = dict.fromkeys(SENDERS, 1_000)

    def write(self, send: Send, now_us: int) -> Letter:
        self.number += 1
        sender, name = send.sender, f"{send.does}:{self.number}"
        caller = ParentLink(sender, 1, self.number)
        due_us = now_us + send.number if send.number else 0
        match send.kind:
            case "signal":
                return EntityOperation(name, None, due_us=due_us)
            case "call":
                return EntityOperation(name, None, caller=caller)
            case "request":
                return EntityOperation(name, None, request_id=f"{sender}/{self.number}")
            case "section":
                return EntityOperation(name, None, caller, section=self.sections[sender])
            case "lock":
                self.sections[sender] += 1
                return EntityLockRequest(self.holder(sender), send.number)
            case "unlock":
                return EntityLockRelease(self.holder(sender))
            case "end":
                return EntityLockRelease(self.holder(sender), is_will=True)
            case "retry":
                return ParkedOperationsRetried()
            case _:
                return ExecutionTerminated()

    def holder(self, sender: str) -> ParentLink:
        return ParentLink(sender, 1, self.sections[sender])


def carry_out(state: bytes | None, operation: EntityOperation) -> OperationOutcome:
    """Add the operation's number to the state, or fail, or clear the state, or tell others."""
    does, _, number = operation.operation.partition(":")
    if does == "fail":
        # What comes with a failure does not count.
        told: Any = (EntitySignal("@x@x", "@x", operation),)
        return OperationOutcome(failure=FailureDetails("Oops", number), state=b"?", signals=told)
    if does == "clear":
        return OperationOutcome(result=b"null", state=None)
    after = (state or b"") + b" " + number.encode()
    if does == "tell":
        return OperationOutcome(
            number.encode(),
            None,
            after,
            (EntitySignal("@log@1", "@log", operation),),
            (OrchestrationStart(number, "audit", None, None),),
        )
    return OperationOutcome(number.encode(), None, after)
