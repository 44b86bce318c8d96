"""Critical sections have one order, or a circle is found."""

from __future__ import annotations

import pytest

from durable_async.testing.simulation.serializability import Span, check_apart, serialize
from durable_async.testing.simulation.violations import Violation

SECTIONS = {"s1": "s", "s2": "s", "t1": "t", "t2": "t"}


def test_a_section_has_its_objects_to_itself() -> None:
    check_apart({"a": ["x", "s1", "s2", "t1"], "b": ["t2", "s3"]}, SECTIONS)
    with pytest.raises(Violation, match="I9 at a: somebody came between operations of section s"):
        check_apart({"a": ["s1", "x", "s2"]}, SECTIONS)
    with pytest.raises(Violation, match="I9 at a"):
        check_apart({"a": ["s1", "t1", "s2"]}, SECTIONS)


def test_one_order_of_all_is_found() -> None:
    order = serialize({"a": ["s1", "x", "t1"], "b": ["y", "s2", "t2"]}, SECTIONS, {})
    assert order.index("s") < order.index("x") < order.index("t")
    assert order.index("y") < order.index("s")


def test_two_objects_that_disagree_are_a_circle() -> None:
    with pytest.raises(Violation, match="I8: sections contradict each other"):
        serialize({"a": ["s1", "t1"], "b": ["t2", "s2"]}, SECTIONS, {})


def test_a_clock_that_disagrees_is_one_too() -> None:
    spans = {"s": Span(5, 6), "t": Span(1, 2)}
    with pytest.raises(Violation, match="I8"):
        serialize({"a": ["s1", "t1"]}, SECTIONS, spans)
    serialize({"a": ["s1", "t1"]}, SECTIONS, {**spans, "t": Span(1, 5)})
    serialize({"a": ["s1", "t1"]}, SECTIONS, {"s": Span(5, 6)})


def test_single_operations_stand_for_themselves() -> None:
    orders = {"a": ["s1", "x"], "b": ["y", "s2"]}
    with pytest.raises(Violation, match="I8"):
        serialize(orders, SECTIONS, {"x": Span(1, 2), "y": Span(3, 4)})
