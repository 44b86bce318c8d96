"""The accounts, which keep books of all that was done to them, and a journal to which they report."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

from workload import registry

from durable_async import Entity

KEYS = tuple(f"a{number}" for number in range(8))
OPENING = 1_000
JOURNAL = "bank"
_KEPT = 10


@dataclass
class Ear:
    """What was heard from senders that number what they say, each from 1.

    Attributes:
        last: The last number of each.
        disorder: What did not follow on the number before; the first few.
    """

    last: dict[str, int] = field(default_factory=dict)
    disorder: list[str] = field(default_factory=list)

    def hear(self, sender: str, number: int) -> None:
        """Take in what a sender says."""
        before = self.last.get(sender, 0)
        if number != before + 1 and len(self.disorder) < _KEPT:
            self.disorder.append(f"{number} of {sender} after {before}")
        self.last[sender] = number


@dataclass
class Marks:
    """A set of numbers, as the hexadecimal digits of its bits: 10,000 of them are 2.5 KB."""

    digits: str = "0"

    def add(self, number: int) -> bool:
        """Add one; ``False`` if it is there already."""
        bits = int(self.digits, 16)
        self.digits = f"{bits | 1 << number:x}"
        return not bits >> number & 1

    def numbers(self) -> set[int]:
        """Return them."""
        digits = f"{int(self.digits, 16):b}"
        return {number for number, digit in enumerate(reversed(digits)) if digit == "1"}


@dataclass
class Book:
    """An account's state.

    Attributes:
        balance: What can be spent.
        change: What lies apart, now and then; small talk puts it there and back, and so shows if it comes into a critical section.
        reserved: By the number of a transfer: what is set aside for it.
        parts: By the name of a part of transfers: which of them it was done for.
        doubled: What was done a second time for the same transfer; the first few.
        disturbed: What was done on the ground of a balance that was another by then, though the account was locked; the first few.
        ear: For the small talk.
        ticks: How many delayed signals came.
        entries: How many reports the journal was sent.
    """

    balance: int = 0
    change: int = 0
    reserved: dict[str, int] = field(default_factory=dict)
    parts: dict[str, Marks] = field(default_factory=dict)
    doubled: list[str] = field(default_factory=list)
    disturbed: list[str] = field(default_factory=list)
    ear: Ear = field(default_factory=Ear)
    ticks: int = 0
    entries: int = 0

    @property
    def total(self) -> int:
        """All the money that is here."""
        return self.balance + self.change + sum(self.reserved.values())

    def fidget(self) -> None:
        """Put a coin aside, or back."""
        coin = -1 if self.change else min(self.balance, 1)
        self.balance -= coin
        self.change += coin

    def mark(self, part: str, number: int) -> None:
        """Note that a part of a transfer is done."""
        is_new = self.parts.setdefault(part, Marks()).add(number)
        if not is_new and len(self.doubled) < _KEPT:
            self.doubled.append(f"{part} of {number}")

    def expect(self, balance: int, number: int) -> None:
        """Note if the balance is not what a transfer saw before in the same critical section."""
        if balance != self.balance and len(self.disturbed) < _KEPT:
            self.disturbed.append(f"{number} saw {balance}, and there is {self.balance}")


class OverdrawnError(Exception):
    """There is not so much money."""


@registry.entity
class Account(Entity[Book]):
    """One of them; quick operations and some that take a moment."""

    def initial_state(self) -> Book:
        """Begin empty."""
        return Book()

    def total(self) -> int:
        """Return all the money that is here, without a change."""
        return self.state.total

    def balance(self) -> int:
        """Return what can be spent, without a change."""
        return self.state.balance

    def move(self, part: str, number: int, amount: int, seen: int | None = None) -> int:
        """Add money, or take some away, for a part of a transfer. Refused at the very end, so that there is something to undo."""
        book = self.state
        if seen is not None:
            book.expect(seen, number)
        book.mark(part, number)
        book.balance += amount
        book.entries += 1
        sender = self.context.entity_id.key
        self.context.signal_entity(Journal.entity_id(JOURNAL), Journal.enter, sender, book.entries)
        if book.balance < 0:
            raise OverdrawnError(f"{book.balance} after {part} of {number}")
        return book.balance

    async def reserve(self, number: int, amount: int, seen: int) -> None:
        """Set money aside for a transfer."""
        self.state.expect(seen, number)
        self.state.mark("reserve", number)
        self.state.balance -= amount
        await asyncio.sleep(random.uniform(0.0, 0.01))
        self.state.reserved[str(number)] = amount
        if self.state.balance < 0:
            raise OverdrawnError(f"{self.state.balance} after reserve of {number}")

    async def settle(self, number: int) -> int:
        """Give away what was set aside; returns how much that was."""
        self.state.mark("settle", number)
        await asyncio.sleep(random.uniform(0.0, 0.01))
        return self.state.reserved.pop(str(number))

    def note(self, sender: str, number: int) -> int:
        """Take part in the small talk."""
        self.state.ear.hear(sender, number)
        self.state.fidget()
        return number

    def tick(self) -> None:
        """Count a delayed signal."""
        self.state.ticks += 1
        self.state.fidget()


@registry.entity
class Journal(Entity[Ear]):
    """Hears of every movement of money, from the accounts."""

    def initial_state(self) -> Ear:
        """Begin empty."""
        return Ear()

    def enter(self, account: str, number: int) -> None:
        """Take in a report."""
        self.state.hear(account, number)
