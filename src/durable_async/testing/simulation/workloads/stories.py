"""Stories: one feature each, told by a client from its beginning to its end. The crash sweep goes through all of them.

A story can be told again: each call carries a request id that is the same every time, and what has been done is left alone.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, ClassVar

import anyio

from durable_async.client import Client
from durable_async.errors import InstanceNotFoundError, InvalidTransitionError
from durable_async.hub import TaskHub
from durable_async.model.identity import EntityId
from durable_async.model.policy import ReusePolicy
from durable_async.model.status import Status
from durable_async.registry import Registry
from durable_async.testing.loop import NODE
from durable_async.testing.simulation.plan import Action
from durable_async.testing.simulation.stage import Stage
from durable_async.testing.simulation.violations import StuckError, Violation

from . import _story_code as code
from ._workload import Workload

END_SECONDS = 300.0


class Teller:
    """A client, a story's id, and what every story needs of them."""

    def __init__(self, stage: Stage, client: Client, name: str) -> None:
        self.stage = stage
        self.client = client
        self.id = name

    async def start(
        self, orchestrator: Any, given: Any = None, *, suffix: str = "", **options: Any
    ) -> str:
        """Start an orchestration, once."""
        request = f"{self.id}{suffix} {options.get('reuse', '')} start"
        await self.stage.persist(
            lambda: self.client.start(
                orchestrator, given, instance_id=self.id + suffix, request_id=request, **options
            )
        )
        return self.id + suffix

    async def tell(self, name: str, payload: Any, number: int = 0) -> None:
        """Raise an event, once."""
        request = f"{self.id} event {name} {number}"
        await self.stage.persist(
            lambda: self.client.raise_event(self.id, name, payload, request_id=request)
        )

    async def steer(self, call: Callable[[], Awaitable[Any]]) -> bool:
        """Suspend, resume, terminate or the like; tells whether there was something that it could be done to."""
        try:
            await self.stage.persist(call, repeats=False)
        except (InvalidTransitionError, InstanceNotFoundError):
            return False
        return True

    async def end(self, suffix: str = "") -> Any:
        """Wait for the end of an orchestration, and return its state."""
        return await self.stage.persist(
            lambda: self.client.wait_for_end(self.id + suffix, timeout=END_SECONDS), repeats=False
        )

    async def ends_with(self, output: Any, suffix: str = "") -> None:
        """See an orchestration complete, with this output."""
        state = await self.end(suffix)
        told = state.output() if state.status is Status.COMPLETED else state.failure
        self.expect((state.status, told), (Status.COMPLETED, output))

    def expect(self, found: Any, wanted: Any) -> None:
        """Say that it went wrong, unless it went as it should."""
        if found != wanted:
            raise Violation(
                "I1", "a story took a wrong turn", where=self.id, found=found, wanted=wanted
            )


Story = Callable[[Teller], Awaitable[None]]


async def chain(teller: Teller) -> None:
    """One activity after the other."""
    await teller.start(code.chain, 3)
    await teller.ends_with([0, 1, 2])


async def fan(teller: Teller) -> None:
    """Many activities at the same time."""
    await teller.start(code.fan, 5)
    await teller.ends_with(10)


async def timer(teller: Teller) -> None:
    """A timer."""
    await teller.start(code.sleep, 1.0)
    await teller.ends_with("awake")


async def event(teller: Teller) -> None:
    """An event that comes in time."""
    await teller.start(code.listen, 120.0)
    await teller.tell("word", "hello")
    await teller.ends_with("hello")


async def silence(teller: Teller) -> None:
    """An event that never comes."""
    await teller.start(code.listen, 1.0)
    await teller.ends_with("silence")


async def stream(teller: Teller) -> None:
    """Events through continue-as-new."""
    await teller.start(code.collect, [])
    for number in range(3):
        await teller.tell("number", number, number)
    await teller.ends_with([0, 1, 2])


async def child(teller: Teller) -> None:
    """An orchestration of an orchestration."""
    await teller.start(code.parent, 2)
    await teller.ends_with([0, 1])


async def retry(teller: Teller) -> None:
    """An activity that succeeds at its third attempt."""
    await teller.start(code.persevere)
    await teller.ends_with(3)


async def entity(teller: Teller) -> None:
    """An orchestration that calls an entity and signals it."""
    await teller.start(code.ask)
    await teller.ends_with(2)


async def signal(teller: Teller) -> None:
    """A client that signals an entity, and calls it."""
    counter = EntityId("stories_counter", teller.id)
    client, persist = teller.client, teller.stage.persist
    for number in range(3):
        await persist(
            partial(
                client.signal_entity, counter, "add", 2, request_id=f"{teller.id} signal {number}"
            )
        )
    request = f"{teller.id} read"
    found = await persist(
        lambda: client.call_entity(
            counter, "read", result_type=int, timeout=END_SECONDS, request_id=request
        )
    )
    teller.expect(found, 6)


