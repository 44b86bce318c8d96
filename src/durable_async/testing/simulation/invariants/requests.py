"""I16: a request that is repeated gets the answer that it got, and an id that is used again gets a higher execution."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from durable_async.model.records import Delivery, NewInstance, Outgoing, StartOutcome
from durable_async.testing.simulation.violations import Violation

from ._calls import Call

Asked = TypeVar("Asked", NewInstance, Outgoing)
Told = TypeVar("Told")


class Requests:
    """What clients were answered, and how often each id was used.

    Attributes:
        executions: The highest execution that each id has had.
    """

    def __init__(self) -> None:
        self.executions: dict[str, int] = {}
        self._answers: dict[str, Any] = {}
        self._results: dict[str, bytes] = {}

    def see(self, call: Call) -> set[str]:
        """Take in a call; return ids of the requests in it that were answered before.

        Raises:
            Violation: One was answered otherwise before, or an execution comes twice.
        """
        match call.verb:
            case "create":
                return self._see_starts(call.args[0], call.answer)
            case "send":
                return self._see_letters(call.args[0], call.answer)
            case "read_answers":
                self._see_results(call.args[0], call.answer)
            case _:
                pass
        return set()

    def begin(self, instance_id: str, execution: int) -> None:
        """Take note of an execution that begins.

        Raises:
            Violation: The id has had it before.
        """
        last = self.executions.get(instance_id, 0)
        if execution <= last:
            raise Violation(
                "I16", "an execution comes twice", where=instance_id, last=last, begun=execution
            )
        self.executions[instance_id] = execution

    def _see_starts(
        self, starts: Sequence[NewInstance], answers: Sequence[StartOutcome]
    ) -> set[str]:
        repeated = self._see_answers(
            [(one.request_id, answer) for one, answer in zip(starts, answers, strict=True)]
        )
        for new, answer in firsts(starts, answers, repeated):
            if answer.created:
                self.begin(new.instance_id, answer.execution)
        return repeated

    def _see_letters(self, letters: Sequence[Outgoing], answers: Sequence[Delivery]) -> set[str]:
        return self._see_answers(
            [
                (one.request_id, answer)
                for one, answer in zip(letters, answers, strict=True)
                if answer is not Delivery.FULL
            ]
        )

    def _see_answers(self, answers: Iterable[tuple[str | None, Any]]) -> set[str]:
        repeated: set[str] = set()
        first: set[str] = set()
        for request_id, answer in answers:
            if request_id is None:
                continue
            if request_id not in self._answers:
                first.add(request_id)
            elif request_id not in first:
                repeated.add(request_id)
            known = self._answers.setdefault(request_id, answer)
            if known != answer:
                raise Violation(
                    "I16",
                    "another answer to the same request",
                    where=request_id,
                    first=known,
                    then=answer,
                )
        return repeated

    def _see_results(self, request_ids: Sequence[str], answers: Sequence[bytes | None]) -> None:
        for request_id, answer in zip(request_ids, answers, strict=True):
            known = self._results.get(request_id)
            if known is not None and answer != known:
                raise Violation(
                    "I16", "an answer has changed", where=request_id, first=known, then=answer
                )
            if answer is not None:
                self._results[request_id] = answer


def firsts(
    asked: Iterable[Asked], told: Iterable[Told], repeated: Container[str | None]
) -> Iterator[tuple[Asked, Told]]:
    """Go through what is asked for the first time in a call, with the answers; one call may hold a request twice."""
    seen: set[str] = set()
    for one, answer in zip(asked, told, strict=True):
        if one.request_id in seen or one.request_id in repeated:
            continue
        if one.request_id is not None:
            seen.add(one.request_id)
        yield one, answer
