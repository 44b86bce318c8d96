"""Poison: orchestrations, activities and operations that do what they must not, and rows that are damaged, each among sound neighbours.

Each must be parked or fail with its own documented reason, after a bounded number of attempts, while its neighbours, which were started in
the same commit, end well and on time. Once the faults are over everything is mended and put back, and must end well, too.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, ClassVar

import anyio

from durable_async import (
    Client,
    EntityId,
    EntityOperationFailedError,
    FailureDetails,
    Registry,
    TaskHub,
    WaitTimeoutError,
)
from durable_async.model.history import EventRaised
from durable_async.model.records import Outgoing
from durable_async.serialization.events import encode_letter
from durable_async.testing.simulation.plan import Action
from durable_async.testing.simulation.stage import Stage
from durable_async.testing.simulation.violations import Violation

from . import _damage
from ._damage import Spot
from ._orders import End, Orders
from ._poisons import (
    CALLS_MAX,
    FOREIGN,
    REFUSED,
    Box,
    Case,
    caller,
    diverging,
    failing,
    lethal,
    mend,
    neighbour,
    registry,
    restless,
    typed,
    victim,
)
from ._verdicts import BEGINNINGS_MAX, NOT_RUN, check_begun, check_end, check_reason
from ._workload import Workload

SECONDS = 6.0
"""Within so long clients ask for everything."""

PATIENCE_SECONDS = 400.0
"""Within so long after the last fault everything is parked that will be."""

MENDED_SECONDS = 120.0
"""Within so long what was mended ends."""

NEIGHBOURS_SECONDS = 120.0
"""So long a neighbour takes at most, with all the faults that may strike on the way."""

NEVER_CAME = "its worker never came through"

QUIET_SECONDS = 5.0
"""So long parked code is watched."""

CODE: dict[str, Any] = {
    "lethal": lethal,
    "box": caller,
    "diverging": diverging,
    "restless": restless,
    "failing": failing,
    "damaged": victim,
}


@dataclass(eq=False)
class Patient:
    """An instance that is poisoned.

    Attributes:
        id: The instance, or the entity.
        kind: What is wrong with it.
        reason: Why it was parked, if it was.
        spot: What was damaged, if anything was.
        damaged: What is there now.
        sound: What had been there.
        is_flipped: Whether one bit was flipped, which may show in nothing but a value.
        asked: What its entity was to be given besides, and
        notes: what of that was acknowledged.
    """

    id: str
    kind: str
    reason: str | None = None
    spot: Spot | None = None
    damaged: bytes = b""
    sound: bytes = b""
    is_flipped: bool = False
    asked: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    end: End | None = None


class Poison(Workload):
    """Poisoned instances, and their neighbours."""

    name: ClassVar[str] = "poison"
    registry: ClassVar[Registry] = registry
    is_alone: ClassVar[bool] = True
    settings: ClassVar[dict[str, Any]] = {
        "attempts_max": 5,
        "instances_max": 4,
        "turn_calls_max": CALLS_MAX,
        "unregistered_grace_seconds": 5.0,
    }

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._neighbours = Orders(stage)
        self._patients: list[Patient] = []

    # -- what clients do

    @classmethod
    def draw(cls, chance: random.Random) -> list[Action]:
        """Draw a few poisons, each with its neighbours."""
        actions: list[Action] = []
        for number in range(chance.randint(2, 4)):
            kind = chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
            given = {
                "id": f"poison-{number}",
                "kind": kind,
                "way": chance.choice(["flip", "truncate", "junk"]),
                "after": chance.choice([0.0, 0.5, 1.5, 2.5]),
                "neighbours": chance.randint(1, 3),
            }
            if kind.startswith("box"):
                given["notes"] = chance.choice([1, 1, 2, 5])
            at = round(chance.uniform(0, SECONDS), 3)
            actions.append(Action(at, chance.randint(1, 2), cls.name, "poison", given))
        return actions

    async def act(self, action: Action, client: Client) -> None:
        """Start one, with its neighbours in the same commit, and do it harm."""
        given = action.args
        is_box = given["kind"] == "damaged state"
        id = str(Box.entity_id(given["id"])) if is_box else given["id"]
        patient = Patient(id, given["kind"])
        patient.is_flipped = given["way"] == "flip" and patient.kind.startswith("damaged")
        self._patients.append(patient)
        async with anyio.create_task_group() as group:
            group.start_soon(self._poison, client, patient, given)
            for number in range(given["neighbours"]):
                beside = f"{given['id']}-neighbour-{number}"
                group.start_soon(self._neighbours.carry_out, client, neighbour, beside, beside)

    async def _poison(self, client: Client, patient: Patient, given: dict[str, Any]) -> None:
        family, _, part = patient.kind.partition(" ")
        way, after = given["way"], given["after"]
        match family:
            case "typed":
                await self._start_typed(client, patient.id, part)
            case "damaged" if part == "state":
                await self._fill(client, patient)
                await anyio.sleep(after)
                self._damage(patient, "state", way)
                await self._fill(client, patient)
            case "damaged":
                await self._start(client, CODE[family], patient.id, Case(patient.id, part))
                await anyio.sleep(after)
                if part == "letter":
                    await self._send_junk(client, patient, way)
                else:
                    self._damage(patient, "history", way)
            case "box":
                for number in range(given.get("notes", 1)):
                    await self._note(client, patient.id, f"before {number}")
                await self._start(client, CODE[family], patient.id, Case(patient.id, part))
                await self._note(client, patient.id, "after")
            case _:
                await self._start(client, CODE[family], patient.id, Case(patient.id, part))

    async def _start(
        self, client: Client, code: Any, id: str, given: Any, version: str | None = None
    ) -> None:
        request = self.stage.new_id()
        await self.stage.persist(
            lambda: client.start(code, given, instance_id=id, version=version, request_id=request)
        )

    async def _start_typed(self, client: Client, id: str, part: str) -> None:
        match part:
            case "undecodable":
                await self._start(client, typed.name, id, "this is no case")
            case "refused":
                await self._start(client, typed, id, Case(id), REFUSED)
            case "foreign":
                await self._start(client, typed, id, Case(id), FOREIGN)
            case "nobody":
                await self._start(client, "poison_nobody", id, Case(id))
            case _:
                await self._start(client, typed, id, Case(id))

    async def _note(self, client: Client, id: str, text: str) -> None:
        """Let a box keep a text, without waiting for that."""
        handle = client.entity(Box.entity_id(id), request_id=self.stage.new_id())
        await self.stage.persist(lambda: handle.signal(Box.note, text))

    async def _fill(self, client: Client, patient: Patient) -> None:
        text = f"text {len(patient.asked)}"
        patient.asked.append(text)
        await self._note(client, EntityId.parse(patient.id).key, text)
        patient.notes.append(text)

    def _damage(self, patient: Patient, kind: _damage.Kind, way: str) -> None:
        """Damage a row of an instance, if there is any."""
        chance = self.stage.chance("damage")
        found = _damage.spots(self.stage.store, patient.id, kind)
        if not found:
            return
        spot = chance.choice(found)
        sound = _damage.read(self.stage.store, spot)
        if sound:
            self.stage.excuse(patient.id)
            patient.spot, patient.sound = spot, sound
            patient.damaged = _damage.spoil(sound, way, chance)
            if kind == "state" and patient.damaged == _damage.EMPTY:
                patient.is_flipped = True  # it can be read, as that of an entity that holds nothing
            _damage.write(self.stage.store, spot, patient.damaged)

    async def _send_junk(self, client: Client, patient: Patient, way: str) -> None:
        """Let a letter arrive that nobody can read."""
        patient.sound = encode_letter(EventRaised("mended", b"null"))
        letter = _damage.spoil(patient.sound, way, self.stage.chance("damage"))
        outgoing = Outgoing(
            instance_id=patient.id, execution=None, letter=letter, request_id=self.stage.new_id()
        )
        self.stage.excuse(patient.id)
        await self.stage.persist(lambda: client._backend.send([outgoing]))

    # -- when the faults are over

    async def wind_up(self, client: Client) -> None:
        """Wait until everything is parked that will be; then mend everything, and put it back."""
        there = [one for one in self._patients if await self._is_there(client, one)]
        for patient in there:
            await self._wait(client, patient)
        begun = {one.id: self._begun(one) for one in there}
        await anyio.sleep(QUIET_SECONDS)
        for patient in there:
            if patient.kind not in ("diverging", "damaged history"):
                later = self._begun(patient)
                check_begun(patient.id, patient.kind, begun[patient.id], later, self._hand_backs())
            if not await self._has_failed(client, patient):
                check_reason(
                    patient.id, patient.kind, patient.reason, is_flipped=patient.is_flipped
                )
        for patient in there:
            await self._mend(client, patient)
        for patient in there:
            await self._wait_for_end(client, patient)

    async def _is_there(self, client: Client, patient: Patient) -> bool:
        if patient.kind == "damaged state":
            return await client.get_entity(EntityId.parse(patient.id)) is not None
        return await client.get(patient.id, payloads=False) is not None

    async def _has_failed(self, client: Client, patient: Patient) -> bool:
        """Tell whether it had its activity in the queue: of that, its caller is told, and need not be parked."""
        if patient.kind != "lethal activity" or patient.reason is not None:
            return False
        state = await client.get(patient.id)
        return state is not None and _is_told(state.failure)

    def _begun(self, patient: Patient) -> int:
        return len(self.stage.ledger.of(f"begun {patient.id}"))

    def _hand_backs(self) -> int:
        """Return how often claims may have been taken back, which count for nothing: by workers that stop, and where answers were lost."""
        plan = self.stage.plan
        stops = sum(1 for strike in plan.strikes if strike.kind in ("stop", "cancel"))
        loses_answers = plan.losses or plan.profile.after or plan.profile.late
        return stops + (BEGINNINGS_MAX if loses_answers else 0)

    async def _wait(self, client: Client, patient: Patient) -> None:
        """Wait until an instance has ended or is parked."""
        if patient.kind in NOT_RUN:
            return
        with anyio.move_on_after(PATIENCE_SECONDS):
            while not await self._is_done(client, patient):  # noqa: ASYNC110 - parking is told nobody
                await anyio.sleep(0.5)

    async def _is_done(self, client: Client, patient: Patient) -> bool:
        if patient.kind == "damaged state":
            found = await client.get_entity(EntityId.parse(patient.id))
            patient.reason = None if found is None else found.parked
            (record,) = await client._backend.read_entities([patient.id])
            return record is None or record.parked is not None or not record.letters
        state = await client.get(patient.id, payloads=False)
        patient.reason = None if state is None else state.parked
        return state is None or state.is_ended or state.parked is not None

    async def _mend(self, client: Client, patient: Patient) -> None:
        mend(patient.id)
        if patient.kind in NOT_RUN:
            await client.terminate(patient.id)
        elif patient.kind.startswith("box"):
            await client.retry_parked_operations(Box.entity_id(patient.id))
        self._repair(patient)
        if patient.reason is not None:
            is_entity = patient.kind == "damaged state"
            if not await client.unpark(EntityId.parse(patient.id) if is_entity else patient.id):
                raise Violation("I17", "it was parked, and cannot be put back", where=patient.id)

    def _repair(self, patient: Patient) -> None:
        """Put back what was there before it was damaged."""
        store = self.stage.store
        if patient.kind == "damaged letter":
            for spot in _damage.spots(store, patient.id, "letter"):
                _damage.write(store, spot, patient.sound)
        elif patient.spot is not None:
            _damage.restore(store, patient.spot, patient.damaged, patient.sound)

    async def _wait_for_end(self, client: Client, patient: Patient) -> None:
        if patient.kind == "damaged state":
            return
        try:
            state = await client.wait_for_end(patient.id, timeout=MENDED_SECONDS)
        except WaitTimeoutError:
            if not patient.is_flipped:
                return
            await client.terminate(patient.id)  # a flipped bit may have put off a timer for ever
            state = await client.wait_for_end(patient.id, timeout=MENDED_SECONDS)
        patient.end = End(state.status, state.output(), state.failure)

    # -- afterwards

    async def check(self, hub: TaskHub) -> None:
        """Look at neighbours, and at what became of the poisoned."""
        await self._neighbours.settle(hub)
        for order in self._neighbours:
            await self._check_neighbour(hub, order.id)
        for patient in self._patients:
            if not await self._is_there(hub.client, patient):
                continue
            if patient.kind == "damaged state":
                await self._check_box(hub, patient)
            elif patient.end is None or not _is_told(patient.end.failure):
                check_end(patient.id, patient.kind, patient.end, is_flipped=patient.is_flipped)
            if patient.kind.startswith("box"):
                await self._check_retried(hub, patient)

    async def _check_neighbour(self, hub: TaskHub, id: str) -> None:
        state = await hub.client.get(id)
        if state is None:
            return
        if state.output() != ["a", id]:
            what = "a neighbour did not end well"
            raise Violation("I17", what, where=id, state=state, failure=state.failure)
        assert state.completed_at is not None
        seconds = (state.completed_at - state.created_at).total_seconds()
        if seconds > NEIGHBOURS_SECONDS:
            raise Violation("I17", "a neighbour had to wait", where=id, seconds=seconds)

    async def _check_box(self, hub: TaskHub, patient: Patient) -> None:
        """Check that a box whose snapshot was damaged goes on with all that it was given."""
        box = EntityId.parse(patient.id)
        found = await hub.client.get_entity(box)
        if found is not None and found.parked is not None:
            # By who had read it before it was mended.
            check_reason(patient.id, patient.kind, found.parked, is_flipped=patient.is_flipped)
            await hub.client.unpark(box)
        try:
            kept = await hub.client.entity(box, timeout=MENDED_SECONDS).call(Box.note, "last")
        except EntityOperationFailedError as error:
            if patient.is_flipped and error.failure.error_type.endswith(".DecodeError"):
                return  # the bit is in the state's value, and a worker keeps warm what it read
            raise
        given = [one for one in patient.asked if one in patient.notes or one in kept]
        if kept != [*given, "last"] and not patient.is_flipped:
            what = "an entity is not what it was before it was damaged"
            raise Violation("I7", what, where=patient.id, kept=kept, given=given)

    async def _check_retried(self, hub: TaskHub, patient: Patient) -> None:
        """Check that what was parked in an entity's line was carried out once, when it was put back."""
        found = await hub.client.get_entity(Box.entity_id(patient.id), list[str])
        kept = (found and found.state) or []
        if found is None or found.parked_operations or kept.count(patient.id) != 1:
            what = "a parked operation was not carried out when it was put back"
            raise Violation("I7", what, where=patient.id, kept=kept)


def _is_told(failure: FailureDetails | None) -> bool:
    return failure is not None and NEVER_CAME in failure.message


_WEIGHTS = {
    "lethal code": 4,
    "lethal activity": 4,
    "box swallow": 3,
    "box sip": 3,
    "diverging": 6,
    "restless spin": 0.3,
    "restless stall": 2,
    "restless forbidden": 2,
    "restless crowd": 2,
    "failing oversize result": 1,
    "failing undecodable input": 2,
    "failing unregistered": 2,
    "typed oversize output": 1,
    "typed undecodable": 2,
    "typed refused": 2,
    "typed foreign": 2,
    "typed nobody": 2,
    "damaged history": 8,
    "damaged letter": 4,
    "damaged state": 6,
}
"""How often each is drawn; what costs a second of computing is rare."""

__all__ = ("Poison",)