async def later(teller: Teller) -> None:
    """A signal that is due later."""
    counter = EntityId("stories_counter", teller.id)
    client, persist = teller.client, teller.stage.persist
    request = f"{teller.id} later"
    await persist(lambda: client.signal_entity(counter, "add", 5, at=1.0, request_id=request))
    for _ in range(100):
        state = await persist(lambda: client.get_entity(counter, int), repeats=False)
        if state is not None and state.state == 5:
            return
        await anyio.sleep(1.0)
    raise StuckError("a signal that is due does not come", where=teller.id)


async def locks(teller: Teller) -> None:
    """Two entities, locked."""
    await teller.start(code.move, 4)
    await teller.ends_with([-4, 4])


async def pause(teller: Teller) -> None:
    """Suspend and resume."""
    await teller.start(code.report, 4)
    if await teller.steer(lambda: teller.client.suspend(teller.id)):
        await anyio.sleep(0.5)
    await teller.steer(lambda: teller.client.resume(teller.id))
    await teller.ends_with(4)


async def terminate(teller: Teller) -> None:
    """Terminate what waits, with its child."""
    await teller.start(code.listen, 100_000.0)
    await teller.steer(lambda: teller.client.terminate(teller.id, "enough"))
    state = await teller.end()
    teller.expect((state.status, state.output()), (Status.TERMINATED, "enough"))


async def replace(teller: Teller) -> None:
    """Replace what runs by another under the same id."""
    await teller.start(code.listen, 100_000.0)
    await teller.start(code.chain, 2, reuse=ReusePolicy.REPLACE)
    await teller.ends_with([0, 1])


async def purge(teller: Teller) -> None:
    """Delete what has ended, and begin again under its id."""
    if not teller.stage.ledger.of(f"{teller.id} purged"):
        await teller.start(code.chain, 1)
        with contextlib.suppress(InstanceNotFoundError):  # whoever purged it may be gone, too
            await teller.end()
        await teller.steer(lambda: teller.client.purge(teller.id))
        teller.stage.ledger.write(f"{teller.id} purged")
    await teller.start(code.chain, 2, reuse=ReusePolicy.REPLACE_TERMINAL)
    await teller.ends_with([0, 1])


async def rewind(teller: Teller) -> None:
    """Let what failed go on once it is mended."""
    await teller.start(code.break_down)
    if not teller.stage.ledger.of(f"{teller.id} mended"):
        state = await teller.end()
        teller.expect(state.status, Status.FAILED)
        teller.stage.ledger.write(f"{teller.id} mended")
    while (await teller.end()).status is Status.FAILED:
        await teller.steer(lambda: teller.client.rewind(teller.id))
    await teller.ends_with(8)


async def word(teller: Teller) -> None:
    """An orchestration that sends an event to another."""
    await teller.start(code.listen, 120.0)
    await teller.start(code.tell, teller.id, suffix="-speaker")
    await teller.ends_with("told")
    await teller.ends_with("done", "-speaker")


async def delay(teller: Teller) -> None:
    """A start that is due later."""
    await teller.start(code.chain, 1, start_at=1.0)
    await teller.ends_with([0])


async def commission(teller: Teller) -> None:
    """An entity that starts an orchestration."""
    counter = EntityId("stories_counter", teller.id)
    client, request = teller.client, f"{teller.id} commission"
    await teller.stage.persist(
        lambda: client.call_entity(
            counter, "commission", f"{teller.id}-work", timeout=END_SECONDS, request_id=request
        )
    )
    await teller.ends_with([0, 1], "-work")


STORIES: dict[str, Story] = {
    story.__name__: story
    for story in (
        chain, fan, timer, event, silence, stream, child, retry, entity, signal, later, locks, pause, terminate, replace, purge,
        rewind, word, delay, commission,
    )
}  # fmt: skip
"""All stories by name."""


class Stories(Workload):
    """Clients tell stories, each to its end unless they are killed meanwhile."""

    name: ClassVar[str] = "stories"
    registry: ClassVar[Registry] = code.registry

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._ended: dict[str, None] = {}
        self._tellers: dict[str, str | None] = {}

    @classmethod
    def draw(cls, chance: random.Random) -> list[Action]:
        """Draw which stories are told when."""
        return [
            Action(
                round(chance.uniform(0.0, 10.0), 3),
                chance.randint(1, 3),
                cls.name,
                chance.choice(list(STORIES)),
                {"id": f"story-{number}"},
            )
            for number in range(chance.randint(3, 10))
        ]

    async def act(self, action: Action, client: Client) -> None:
        """Tell a story, unless it has been told, or is being told by this process."""
        name = action.args["id"]
        if name not in self._ended and self._tellers.get(name) != NODE.get():
            self._tellers[name] = NODE.get()
            await STORIES[action.kind](Teller(self.stage, client, name))
            self._ended[name] = None

    async def check(self, hub: TaskHub) -> None:
        """Nothing is left to look at: whoever tells a story sees how it ends."""
