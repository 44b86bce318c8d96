"""Requests of one call: each distinct one is asked once, and its answer given to all that repeat it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Generic, Protocol, TypeVar


class _Request(Protocol):
    @property
    def request_id(self) -> str | None: ...


R = TypeVar("R", bound=_Request)
A = TypeVar("A")


class Requests(Generic[R]):
    """The requests of one call of a verb.

    Attributes:
        distinct: Those to ask.
        ids: Their ids as the store keeps them, by verb; ``None`` for what may be repeated as something new.
    """

    def __init__(self, verb: str, requests: Iterable[R]) -> None:
        self.distinct: list[R] = []
        self.ids: list[str | None] = []
        self._places: list[int] = []
        known: dict[str, int] = {}
        for request in requests:
            place = len(self.distinct)
            if request.request_id is not None:
                place = known.setdefault(request.request_id, place)
            if place == len(self.distinct):
                self.distinct.append(request)
                request_id = request.request_id
                self.ids.append(None if request_id is None else f"{verb} {request_id}")
            self._places.append(place)

    def answers(self, given: Sequence[A]) -> list[A]:
        """Return the answers in the order of the call, from those given to the distinct requests."""
        return [given[place] for place in self._places]
