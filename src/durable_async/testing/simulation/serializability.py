"""Strict serializability: do critical sections over several objects look as if they had run one after the other, each within its time?

Every object knows the order of its own operations. A section that has its objects to itself has its operations side by side in each of
them; and there must be one order of all sections that no object and no clock contradicts. So nothing is searched: a contradiction is a
circle.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from .violations import Violation


@dataclass(frozen=True)
class Span:
    """From when to when something happened, as somebody outside saw it.

    Attributes:
        begun: Not before this.
        ended: Not after this; infinity if nobody knows.
    """

    begun: float = 0
    ended: float = math.inf


def check_apart(orders: Mapping[str, Sequence[str]], sections: Mapping[str, str]) -> None:
    """Check that nobody came between two operations of a section.

    Args:
        orders: Per object, ids of its operations in order.
        sections: Per operation, the section it belongs to; others are none's.

    Raises:
        Violation: I9.
    """
    for where, order in orders.items():
        ended: set[str] = set()
        last = ""
        for one in order:
            section = sections.get(one, "")
            if section != last:
                ended.add(last)
            if section and section in ended:
                what = f"somebody came between operations of section {section}"
                raise Violation("I9", what, where=where, order=list(order))
            last = section


def serialize(
    orders: Mapping[str, Sequence[str]], sections: Mapping[str, str], spans: Mapping[str, Span]
) -> list[str]:
    """Return an order of all sections, and of single operations, that every object and every clock agrees to.

    Args:
        orders: Per object, ids of its operations in order.
        sections: Per operation, the section it belongs to; one that is none's stands for itself.
        spans: Per section or single operation, when it happened.

    Raises:
        Violation: I8 if there is none.
    """
    before: dict[str, set[str]] = {}
    for order in orders.values():
        line = list(dict.fromkeys(sections.get(one, one) for one in order))
        for one in line:
            before.setdefault(one, set())
        for first, second in pairwise(line):
            before[second].add(first)
    _follow_the_clock(before, spans)
    try:
        return list(TopologicalSorter(before).static_order())
    except CycleError as error:
        what = "sections contradict each other about who came first"
        raise Violation("I8", what, circle=error.args[1], orders=dict(orders)) from None


def _follow_the_clock(before: dict[str, set[str]], spans: Mapping[str, Span]) -> None:
    """Let what had ended come before what began later."""
    by_begin = sorted(before, key=lambda one: spans.get(one, Span()).begun)
    for second in by_begin:
        begun = spans.get(second, Span()).begun
        before[second].update(
            first
            for first in by_begin
            if spans.get(first, Span()).ended < begun and first != second
        )
