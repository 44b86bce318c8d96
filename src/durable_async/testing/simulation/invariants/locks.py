"""I9 and I10: whoever holds a lock lives, nobody waits in a circle, and no lock outlives its holder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from durable_async.model.history import EntityLockRelease, EntityLockRequest, ParentLink
from durable_async.model.identity import ENTITY_MARK
from durable_async.serialization.events import decode_letter, decode_snapshot
from durable_async.testing.simulation.violations import Violation

from .rows import Change, Row, Rows

Section: TypeAlias = tuple[str, int, int]
"""A critical section: whose it is, in which execution, and the number of its request."""


def section_of(link: ParentLink) -> Section:
    """Return the section that a letter or a lock is about."""
    return (link.instance_id, link.execution, link.seq)


class Line:
    """Who has an entity, and who waits for it, in order.

    Attributes:
        holder: Who has it; nobody if its release lies in the mailbox.
        waiting: Requests that lie in the mailbox and were not withdrawn.
    """

    def __init__(self, entity: Row) -> None:
        self.entity_id = entity.instance_id
        lock = decode_snapshot(entity.instance_id, entity.state).lock
        self.holder = None if lock is None else section_of(lock.holder)
        requests: dict[Section, None] = {}
        for mail in entity.mailbox.values():
            letter = decode_letter(entity.instance_id, mail.letter)
            if isinstance(letter, EntityLockRequest):
                requests[section_of(letter.holder)] = None
            elif isinstance(letter, EntityLockRelease):
                over = section_of(letter.holder)
                requests.pop(over, None)
                if over == self.holder:
                    self.holder = None
        self.waiting = list(requests)

    def edges(self) -> Iterator[tuple[Section, Section]]:
        """Go through who waits for whom: each for all that stand before it."""
        before = [] if self.holder is None else [self.holder]
        for section in self.waiting:
            for other in before:
                yield section, other
            before.append(section)


class Locks:
    """The lines before all entities, as they were after the last call."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._lines: dict[str, Line] = {}

    def see(self, changes: Mapping[str, Change]) -> None:
        """Take in what a call has changed.

        Raises:
            Violation: An entity is locked for somebody who is gone, or some wait for each other.
        """
        for instance_id, change in changes.items():
            if instance_id.startswith(ENTITY_MARK):
                self._look(instance_id, change.after)
        if any(_has_ended(change) for change in changes.values()) or changes.keys() & self._lines:
            self._check_holders()
        if changes.keys() & self._lines:
            self._check_circles()

    def check_all_free(self) -> None:
        """See that no lock and no request has outlived its holder.

        Raises:
            Violation: One has.
        """
        for line in self._lines.values():
            holders = [] if line.holder is None else [line.holder]
            for section in (*holders, *line.waiting):
                if not self._is_alive(section):
                    raise Violation("I10", "a lock is left", where=line.entity_id, holder=section)

    def _look(self, entity_id: str, entity: Row | None) -> None:
        self._lines.pop(entity_id, None)
        if entity is not None:
            line = Line(entity)
            if line.holder is not None or line.waiting:
                self._lines[entity_id] = line

    def _check_holders(self) -> None:
        for line in self._lines.values():
            if line.holder is not None and not self._is_alive(line.holder):
                raise Violation(
                    "I9",
                    "locked for somebody who is gone",
                    where=line.entity_id,
                    holder=line.holder,
                )

    def _check_circles(self) -> None:
        waits: dict[Section, set[Section]] = {}
        for line in self._lines.values():
            for one, other in line.edges():
                waits.setdefault(one, set()).add(other)
        circle = _circle_in(waits)
        if circle:
            raise Violation("I9", "they wait for each other", where=str(circle[0]), circle=circle)

    def _is_alive(self, section: Section) -> bool:
        row = self._rows.get(section[0])
        return row is not None and row.execution == section[1] and not row.status.is_terminal


def _has_ended(change: Change) -> bool:
    before, after = change.before, change.after
    return before is not None and (
        after is None or after.execution != before.execution or after.status.is_terminal
    )


def _circle_in(waits: dict[Section, set[Section]]) -> list[Section]:
    """Find a circle by taking away, again and again, those who wait for nobody."""
    left = {one: set(others) for one, others in waits.items()}
    while True:
        free = [one for one, others in left.items() if not others & left.keys()]
        if not free:
            return sorted(left)
        for one in free:
            del left[one]
