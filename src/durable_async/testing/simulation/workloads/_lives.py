"""Lives: what clients were told about one id, and whether any course of events explains all of it.

The id of an orchestration is a small machine: it is absent, lives, ends, is replaced, restarted, rewound, purged. `effects` is its whole
table. Clients call it at the same time, so a call took effect at some moment between its beginning and its answer; one that was never
answered took effect at any moment after its beginning, or never. In between the orchestration itself goes on: it begins, is suspended,
continues as new, ends. `unexplained` looks for an order of calls and such steps in which every answer is right. This is linearizability,
with steps of its own that the machine may take.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from durable_async.model.policy import ReusePolicy
from durable_async.model.status import Status

Answer = str | int | tuple[str | int, ...]

CREATED, FOUND, NOT_FOUND, DONE = "created", "found", "not found", "done"
REFUSED = "refused"
"""Because of its status."""
CHANGING = "changing"
"""Not carried out, or not to be told any more: something else happened to it meanwhile."""

CALLS_SEARCHED_MAX = 60
"""More calls of one id than that are not drawn: the search takes two to the power of those that overlap."""


class Nature(NamedTuple):
    """What the code of a life may do.

    Attributes:
        fails: Whether it may fail.
        renewals: How often it continues as new, at most.
    """

    fails: bool = False
    renewals: int = 0


class Call(msgspec.Struct):
    """What a client asked, and was told.

    Attributes:
        verb: As in ``effects``.
        asked: The moment of the call.
        label: Of a start: what tells its life from others.
        reuse: Of a start: its policy.
        is_vague: Of a rewind: whether nothing may be left to tell that it was carried out, once its answer is lost.
        told: The moment of the answer, if there was one.
        answer: The answer.
    """

    verb: str
    asked: int
    label: str = ""
    reuse: ReusePolicy = ReusePolicy.REJECT
    is_vague: bool = False
    told: int | None = None
    answer: Answer | None = None

    def tell(self, answer: Answer, moment: int) -> None:
        """Note the answer; the first one counts."""
        if self.told is None:
            self.answer, self.told = answer, moment


class State(NamedTuple):
    """Where an id stands.

    Attributes:
        status: ``None`` if nothing has the id.
        execution: The last one that there was.
        label: Of the life that has the id, or had it last.
        renewals: How often that may still continue as new.
        letters: Of suspend and resume, what it has not taken yet.
        is_doomed: Whether it was told to terminate.
    """

    status: Status | None = None
    execution: int = 0
    label: str = ""
    renewals: int = 0
    letters: tuple[str, ...] = ()
    is_doomed: bool = False

    @property
    def lives(self) -> bool:
        """Whether something has the id that has not ended."""
        return self.status is not None and not self.status.is_terminal

    @property
    def has_ended(self) -> bool:
        """Whether something has the id that has ended."""
        return self.status is not None and self.status.is_terminal


Natures = dict[str, Nature]
"""Of all lives that may come to be, by label."""

Effects = Iterator[tuple[Answer, State]]


def effects(state: State, call: Call, natures: Natures) -> Effects:
    """Go through what a call may do in a state: the answer, and the state after it."""
    match call.verb:
        case "start":
            yield _start(state, call, natures)
        case "restart":
            yield from _restart(state, natures)
        case "rewind":
            yield from _rewind(state, call)
        case "purge":
            yield from _purge(state)
        case "terminate":
            yield _terminate(state)
        case "suspend" | "resume":
            yield _deliver(state, state._replace(letters=(*state.letters, call.verb)))
        case "raise":
            yield _deliver(state, state)
        case "get":
            yield _look(state), state
        case verb:
            raise AssertionError(f"no such verb: {verb}")


def _start(state: State, call: Call, natures: Natures) -> tuple[Answer, State]:
    is_free = state.status is None or call.reuse is ReusePolicy.REPLACE
    if is_free or (state.has_ended and call.reuse is ReusePolicy.REPLACE_TERMINAL):
        return CREATED, _born(state, call.label, natures)
    assert state.status is not None
    found = call.reuse is ReusePolicy.RETURN_EXISTING
    return (FOUND if found else ("exists", state.status.value)), state


def _born(state: State, label: str, natures: Natures) -> State:
    return State(Status.PENDING, state.execution + 1, label, natures[label].renewals)


def _restart(state: State, natures: Natures) -> Effects:
    """It reads first, and starts then: in between there may have been another life, or a purge."""
    if state.lives:
        assert state.status is not None
        yield REFUSED, state
        yield ("exists", state.status.value), state
        return
    if state.status is None:
        yield NOT_FOUND, state
    for label in natures if state.execution else ():
        yield CREATED, _born(state, label, natures)


def _rewind(state: State, call: Call) -> Effects:
    if state.status is not Status.FAILED:
        yield NOT_FOUND if state.status is None else REFUSED, state
        yield CHANGING, state
        return
    again = state._replace(status=Status.RUNNING, execution=state.execution + 1, letters=())
    again = again._replace(is_doomed=False)
    yield DONE, again
    if call.is_vague:
        yield CHANGING, again


def _purge(state: State) -> Effects:
    """The answer is how many went; none, if the answer to an earlier attempt of the same call was lost."""
    if state.has_ended:
        gone = state._replace(status=None, letters=(), is_doomed=False)
        yield 1, gone
        yield 0, gone
    else:
        yield 0, state


def _terminate(state: State) -> tuple[Answer, State]:
    if state.status is None:
        return NOT_FOUND, state
    return DONE, state._replace(is_doomed=True) if state.lives else state


def _deliver(state: State, delivered: State) -> tuple[Answer, State]:
    if state.status is None:
        return NOT_FOUND, state
    return (DONE, delivered) if state.lives else (REFUSED, state)


def _look(state: State) -> Answer:
    if state.status is None:
        return NOT_FOUND
    return state.execution, state.status.value, state.label


def steps(state: State, natures: Natures) -> Iterator[State]:
    """Go through what an orchestration may do by itself next."""
    if not state.lives:
        return
    if state.letters:
        taken = Status.SUSPENDED if state.letters[0] == "suspend" else Status.RUNNING
        yield state._replace(status=taken, letters=state.letters[1:])
    if state.is_doomed:
        yield _end(state, Status.TERMINATED)
    if state.status is Status.SUSPENDED:
        return
    if state.status is Status.PENDING:
        yield state._replace(status=Status.RUNNING)
    yield _end(state, Status.COMPLETED)
    if natures[state.label].fails:
        yield _end(state, Status.FAILED)
    if state.renewals:
        again = state._replace(execution=state.execution + 1, renewals=state.renewals - 1)
        yield again._replace(status=Status.RUNNING)


def _end(state: State, status: Status) -> State:
    return state._replace(status=status, letters=(), is_doomed=False)


def unexplained(calls: Sequence[Call], natures: Natures) -> Call | None:
    """Return the earliest call whose answer no course of events explains together with those before it; ``None`` if all is well."""
    assert len(calls) <= CALLS_SEARCHED_MAX, "a plan with fewer calls of one id is searched faster"
    order = sorted(calls, key=lambda call: call.asked)
    answered = [call for call in order if call.told is not None]
    for count in range(len(answered), 0, -1):  # all of them, mostly
        last = answered[count - 1]
        if is_explained([call for call in order if call.asked <= last.asked], natures):
            return None if count == len(answered) else answered[count]
    return answered[0] if answered else None


def is_explained(order: Sequence[Call], natures: Natures) -> bool:
    """Tell whether some course of events gives all answers."""
    before = [_before(order, number) for number in range(len(order))]
    wanted = sum(1 << number for number, call in enumerate(order) if call.told is not None)
    frontier: dict[int, set[State]] = {0: _closure({State()}, natures)}
    while frontier:
        if any(done & wanted == wanted for done in frontier):
            return True
        following: dict[int, set[State]] = {}
        for done, states in frontier.items():
            for number, call in enumerate(order):
                if done >> number & 1 or before[number] & ~done:
                    continue
                reached = _after(states, call, natures)
                if reached:
                    following.setdefault(done | 1 << number, set()).update(reached)
        frontier = following
    return not wanted


def _before(order: Sequence[Call], number: int) -> int:
    """Return those that were answered before a call began, as bits."""
    asked = order[number].asked
    return sum(
        1 << other
        for other, call in enumerate(order)
        if call.told is not None and call.told < asked
    )


def _after(states: Iterable[State], call: Call, natures: Natures) -> set[State]:
    fits = {
        after
        for state in states
        for answer, after in effects(state, call, natures)
        if call.told is None or answer == call.answer
    }
    return _closure(fits, natures)


def _closure(states: set[State], natures: Natures) -> set[State]:
    """Return these states and all that follow by themselves."""
    found = set(states)
    todo = list(states)
    while todo:
        for state in steps(todo.pop(), natures):
            if state not in found:
                found.add(state)
                todo.append(state)
    return found
