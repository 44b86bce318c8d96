"""Clients' starts and letters: each request is answered once, and the answer kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from durable_async.model.records import Delivery, NewInstance, Outgoing, StartOutcome

from .ledger import Ledger, decode_outcome, encode_outcome
from .states import Row
from .transaction import Statements, json_list


class _Request(Protocol):
    @property
    def request_id(self) -> str | None: ...


A = TypeVar("A")


def admit_instances(tx: Statements, instances: Sequence[NewInstance]) -> list[StartOutcome]:
    """Create instances, each according to its reuse policy."""
    ledger = Ledger(tx)
    ids = {new.instance_id for new in instances}
    ledger.load(ids)
    ledger.load_tombstones(ids)
    answers = _Answers(tx, "start", instances)
    outcomes = [
        answers.once(new, partial(ledger.create, new), encode_outcome, decode_outcome)
        for new in instances
    ]
    ledger.flush()
    answers.save()
    return outcomes


def admit_letters(tx: Statements, letters: Sequence[Outgoing], letters_max: int) -> list[Delivery]:
    """Put letters into mailboxes, in their order."""
    ledger = Ledger(tx)
    ledger.load({out.instance_id for out in letters})
    ledger.load_tombstones({out.instance_id for out in letters if out.opens is not None})
    answers = _Answers(tx, "send", letters)
    deliveries = [
        answers.once(out, partial(ledger.deliver, out, letters_max), _value, Delivery)
        for out in letters
    ]
    ledger.flush()
    answers.save()
    return deliveries


def _value(delivery: Delivery) -> str | None:
    # A full mailbox may have room for the same letter later.
    return None if delivery is Delivery.FULL else delivery.value


class _Answers:
    def __init__(self, tx: Statements, verb: str, requests: Sequence[_Request]) -> None:
        self._tx = tx
        self._verb = verb
        self._known: dict[str, str] = {}
        self._new: list[Row] = []
        ids = [f"{verb} {one.request_id}" for one in requests if one.request_id is not None]
        if ids:
            self._known.update(tx.all("load_requests", hub=tx.hub, ids=json_list(ids)))

    def once(
        self,
        request: _Request,
        act: Callable[[], A],
        encode: Callable[[A], str | None],
        decode: Callable[[str], A],
    ) -> A:
        """Act, unless the same request was answered before."""
        if request.request_id is None:
            return act()
        request_id = f"{self._verb} {request.request_id}"
        known = self._known.get(request_id)
        if known is not None:
            return decode(known)
        answer = act()
        text = encode(answer)
        if text is not None:
            self._known[request_id] = text
            self._new.append((self._tx.hub, request_id, text, self._tx.now_us))
        return answer

    def save(self) -> None:
        """Keep the new answers."""
        self._tx.each("insert_requests", self._new)
