"""Clients' starts and letters: each request is answered once, and the answer kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from durable_async.backends._rows import damaged_answer
from durable_async.model.records import Delivery, NewInstance, Outgoing

from .ledger import Ledger, decode_outcome, encode_outcome
from .starts import Started, Taking
from .states import Row
from .transaction import Statements, json_list


class _Request(Protocol):
    @property
    def instance_id(self) -> str: ...

    @property
    def request_id(self) -> str | None: ...


A = TypeVar("A")


def admit_instances(
    tx: Statements, instances: Sequence[NewInstance], taking: Taking | None
) -> Started:
    """Create instances, each according to its reuse policy; new ones may be a worker's from the beginning."""
    ledger = Ledger(tx)
    if taking is not None and has_epoch(tx, taking.worker_id, taking.epoch):
        owners = [taking.worker_id if chosen else None for chosen in taking.places]
    else:
        owners = [None] * len(instances)
    ids = {new.instance_id for new in instances}
    ledger.load(ids)
    ledger.load_tombstones(ids)
    answers = _Answers(tx, "start", instances)
    outcomes = [
        answers.once(new, partial(ledger.create, new, owner), encode_outcome, decode_outcome)
        for new, owner in zip(instances, owners, strict=True)
    ]
    ledger.flush()
    answers.save()
    if taking is None:
        return Started(outcomes)
    taken = ledger.created_for(taking.worker_id)
    unread = tx.one("has_unread", hub=tx.hub, worker=taking.worker_id)
    return Started(outcomes, taken, is_told=unread is None)


def has_epoch(tx: Statements, worker_id: str, epoch: int) -> bool:
    """Tell whether a worker's fence still stands, which it moves only itself."""
    found = tx.one("read_fence", hub=tx.hub, worker=worker_id)
    return found is not None and found[0] == epoch


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
        """Act, unless the same request was answered before; `CorruptHistoryError` if that answer cannot be read."""
        if request.request_id is None:
            return act()
        request_id = f"{self._verb} {request.request_id}"
        known = self._known.get(request_id)
        if known is not None:
            try:
                return decode(known)
            except (ValueError, RecursionError) as error:  # to act again might do it twice
                raise damaged_answer(request.instance_id, known) from error
        answer = act()
        text = encode(answer)
        if text is not None:
            self._known[request_id] = text
            self._new.append((self._tx.hub, request_id, text, self._tx.now_us))
        return answer

    def save(self) -> None:
        """Keep the new answers."""
        self._tx.each("insert_requests", self._new)
