"""Linearizability: is there one order of operations, each at one moment between its call and its answer, that explains what was told?

It is asked by two methods that share nothing but the model of what the object does.

The *witness* is the object itself: it notes the id of each operation that it carried out, and its answers say where in that order they
stand. So the order needs no search: it is read, and each answer, each moment and each sender is compared with it, whatever the length.

The *black box* believes no note and looks at the answers alone. It is the search of Wing and Gong ("Testing and verifying concurrent
objects", 1993) with the memory of Lowe ("Testing for linearizability", 2017): depth first over the operations that may come next, and
never twice to the same set of operations with the same state. The question is NP-complete (Gibbons and Korach, "Testing shared
memories", 1997), so histories should be short, and what is known of unanswered calls is said beforehand.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from .violations import Violation

CALLS_MAX = 1_000
"""Longest history that the black box looks at."""

STEPS_MAX = 20_000
"""After so many steps it gives up the search."""


class _Unheard:
    def __repr__(self) -> str:
        return "UNHEARD"


UNHEARD = _Unheard()
"""Stands for an answer that nobody got."""


class Refusal(NamedTuple):
    """An answer by which an operation says that it did nothing."""

    why: str


Model = Callable[[Any, str, Any], tuple[Hashable, Any]]
"""Takes a state, an operation and its argument; returns the state after it, and the answer. One that answers with a `Refusal` leaves the
state as it is."""


@dataclass(eq=False)
class Call:
    """One operation on the object, as somebody outside saw it.

    Attributes:
        id: The name under which the object notes it.
        operation: What is to be done.
        argument: With what.
        answer: What was told of it.
        place: Where it stands as the answer says: how many operations took effect up to it, itself included if it did.
        begun: When it was asked for.
        ended: When its answer came; infinity if none did.
        accepted: When it was known that it stands in line, so that whatever is asked for later stands behind it; infinity if that is not
            known, or if it has no place in the line, as one that is due later.
        is_certain: Whether it was accepted, so that it must be carried out; else it may.
        is_rejected: Whether it was told that it was not carried out at all.
        is_look: Whether it only looked from outside, stood in no line and left no note.
        after: Calls that come before it, because one sender sent them one after the other.
    """

    id: str
    operation: str
    argument: Any = None
    answer: Any = UNHEARD
    place: int | None = None
    begun: float = 0
    ended: float = math.inf
    accepted: float = math.inf
    is_certain: bool = True
    is_rejected: bool = False
    is_look: bool = False
    after: tuple[Call, ...] = ()


def check_linearizable(
    where: str, calls: Sequence[Call], noted: Sequence[str], model: Model, initial: Hashable
) -> None:
    """Check one object by both methods.

    Args:
        where: Its name.
        calls: All that anybody asked of it.
        noted: Ids of the operations that took effect, as it noted them, in order.
        model: What it does.
        initial: Its state at first.

    Raises:
        Violation: I7 if an operation was lost, doubled or made up; I8 if there is no order that explains what was told.
    """
    check_witness(where, calls, noted, model, initial)
    known = resolve(calls, noted)
    if len(known) > CALLS_MAX:
        return
    try:
        order = explain(known, model, initial)
    except SearchTooLongError:
        return  # the witness has spoken, and was not refuted
    if order is None:
        raise Violation("I8", "no order explains what was told", where=where, story=story(known))


# -- the witness


def check_witness(
    where: str, calls: Sequence[Call], noted: Sequence[str], model: Model, initial: Hashable
) -> None:
    """Compare all that was told with the order that the object noted.

    Raises:
        Violation: I7 or I8, see `check_linearizable`.
    """
    _check_counts(where, calls, noted)
    states = _replay(where, calls, noted, model, initial)
    _check_refused(where, calls, set(noted), states, model)
    places = _places(calls, noted)
    _check_time(where, calls, places)
    _check_senders(where, calls, places)


def _check_counts(where: str, calls: Sequence[Call], noted: Sequence[str]) -> None:
    counts = Counter(noted)
    unasked = counts.keys() - {call.id for call in calls}
    if unasked:
        what = "operations took effect that nobody asked for"
        raise Violation("I7", what, where=where, ids=sorted(unasked), noted=list(noted))
    doubled = sorted(one for one, count in counts.items() if count > 1)
    if doubled:
        raise Violation("I7", "operations took effect twice", where=where, ids=doubled)
    for call in calls:
        is_refused = call.is_rejected or isinstance(call.answer, Refusal)
        if is_refused and call.id in counts:
            what = "an operation took effect although it was refused"
            raise Violation("I7", what, where=where, call=call)
        was_done = call.answer is not UNHEARD and not is_refused and not call.is_look
        if was_done and call.id not in counts:
            what = "an operation was lost after it was answered"
            raise Violation("I7", what, where=where, call=call, noted=list(noted))


def _replay(
    where: str, calls: Sequence[Call], noted: Sequence[str], model: Model, initial: Hashable
) -> list[Hashable]:
    """Return the states from the first to the last, after a look at the answers on the way."""
    by_id = {call.id: call for call in calls}
    states = [initial]
    for place, one in enumerate(noted, 1):
        call = by_id[one]
        state, answer = model(states[-1], call.operation, call.argument)
        states.append(state)
        if isinstance(answer, Refusal):
            what = "an operation took effect that should have been refused"
            raise Violation("I8", what, where=where, call=call, state=states[-2])
        if call.answer is not UNHEARD and call.answer != answer:
            what = "an answer is not what the order of operations leads to"
            raise Violation("I8", what, where=where, call=call, expected=answer, noted=list(noted))
        if call.place is not None and call.place != place:
            what = "an operation does not stand where its answer said"
            raise Violation("I8", what, where=where, call=call, place=place, noted=list(noted))
    return states


def _check_refused(
    where: str,
    calls: Sequence[Call],
    noted: Collection[str],
    states: Sequence[Hashable],
    model: Model,
) -> None:
    """Look at what took no effect: there was a state in which it had to be so, and a read saw the one of its place."""
    for call in calls:
        if call.id in noted or call.is_rejected:
            continue
        if call.answer is not UNHEARD:
            seen = states if call.place is None else states[call.place : call.place + 1]
            answers = [model(state, call.operation, call.argument)[1] for state in seen]
            if call.answer not in answers:
                what = "no state explains an answer"
                raise Violation("I8", what, where=where, call=call, answers=answers)
        elif call.is_certain and not any(
            isinstance(model(state, call.operation, call.argument)[1], Refusal) for state in states
        ):
            raise Violation("I7", "an operation was accepted, and lost", where=where, call=call)


def _places(calls: Sequence[Call], noted: Sequence[str]) -> dict[Call, float]:
    """Return where each stands, as far as that is known; what took no effect stands between two that did."""
    place_of = {one: place for place, one in enumerate(noted, 1)}
    places: dict[Call, float] = {}
    for call in calls:
        if call.id in place_of:
            places[call] = place_of[call.id]
        elif call.place is not None and not call.is_rejected and not call.is_look:
            places[call] = call.place + 0.5
    return places


def _check_time(where: str, calls: Sequence[Call], places: dict[Call, float]) -> None:
    begun_last, last = -math.inf, None
    for call in sorted(places, key=lambda call: (places[call], call.begun)):
        if min(call.ended, call.accepted) < begun_last:
            what = "an operation stands behind one that was asked for when it had been accepted"
            raise Violation("I8", what, where=where, call=call, before_it=last)
        if call.begun > begun_last:
            begun_last, last = call.begun, call


def _check_senders(where: str, calls: Sequence[Call], places: dict[Call, float]) -> None:
    for call, place in places.items():
        for before in call.after:
            if places.get(before, place) > place:
                what = "operations of one sender changed places"
                raise Violation("I11", what, where=where, first=before, second=call)


# -- the black box


class SearchTooLongError(Exception):
    """Raised when a search has taken too many steps to go on."""


def resolve(calls: Sequence[Call], noted: Collection[str]) -> list[Call]:
    """Say of calls that nobody heard of whether they took effect, so that no search has to guess: those that did not are left out."""
    known: dict[Call, Call] = {}
    done = set(noted)
    for call in calls:
        if call.is_rejected or (call.answer is UNHEARD and call.id not in done):
            continue
        after = tuple(known[one] for one in call.after if one in known)
        known[call] = replace(call, is_certain=True, after=after)
    return list(known.values())


def explain(calls: Sequence[Call], model: Model, initial: Hashable) -> list[Call] | None:
    """Return an order that explains all answers, or ``None`` if there is none.

    Raises:
        SearchTooLongError: It would take too long to know.
    """
    calls = sorted(calls, key=lambda call: (call.ended, call.begun))
    required = sum(1 << index for index, call in enumerate(calls) if call.is_certain)
    place = {call: index for index, call in enumerate(calls)}
    before = [sum(1 << place[one] for one in call.after) for call in calls]
    path: list[int] = []
    seen = {(0, initial)}
    line = [_next(calls, before, 0, initial, model)]
    if not required:
        return []
    while line:
        step = next(line[-1], None)
        if step is None:
            line.pop()
            if path:
                path.pop()
            continue
        index, done, state = step
        if (done, state) in seen:
            continue
        seen.add((done, state))
        if len(seen) > STEPS_MAX:
            raise SearchTooLongError
        path.append(index)
        if done & required == required:
            return [calls[each] for each in path]
        line.append(_next(calls, before, done, state, model))
    return None


def _next(
    calls: Sequence[Call], before: Sequence[int], done: int, state: Hashable, model: Model
) -> Iterator[tuple[int, int, Hashable]]:
    """Go through the operations that may come next: nothing that is still open was answered before they were asked for."""
    is_open = [index for index in range(len(calls)) if not done >> index & 1]
    first_end = min((calls[index].ended for index in is_open), default=math.inf)
    for index in is_open:
        call = calls[index]
        if call.begun > first_end or before[index] & ~done:
            continue
        after, answer = model(state, call.operation, call.argument)
        if call.answer is UNHEARD or call.answer == answer:
            yield index, done | 1 << index, after


def story(calls: Sequence[Call]) -> str:
    """Tell calls in the order in which they were asked for, for people."""
    return "\n".join(
        f"{call.id}: {call.operation}({call.argument}) = {call.answer!r} from {call.begun} to {call.ended}"
        f" after {[before.id for before in call.after]}{'' if call.is_certain else ', or not at all'}"
        for call in sorted(calls, key=lambda call: call.begun)
    )
