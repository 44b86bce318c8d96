"""What the books of the bank must say, given what its customers heard; and that nobody holds a lock any more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from load import Found

from durable_async import Client

from .accounts import JOURNAL, KEYS, OPENING, Account, Book, Ear, Journal
from .transfers import Transfer

_SHOWN = 5


@dataclass(frozen=True)
class Expected:
    """What was acknowledged.

    Attributes:
        total: All the money.
        transfers: By number: what was ordered, and what came of it.
        said: By account and sender: the last number of the small talk.
        ticks: By account: how many delayed signals were sent.
    """

    total: int
    transfers: Mapping[int, tuple[Transfer, str]]
    said: Mapping[str, Mapping[str, int]]
    ticks: Mapping[str, int]


async def check_books(client: Client, expected: Expected, found: Found) -> None:
    """Compare each account with what must have been done to it, and nothing else, once."""
    balances = dict.fromkeys(KEYS, OPENING)
    parts: dict[str, dict[str, set[int]]] = {key: defaultdict(set) for key in KEYS}
    for order, outcome in expected.transfers.values():
        _apply(order, outcome, balances, parts)
    entries: dict[str, int] = {}
    total = 0
    for key in KEYS:
        state = await client.get_entity(Account.entity_id(key), Account)
        book = Book() if state is None or state.state is None else state.state
        entries[key] = book.entries
        total += book.total
        parts[key]["open"].add(0)
        _compare(key, book, balances[key], parts[key], found)
        compare_talk(key, book.ear, expected.said[key], found)
        if book.ticks != expected.ticks.get(key, 0):
            found.lost.append(f"{key}: {book.ticks} ticks instead of {expected.ticks.get(key, 0)}")
    if total != expected.total:
        found.lost.append(f"{total} in all accounts instead of {expected.total}")
    await _check_journal(client, entries, found)


def _apply(
    order: Transfer,
    outcome: str,
    balances: dict[str, int],
    parts: Mapping[str, Mapping[str, set[int]]],
) -> None:
    """Do in the books of the checker what a transfer did, if its outcome is true."""
    number = order.number
    if outcome == "reversed":
        parts[order.source]["out"].add(number)
        parts[order.source]["back"].add(number)
    if outcome != "moved":
        return
    for part in ("reserve", "settle") if order.way == "held" else ("out",):
        parts[order.source][part].add(number)
    balances[order.source] -= order.cost
    for key in order.targets:
        parts[key]["in"].add(number)
        balances[key] += order.amount


def _compare(
    key: str, book: Book, balance: int, parts: Mapping[str, set[int]], found: Found
) -> None:
    found.doubled += (f"{key}: {one} twice" for one in book.doubled)
    found.lost += (f"{key}: {one}" for one in book.disturbed)
    if book.total != balance or book.reserved:
        found.lost.append(f"{key}: {book.total}, {book.reserved} of it set aside, not {balance}")
    for part in {*parts, *book.parts}:
        done = book.parts[part].numbers() if part in book.parts else set()
        for what, numbers in (
            ("never done", parts.get(part, set()) - done),
            ("done, and not acknowledged", done - parts.get(part, set())),
        ):
            if numbers:
                some = sorted(numbers)[:_SHOWN]
                found.lost.append(f"{key}: {part} of {len(numbers)} transfers {what}: {some}")


def compare_talk(key: str, ear: Ear, said: Mapping[str, int], found: Found) -> None:
    """Compare what was heard from senders with what was acknowledged to them."""
    found.doubled += (f"{key}: {one}" for one in ear.disorder)
    for sender in {*ear.last, *said}:
        last, expected = ear.last.get(sender, 0), said.get(sender, 0)
        if last != expected:
            found.lost.append(f"{key}: heard {last} of {sender} instead of {expected}")


async def _check_journal(client: Client, entries: Mapping[str, int], found: Found) -> None:
    state = await client.get_entity(Journal.entity_id(JOURNAL), Journal)
    ear = Ear() if state is None or state.state is None else state.state
    compare_talk("the journal", ear, entries, found)
    found.notes["movements"] = sum(entries.values())


async def check_locks(client: Client, found: Found) -> None:
    """Nobody holds an account or waits for one, nothing lies in its mailbox, nothing of it is parked, and there is nothing to clean."""
    async for state in client.query_entities():
        if state.locked_by is not None:
            found.stuck.append(f"{state.entity_id} is locked by {state.locked_by}")
        if state.parked is not None or state.parked_operations or state.backlog:
            parked = state.parked or state.parked_operations
            found.stuck.append(f"{state.entity_id}: {state.backlog} letters, parked: {parked}")
        waiting = (await client.entity_locks(state.entity_id)).waiting
        if waiting:
            found.stuck.append(f"{state.entity_id} is waited for by {waiting}")
    cleaned = await client.clean_entities()
    found.stuck += (f"orphaned: {one}" for one in cleaned.orphaned_locks)
    if cleaned.discarded:
        found.stuck.append(f"{cleaned.discarded} entities without a state")
