"""A black-box checker: is there one order of operations, each at one moment between its call and its answer, that explains all answers?

It is the search of Wing and Gong ("Testing and verifying concurrent objects", 1993) with the memory of Lowe ("Testing for
linearizability", 2017): depth first over the operations that may come next, and never twice to the same set of operations with the same
state. The question is NP-complete (Gibbons and Korach, "Testing shared memories", 1997), so histories of one object should be short.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Model = Callable[[Any, str, Any], tuple[Hashable, Any]]
"""Takes a state, an operation and its argument; returns the state after it, and the answer."""


class _Unheard:
    def __repr__(self) -> str:
        return "UNHEARD"


UNHEARD = _Unheard()
"""Stands for an answer that nobody got."""


@dataclass(frozen=True, eq=False)
class Call:
    """One operation on the object, as somebody outside saw it.

    Attributes:
        begun: When it was asked for.
        ended: When its answer came; infinity if none did.
        is_certain: Whether it was accepted, so that it must take effect; else it may.
        after: Operations that come before it, because one sender sent them one after the other.
    """

    operation: str
    argument: Any = None
    answer: Any = UNHEARD
    begun: float = 0
    ended: float = math.inf
    is_certain: bool = True
    after: tuple[Call, ...] = ()


def explain(calls: Sequence[Call], model: Model, initial: Hashable) -> list[Call] | None:
    """Return an order that explains all answers, or ``None`` if there is none."""
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
