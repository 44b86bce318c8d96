"""Cells: entities that hold a number and note what they did in each of their lives; and what must be true of all that was told of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from durable_async import EntityContext, EntityId
from durable_async.testing.simulation.linearizability import (
    UNHEARD,
    Call,
    Refusal,
    check_linearizable,
)
from durable_async.testing.simulation.violations import Violation

from ._witness import RefusedError, Told

ABSENT = "absent"
SPOILT = "spoilt"

LATER_SECONDS = 0.4
"""So much later is done what is postponed."""

FRIENDS = ("@life_cell@a", "@life_lazy@a")
"""Whom cells pass things on to."""


class Asked(msgspec.Struct):
    """What an operation is given: its id, and a number."""

    id: str
    value: int = 0


class Note(msgspec.Struct):
    """An operation that took effect, and when, by the clock of the store."""

    id: str
    at_us: int


class Life(msgspec.Struct):
    """A cell's state: its number, and what it did since it came into being."""

    value: int | None = None
    noted: list[Note] = msgspec.field(default_factory=list)


def perform(ctx: EntityContext, asked: Asked) -> Told:
    """Carry out an operation of a cell."""
    life = ctx.get_state(Life, None) or Life()
    place, before = len(life.noted), life.value
    if ctx.operation == "add" and before is None:
        raise RefusedError(asked.id, place, ABSENT)
    life.value, answer = _changed(ctx.operation, before, asked.value)
    life.noted.append(Note(asked.id, round(ctx.now().timestamp() * 1e6)))
    ctx.set_state(life)
    _have_effects(ctx, asked, life)
    if ctx.operation == "spoil":
        raise RefusedError(asked.id, place, SPOILT)
    return Told(asked.id, place + 1, answer)


def _changed(operation: str, before: int | None, value: int) -> tuple[int | None, int | None]:
    match operation:
        case "set" | "spoil":
            return value, before
        case "add":
            return (before or 0) + value, (before or 0) + value
        case _:
            return before, before


def _have_effects(ctx: EntityContext, asked: Asked, life: Life) -> None:
    """Do what an operation does beside changing the number; one that spoils everything does all of it."""
    everything = ctx.operation == "spoil"
    if everything or ctx.operation == "beget":
        ctx.start_orchestration("life_child", asked.id, instance_id=child_of(asked.id))
    if everything or ctx.operation == "pass_on":
        friend = EntityId.parse(friend_of(asked.value))
        ctx.signal_entity(friend, "set", Asked(f"{asked.id}>", asked.value))
    if everything or ctx.operation == "postpone":
        postponed = Asked(f"{asked.id}~", asked.value)
        ctx.signal_entity(ctx.entity_id, "set", postponed, at=LATER_SECONDS)
    if everything or ctx.operation == "bury":
        ctx.signal_entity(cemetery_of(ctx.entity_id), "bury", life.noted)
        ctx.delete_state()


def child_of(id: str) -> str:
    """Return the instance that a cell starts."""
    return f"life-{id}"


def friend_of(value: int) -> str:
    """Return the cell that something is passed on to."""
    return FRIENDS[value % len(FRIENDS)]


def cemetery_of(cell: EntityId) -> EntityId:
    """Return where the notes of a cell's former lives are."""
    return EntityId("life_cemetery", f"{cell.name}.{cell.key}")


# -- what must be true


def cell(value: int | None, operation: str, given: int) -> tuple[int | None, Any]:
    """Say what a cell does."""
    match operation:
        case "add" if value is None:
            return None, Refusal(ABSENT)
        case "spoil":
            return value, Refusal(SPOILT)
        case "bury":
            return None, value
        case _:
            return _changed(operation, value, given)


class Cells:
    """All that was asked of cells, to be held against what they noted in all their lives.

    Attributes:
        calls: By cell.
        due_us: By operation, when it was due at the earliest, by the clock of the store.
    """

    def __init__(self) -> None:
        self.calls: dict[str, list[Call]] = {}
        self.due_us: dict[str, int] = {}

    def check(
        self, lives: Mapping[str, Sequence[Sequence[Note]]], values: Mapping[str, Any]
    ) -> None:
        """Hold everybody to what the cells noted.

        Args:
            lives: Per cell, the notes of its lives in order; those of its present one last, which are none if it is not there.
            values: Per cell, its number now.

        Raises:
            Violation: An operation is lost, doubled or made up (I7), nothing explains what was told (I8), or one was early (I13).
        """
        for where, all_lives in lives.items():
            self._follow(where, [note for life in all_lives for note in life])
        for where in sorted({*lives, *self.calls}):
            all_lives = lives.get(where, ())
            calls = self.calls.get(where, [])
            _place(calls, all_lives)
            noted = [note.id for life in all_lives for note in life]
            last = Call("the end", "get", 0, values.get(where), len(noted), is_look=True)
            check_linearizable(where, [*calls, last], noted, cell, None)

    def _follow(self, where: str, notes: Sequence[Note]) -> None:
        """Expect what a cell had done elsewhere or later, and look at the time."""
        known = {call.id: call for call in self.calls.get(where, ())}
        former: dict[str, tuple[Call, ...]] = {}
        for note in notes:
            if note.at_us < self.due_us.get(note.id, 0):
                raise Violation("I13", "an operation was early", where=where, note=note)
            call = known.get(note.id)
            if call is None:
                continue
            if call.operation == "postpone":
                self.due_us[f"{note.id}~"] = note.at_us + round(LATER_SECONDS * 1e6)
                self._expect(where, f"{note.id}~", call)
            elif call.operation == "pass_on":
                friend = friend_of(call.argument)
                passed = self._expect(friend, f"{note.id}>", call)
                passed.after = former.get(friend, ())
                former[friend] = (passed,)

    def _expect(self, where: str, id: str, cause: Call) -> Call:
        call = Call(id, "set", cause.argument, begun=cause.begun)
        self.calls.setdefault(where, []).append(call)
        return call


def _place(calls: Sequence[Call], lives: Sequence[Sequence[Note]]) -> None:
    """Say where calls stand in all lives together; they were told where in one life, which for those that took no effect is not known."""
    offsets = dict(_offsets(lives))
    for call in calls:
        if call.place is not None and call.answer is not UNHEARD:
            call.place = call.place + offsets[call.id] if call.id in offsets else None


def _offsets(lives: Sequence[Sequence[Note]]) -> Iterator[tuple[str, int]]:
    before = 0
    for life in lives:
        for note in life:
            yield note.id, before
        before += len(life)
