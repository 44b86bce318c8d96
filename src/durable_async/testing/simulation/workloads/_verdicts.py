"""Verdicts on poison: which harm each kind may come to, and must not exceed."""

from __future__ import annotations

from typing import NamedTuple

from durable_async import Status
from durable_async.testing.simulation.violations import StuckError, Violation

from ._orders import End

BEGINNINGS_MAX = 5
"""So often code is begun that never comes through; the documented bound of attempts."""

SURVIVED = "survived"


class Expected(NamedTuple):
    """What becomes of an instance.

    Attributes:
        parked: How the reason begins for which it is parked, one of these; nothing if it is not.
        may_pass: Whether it may end without having been parked.
        status: How it ends, once it is mended.
        output: With what output; with any if empty.
        failure: With what failure.
    """

    parked: tuple[str, ...] = ()
    may_pass: bool = False
    status: Status = Status.COMPLETED
    output: str = ""
    failure: str = ""


DAMAGED = ("CorruptHistoryError: ",)
# A turn that is empty, or was left with less in it, can be read; it does not fit the code.
MISREAD = (
    *DAMAGED,
    "NonDeterminismError: ",
    "DecodeError: ",
    "NotRegisteredError: ",
    "LimitExceededError",
)

EXPECTED: dict[str, Expected] = {
    "lethal code": Expected(("claimed 5 times",), output=SURVIVED),
    "lethal activity": Expected(("claimed 5 times",), output=SURVIVED),
    "box swallow": Expected(output="PoisonedOperationError"),
    "box sip": Expected(output="PoisonedOperationError"),
    "diverging": Expected(("NonDeterminismError: ",), may_pass=True, output="abc"),
    "restless spin": Expected(("TurnBudgetError: ",), output=SURVIVED),
    "restless stall": Expected(("StalledOrchestrationError: ",), output=SURVIVED),
    "restless forbidden": Expected(("ForbiddenOperationError: ",), output=SURVIVED),
    "restless crowd": Expected(("LimitExceededError: ",), output=SURVIVED),
    "failing oversize result": Expected(output="PayloadTooLargeError"),
    "failing undecodable input": Expected(output="DecodeError"),
    "failing unregistered": Expected(output="NotRegisteredError"),
    "typed oversize output": Expected(status=Status.FAILED, failure="PayloadTooLargeError"),
    "typed undecodable": Expected(status=Status.FAILED, failure="DecodeError"),
    "typed refused": Expected(status=Status.FAILED, failure="VersionRefused"),
    "typed foreign": Expected(status=Status.TERMINATED),
    "typed nobody": Expected(status=Status.TERMINATED),
    "damaged history": Expected(DAMAGED, may_pass=True, output="abc"),
    "damaged letter": Expected(DAMAGED, may_pass=True, output="abc"),
    "damaged state": Expected(DAMAGED, may_pass=True),
}
"""By kind and part."""

NOT_RUN = ("typed foreign", "typed nobody")
"""What no worker takes: it waits, until it is terminated."""


def check_reason(where: str, kind: str, reason: str | None, *, is_flipped: bool) -> None:
    """Check that what was parked was so for its own reason, and that what must be parked was.

    Raises:
        Violation: I17.
    """
    expected = EXPECTED[kind]
    if reason is None:
        if expected.parked and not expected.may_pass:
            raise Violation("I17", "it is not parked", where=where, kind=kind)
        return
    reasons = MISREAD if is_flipped or kind == "damaged history" else expected.parked
    if not reason.startswith(reasons or ("nothing",)):
        what = "it is parked for another reason than its own"
        raise Violation("I17", what, where=where, kind=kind, reason=reason)


def check_end(where: str, kind: str, end: End | None, *, is_flipped: bool) -> None:
    """Check that it ended as it must, once it was mended. A bit that was flipped in what it computes with may lead anywhere.

    Raises:
        Violation: I1; I14 if it has not ended.
    """
    if end is None:
        raise StuckError("it was mended, and does not end", where=where, kind=kind)
    if is_flipped:
        return
    expected = EXPECTED[kind]
    failure = end.failure.error_type.rpartition(".")[2] if end.failure else ""
    if (end.status, failure) != (expected.status, expected.failure) or (
        expected.output and end.output != expected.output
    ):
        raise Violation("I1", "it did not end as it must", where=where, kind=kind, end=end)


def most_begun(kind: str, hand_backs: int) -> int:
    """Return how often code may begin that never comes through.

    Args:
        kind: What is wrong with it.
        hand_backs: How often a worker went in order, and took back the last attempt of all that it had, begun or not.
    """
    match kind:
        case "box swallow" | "box sip":
            # Three times with what stands before it: once in the worker that had committed a turn of it, whose claim is forgotten, and at two
            # claims. Then what stands before it comes through on trial, and the count begins anew.
            most = BEGINNINGS_MAX + 3
        case "lethal activity":
            most = (
                BEGINNINGS_MAX + 1
            )  # first by the turn that calls it, which has come through by then
        case _:
            most = BEGINNINGS_MAX
    return most + hand_backs


def check_begun(where: str, kind: str, begun: int, later: int, hand_backs: int) -> None:
    """Check how often code was begun that did harm: not more often than is documented, and not at all once it is parked.

    Raises:
        Violation: I17.
    """
    most = most_begun(kind, hand_backs)
    if begun > most:
        what = "code that kills or fails was begun too often"
        raise Violation("I17", what, where=where, kind=kind, begun=begun, most=most)
    if later != begun:
        what = "it was begun although it is parked"
        raise Violation("I17", what, where=where, kind=kind, begun=begun, later=later)
