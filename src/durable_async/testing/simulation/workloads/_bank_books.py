"""The books of the bank: what everybody was told, held against the order in which each account says that things happened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from durable_async import Status
from durable_async.testing.simulation.linearizability import Call, Refusal, check_linearizable
from durable_async.testing.simulation.serializability import Span, check_apart, serialize
from durable_async.testing.simulation.violations import Violation

from ._orders import Order
from ._witness import Told, hear

AT_FIRST = 100
ROUNDS = 2
"""So often a transfer that goes on as new does so."""

LOCKED = ("locked", "locked_steps")
SENT = "sent"
DIRECT = "direct"


class Operation(NamedTuple):
    """One operation of a transfer."""

    key: str
    id: str
    amount: int


class Transfer(msgspec.Struct):
    """Gives an amount from the first account to each of the others.

    Attributes:
        id: Its name.
        keys: The accounts.
        amount: How much each gets.
        how: What happens on the way.
        round: How often it went on as new.
        told: What it was told before that.
    """

    id: str
    keys: list[str]
    amount: int
    how: str
    round: int = 0
    told: list[Told] = msgspec.field(default_factory=list)

    def operations(self) -> list[Operation]:
        """Return what is to be done: one that takes, then those that give."""
        giver, *takers = self.keys
        prefix = f"{self.id}.{self.round}"
        gives = [Operation(key, f"{prefix}+{key}", self.amount) for key in takers]
        return [Operation(giver, f"{prefix}-{giver}", self.amount * len(takers)), *gives]

    def in_rounds(self) -> list[list[Operation]]:
        """Return what all its rounds do."""
        rounds = ROUNDS + 1 if self.how == "again" else 1
        return [msgspec.structs.replace(self, round=at).operations() for at in range(rounds)]


def received(id: str) -> str:
    """Return the id of the operation by which money arrives that an entity sent."""
    return f"{id}>"


def account(balance: int, operation: str, amount: int) -> tuple[int, Any]:
    """Say what an account does."""
    match operation:
        case "look":
            return balance, balance
        case "give":
            return balance + amount, balance + amount
        case _ if balance < amount:
            return balance, Refusal("overdrawn")
        case _:
            return balance - amount, balance - amount


class Books:
    """All that was asked of the accounts.

    Attributes:
        calls: What clients asked for, by account.
        looks: Per orchestration that only looks, what it does.
    """

    def __init__(self) -> None:
        self.calls: dict[str, list[Call]] = {}
        self.looks: dict[str, list[Operation]] = {}
        self._transfers: dict[str, tuple[Transfer, str]] = {}
        self._audits: dict[str, list[Told]] = {}
        self._chased: set[str] = set()
        self._sections: dict[str, str] = {}

    def expect(self, transfer: Transfer, kind: str) -> None:
        """Know of a transfer that begins now."""
        self._transfers[f"bank-{transfer.id}"] = (transfer, kind)

    # -- what orchestrations were told

    def note(self, orders: Iterable[Order]) -> None:
        """Take down what all orchestrations did, as far as they tell.

        Raises:
            Violation: One ended as its code does not end (I1).
        """
        for order in orders:
            if order.end is None:
                continue
            if order.is_chased:
                self._chased.add(order.id)
            told = _told_at(order)
            if order.id in self.looks:
                self._note(order, self.looks[order.id], told, "look")
                if len(told or ()) == len(self.looks[order.id]) > 1:
                    self._audits[order.id] = told or []
                self._lock(order.id, self.looks[order.id])
            else:
                self._note_transfer(order, told)

    def _note_transfer(self, order: Order, told: list[Told] | None) -> None:
        transfer, kind = self._transfers[order.id]
        for operations in transfer.in_rounds():
            take, *gives = operations
            self._note(order, [take], told, "send" if kind == SENT else "take")
            if kind != SENT:
                self._note(order, gives, told, "give")
            if kind in LOCKED:
                self._lock(f"{order.id}.{take.id}", operations)
        if told is None or (told and told[-1].refused) or transfer.how == "fail at once":
            return
        expected = [one.id for operations in transfer.in_rounds() for one in operations]
        if [one.id for one in told] != (expected[:1] if kind == SENT else expected):
            what = "a transfer left something out"
            raise Violation("I1", what, where=order.id, told=told, expected=expected)

    def _note(
        self, order: Order, operations: Sequence[Operation], told: list[Told] | None, what: str
    ) -> None:
        """Take down operations: what was told of them; if nobody was told, each may have happened or not."""
        heard = {one.id: one for one in told or ()}
        for key, id, amount in operations:
            call = Call(id, what, amount, begun=order.begun, is_certain=False)
            if id in heard:
                hear(call, heard[id], order.ended)
            elif told is not None:
                continue
            line = self.calls.setdefault(key, [])
            former = [one for one in line if one.id.split(".")[0] == id.split(".")[0]]
            call.after = tuple(former[-1:])
            line.append(call)

    def _lock(self, section: str, operations: Sequence[Operation]) -> None:
        self._sections.update((one.id, section) for one in operations)

    # -- checks

    def check(self, noted: Mapping[str, Sequence[str]], balances: Mapping[str, int]) -> None:
        """Hold everybody to what the accounts noted.

        Raises:
            Violation: Money or an operation is lost or doubled (I7), what was told has no order (I8), a lock leaked (I9).
        """
        self._follow_what_was_sent(noted)
        for key in sorted({*noted, *self.calls}):
            line = noted.get(key, ())
            balance = balances.get(key, AT_FIRST)
            last = Call("the end", "look", 0, balance, len(line), is_look=True)
            check_linearizable(key, [*self.calls.get(key, ()), last], line, account, AT_FIRST)
        check_apart(noted, self._sections)
        serialize(noted, self._sections, self._spans())
        for id, told in self._audits.items():
            self._check_audit(id, told, noted)
        self._check_sum("the end", balances, {key: set(line) for key, line in noted.items()})

    def _follow_what_was_sent(self, noted: Mapping[str, Sequence[str]]) -> None:
        """Expect what accounts sent on: each once, and in order."""
        takers = {
            take.id: transfer.keys[1]
            for transfer, kind in self._transfers.values()
            for take in transfer.operations()[:1]
            if kind == SENT
        }
        for giver, line in noted.items():
            sent = {call.id: call for call in self.calls.get(giver, ()) if call.id in takers}
            former: dict[str, tuple[Call, ...]] = {}
            for id in line:
                if id in sent:
                    taker, begun = takers[id], sent[id].begun
                    call = Call(received(id), "give", sent[id].argument, begun=begun)
                    call.after = former.get(taker, ())
                    former[taker] = (call,)
                    self.calls.setdefault(taker, []).append(call)

    def _spans(self) -> dict[str, Span]:
        spans: dict[str, Span] = {}
        for line in self.calls.values():
            for call in line:
                span = Span(call.begun, call.ended)
                spans[self._sections.get(call.id, call.id)] = span
        return spans

    def _check_audit(self, id: str, told: list[Told], noted: Mapping[str, Sequence[str]]) -> None:
        half = len(told) // 2
        keys = [one.key for one in self.looks[id][:half]]
        for before, after in zip(told[:half], told[half:], strict=True):
            if (
                before.value != after.value
                or before.place is None
                or after.place != before.place + 1
            ):
                what = "an audit that had locked everything was disturbed"
                raise Violation("I9", what, where=id, before=before, after=after)
        balances = dict(zip(keys, (one.value for one in told), strict=False))
        places = dict(zip(keys, (one.place or 0 for one in told), strict=False))
        cut = {key: set(noted.get(key, ())[: places[key]]) for key in keys}
        self._check_sum(id, balances, cut)

    def _check_sum(
        self, where: str, balances: Mapping[str, int], cut: Mapping[str, set[str]]
    ) -> None:
        """Check that all money is in the accounts, or on its way where it may be at that moment."""
        on_its_way = {
            id: amount
            for id, (transfer, kind) in self._transfers.items()
            if (amount := _on_its_way(transfer, kind, cut))
        }
        at_end = where == "the end"
        lost = {id: amount for id, amount in on_its_way.items() if not self._may_be(id, at_end)}
        if lost:
            what = "money is neither here nor there"
            raise Violation("I7" if at_end else "I9", what, where=where, lost=lost)
        accounts = {key for transfer, _ in self._transfers.values() for key in transfer.keys}
        everything = AT_FIRST * len(accounts | balances.keys())
        missing = everything - sum(
            balances.get(key, AT_FIRST) for key in accounts | balances.keys()
        )
        if missing != sum(on_its_way.values()):
            what = "an audit found another sum"
            raise Violation("I7", what, where=where, missing=missing, on_its_way=on_its_way)

    def _may_be(self, id: str, at_end: bool) -> bool:
        """Tell whether a transfer may be half done: while it goes on if it locks nothing; for ever if somebody ended it."""
        transfer, kind = self._transfers[id]
        if id in self._chased:
            return True
        if not at_end:
            return kind not in LOCKED
        give = transfer.operations()[1]
        calls = self.calls.get(give.key, ())
        return kind == DIRECT and not any(call.id == give.id and call.is_certain for call in calls)


def _on_its_way(transfer: Transfer, kind: str, cut: Mapping[str, set[str]]) -> int:
    """Return how much of a transfer was taken and not given yet."""
    amount = 0
    for take, *gives in transfer.in_rounds():
        if take.id in cut.get(take.key, ()):
            amount += take.amount
        for give in gives:
            id = received(take.id) if kind == SENT else give.id
            if id in cut.get(give.key, ()):
                amount -= give.amount
    return amount


def _told_at(order: Order) -> list[Told] | None:
    """Return what an orchestration tells of its operations at its end; ``None`` if it was terminated, and tells nothing."""
    assert order.end is not None
    if order.end.status is Status.COMPLETED:
        return msgspec.convert(order.end.output, list[Told])
    if order.end.status is Status.TERMINATED:
        return None
    failure = order.end.failure
    if failure is None or not failure.is_type("DisapprovedError"):
        raise Violation("I1", "it failed as its code does not", where=order.id, end=order.end)
    return msgspec.json.decode(failure.message, type=list[Told])
