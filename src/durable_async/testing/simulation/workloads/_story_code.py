"""What the stories run: orchestrators, activities and entities, as small as each can be."""

from __future__ import annotations

import asyncio

from durable_async._engine.activity import activity_context
from durable_async._kernel.context import OrchestrationContext
from durable_async._kernel.entities.authoring import Entity
from durable_async.model.identity import EntityId
from durable_async.model.policy import RetryPolicy
from durable_async.registry import Registry
from durable_async.testing.simulation.stage import current_stage

registry = Registry()


class NotYetError(Exception):
    """What an activity says whose time has not come."""


@registry.activity(name="stories.note")
async def note(key: str, value: int) -> int:
    """Write something down outside, and return it."""
    current_stage().ledger.write(key, activity_context().attempt, value=value)
    return value


@registry.activity(
    name="stories.third_time", retry=RetryPolicy(max_attempts=3, first_delay=0.2, backoff=1.0)
)
async def third_time(key: str) -> int:
    """Succeed at the third attempt."""
    attempt = activity_context().attempt
    current_stage().ledger.write(key, attempt)
    if attempt < 3:
        raise NotYetError
    return attempt


@registry.activity(name="stories.once_mended")
async def once_mended(key: str) -> int:
    """Succeed once a client has mended what is broken."""
    if not current_stage().ledger.of(f"{key} mended"):
        raise NotYetError
    return 7


@registry.orchestrator(name="stories.chain")
async def chain(ctx: OrchestrationContext, size: int) -> list[int]:
    """Do one thing after the other."""
    return [await ctx.call_activity(note, f"{ctx.instance_id} {n}", n) for n in range(size)]


@registry.orchestrator(name="stories.fan")
async def fan(ctx: OrchestrationContext, size: int) -> int:
    """Do many things at the same time."""
    calls = [ctx.call_activity(note, f"{ctx.instance_id} {n}", n) for n in range(size)]
    return sum(await asyncio.gather(*calls))


@registry.orchestrator(name="stories.sleep")
async def sleep(ctx: OrchestrationContext, seconds: float) -> str:
    """Wait for a while."""
    await ctx.create_timer(seconds)
    return "awake"


@registry.orchestrator(name="stories.listen")
async def listen(ctx: OrchestrationContext, seconds: float) -> str:
    """Wait for an event, but not for ever."""
    try:
        async with asyncio.timeout(seconds):
            return await ctx.wait_for_external_event("word", str)
    except TimeoutError:
        return "silence"


@registry.orchestrator(name="stories.collect")
async def collect(ctx: OrchestrationContext, heard: list[int]) -> list[int]:
    """Take three numbers, one an execution."""
    heard.append(await ctx.wait_for_external_event("number", int))
    if len(heard) < 3:
        ctx.continue_as_new(heard)
    return heard


@registry.orchestrator(name="stories.parent")
async def parent(ctx: OrchestrationContext, size: int) -> list[int]:
    """Let a child do it."""
    return await ctx.call_sub_orchestrator(chain, size)


@registry.orchestrator(name="stories.persevere")
async def persevere(ctx: OrchestrationContext, data: None) -> int:
    """Try until it works."""
    return await ctx.call_activity(third_time, ctx.instance_id)


@registry.orchestrator(name="stories.break_down")
async def break_down(ctx: OrchestrationContext, data: None) -> int:
    """Fail, until somebody mends it."""
    first = await ctx.call_activity(note, f"{ctx.instance_id} first", 1)
    return first + await ctx.call_activity(once_mended, ctx.instance_id)


@registry.orchestrator(name="stories.ask")
async def ask(ctx: OrchestrationContext, data: None) -> int:
    """Let an entity count to two, and tell another of it."""
    entity = EntityId("stories_counter", ctx.instance_id)
    await ctx.call_entity(entity, Counter.add, 1)
    ctx.signal_entity(entity, Counter.add, 1)
    return await ctx.call_entity(entity, Counter.read)


@registry.orchestrator(name="stories.move")
async def move(ctx: OrchestrationContext, amount: int) -> list[int]:
    """Take from one and give to another, with both locked."""
    giver = EntityId("stories_counter", f"{ctx.instance_id} giver")
    taker = EntityId("stories_counter", f"{ctx.instance_id} taker")
    async with ctx.lock_entities([giver, taker]):
        taken = await ctx.call_entity(giver, Counter.add, -amount)
        given = await ctx.call_entity(taker, Counter.add, amount)
    return [taken, given]


@registry.orchestrator(name="stories.report")
async def report(ctx: OrchestrationContext, size: int) -> int:
    """Say how far it has come, and end."""
    for number in range(size):
        ctx.set_custom_status(number)
        await ctx.create_timer(0.2)
    return size


@registry.orchestrator(name="stories.tell")
async def tell(ctx: OrchestrationContext, listener: str) -> str:
    """Send a word to somebody who listens."""
    ctx.send_event(listener, "word", "told")
    return "done"


@registry.entity(name="stories_counter")
class Counter(Entity[int]):
    """Counts."""

    def initial_state(self) -> int:
        """Begin at nothing."""
        return 0

    def add(self, amount: int) -> int:
        """Add an amount, and return the sum."""
        self.state += amount
        return self.state

    def read(self) -> int:
        """Return the sum."""
        return self.state

    def commission(self, instance_id: str) -> str:
        """Let an orchestration begin."""
        return self.context.start_orchestration(chain, 2, instance_id=instance_id)
