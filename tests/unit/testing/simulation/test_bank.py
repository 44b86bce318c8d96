"""The bank's books balance, and where money or a lock is lost they do not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from durable_async import FailureDetails, Status
from durable_async.testing.simulation.violations import Violation
from durable_async.testing.simulation.workloads._bank_books import Books, Operation, Transfer
from durable_async.testing.simulation.workloads._orders import End, Order

Notes = dict[str, list[str]]

NOTED: Notes = {
    "a": ["t.0-a", "x?a", "x!a", "p.0-a", "s.0-a"],
    "b": ["t.0+b", "x?b", "x!b", "s.0-a>", "p.0+b"],
}
BALANCES = {"a": 100 - 10 - 20 - 5, "b": 100 + 10 + 5 + 20}
AUDIT = [("x?a", 2, 90), ("x?b", 2, 110), ("x!a", 3, 90), ("x!b", 3, 110)]


def told(*what: tuple[str, int, int]) -> list[dict[str, Any]]:
    return [{"id": id, "place": place, "value": value, "refused": ""} for id, place, value in what]


def order(id: str, begun: int, output: Any, status: Status = Status.COMPLETED) -> Order:
    end = End(status, output, None)
    return Order(f"bank-{id}", None, begun, begun + 1, begun + 2, end, end)


def books(*, audit: list[tuple[str, int, int]] | None = None, is_chased: bool = False) -> Books:
    """A transfer in a section, an audit, a transfer without a lock, one that the giver sends."""
    made = Books()
    made.expect(Transfer("t", ["a", "b"], 10, "leave"), "locked")
    made.expect(Transfer("p", ["a", "b"], 20, "leave"), "plain")
    made.expect(Transfer("s", ["a", "b"], 5, "leave"), "sent")
    looks = [Operation(id[-1], id, 0) for id, _, _ in AUDIT]
    made.looks["bank-x"] = looks
    orders = [
        order("t", 1, told(("t.0-a", 1, 90), ("t.0+b", 1, 110))),
        order("x", 4, told(*(audit or AUDIT))),
        order("p", 4, told(("p.0-a", 4, 70), ("p.0+b", 5, 135))),
        order("s", 4, told(("s.0-a", 5, 65))),
    ]
    if is_chased:
        orders[0] = order("t", 1, None, Status.TERMINATED)
        orders[0].is_chased = True
    made.note(orders)
    return made


def without(id: str) -> Notes:
    return {key: [one for one in line if one != id] for key, line in NOTED.items()}


def test_books_balance() -> None:
    books().check(NOTED, BALANCES)


def violation(made: Books, noted: Notes, balances: dict[str, int]) -> str:
    with pytest.raises(Violation) as caught:
        made.check(noted, balances)
    return f"{caught.value.invariant}: {caught.value.what}"


def test_money_is_not_lost() -> None:
    assert violation(books(), NOTED, {**BALANCES, "b": 130}).startswith("I8: no state explains")
    assert violation(books(), without("p.0+b"), {**BALANCES, "b": 115}).startswith("I7")
    said = violation(books(), without("s.0-a>"), {**BALANCES, "b": 130})
    assert said.startswith("I8: an answer is not what the order"), "it was told a balance"


def test_money_that_an_account_sent_arrives() -> None:
    last = {"a": NOTED["a"], "b": ["t.0+b", "x?b", "x!b", "p.0+b"]}
    made = books()
    for call in made.calls["b"]:
        if call.id == "p.0+b":
            call.place, call.answer = 4, 130
    assert violation(made, last, {"a": 65, "b": 130}) == "I7: an operation was accepted, and lost"


def test_a_section_that_was_ended_may_leave_money_behind_and_no_other() -> None:
    noted = without("t.0+b")
    audit = [("x?a", 2, 90), ("x?b", 1, 100), ("x!a", 3, 90), ("x!b", 2, 100)]
    made = books(audit=audit, is_chased=True)
    for call in made.calls["b"]:
        if call.id == "p.0+b":
            call.place, call.answer = 4, 125
    made.check(noted, {"a": 65, "b": 125})
    made._chased.clear()
    assert violation(made, noted, {"a": 65, "b": 125}) == "I9: money is neither here nor there"


def test_a_lock_keeps_others_out() -> None:
    noted = {**NOTED, "a": ["t.0-a", "x?a", "p.0-a", "x!a", "s.0-a"]}
    made = books(audit=[*AUDIT[:2], ("x!a", 4, 70), AUDIT[3]])
    for call in made.calls["a"]:
        if call.id == "p.0-a":
            call.place = 3
    assert violation(made, noted, BALANCES).startswith("I9: somebody came between")
    audit = [*AUDIT[:3], ("x!b", 3, 111)]
    assert violation(books(audit=audit), NOTED, BALANCES).startswith("I8: an answer is not")


def test_a_transfer_ends_as_its_code_does() -> None:
    made = Books()
    made.expect(Transfer("t", ["a", "b"], 10, "leave"), "locked")
    with pytest.raises(Violation, match="I1 at bank-t: a transfer left something out"):
        made.note([order("t", 1, told(("t.0-a", 1, 90)))])
    failed = order("t", 1, None, Status.FAILED)
    failed.end = End(Status.FAILED, None, FailureDetails("builtins.ValueError", "x"))
    with pytest.raises(Violation, match="I1 at bank-t: it failed as its code does not"):
        made.note([failed])
    disapproved = msgspec.json.encode(told(("t.0-a", 1, 90), ("t.0+b", 1, 110))).decode()
    failed.end = End(Status.FAILED, None, FailureDetails("x.DisapprovedError", disapproved))
    made = Books()
    made.expect(Transfer("t", ["a", "b"], 10, "fail"), "locked")
    made.note([failed])
    made.check({"a": ["t.0-a"], "b": ["t.0+b"]}, {"a": 90, "b": 110})
