"""An AI agent: a model decides, tools act, and a person allows what cannot be taken back.

Each answer, of the model, of a tool and of a person, is recorded: after a crash or a deployment the agent goes on where it was,
and asks for none of them again. The model here is a script; `think` is the place for yours.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from durable_async import (
    ActivityFailedError,
    OrchestrationContext,
    OrchestrationHandle,
    RetryPolicy,
    TaskHub,
    activity,
    orchestrator,
)


@dataclass
class ToolCall:
    id: str
    tool: str
    argument: str


@dataclass
class Message:
    role: str
    text: str = ""
    calls: list[ToolCall] = field(default_factory=list[ToolCall])


@activity
async def search(product: str) -> str:
    if product == "boat":
        raise LookupError("boats are sold out")
    return f"one {product} is left, for 240 euros"


@activity
async def buy(product: str) -> str:
    return f"bought a {product}"


TOOLS = {tool.name: tool for tool in (search, buy)}
FOR_A_PERSON_TO_ALLOW = {"buy"}

SCRIPT = [
    Message("assistant", calls=[ToolCall("1", "search", "desk"), ToolCall("2", "search", "boat")]),
    Message("assistant", calls=[ToolCall("3", "buy", "desk")]),
    Message("assistant", "There was no boat, but the desk is yours."),
]


@activity(retry=RetryPolicy(max_attempts=5, first_delay=1.0), start_to_close=120)
async def think(conversation: list[Message]) -> Message:
    answer = SCRIPT[sum(message.role == "assistant" for message in conversation)]
    print(f"the model answers: {answer.text or [call.tool for call in answer.calls]}")
    return answer


async def is_allowed(ctx: OrchestrationContext, call: ToolCall) -> bool:
    try:
        async with asyncio.timeout(24 * 3600):  # a durable timer
            return await ctx.wait_for_external_event(f"allow-{call.id}", bool)
    except TimeoutError:
        return False


async def use(ctx: OrchestrationContext, call: ToolCall) -> Message:
    if call.tool in FOR_A_PERSON_TO_ALLOW and not await is_allowed(ctx, call):
        return Message("tool", "nobody allowed it")
    try:
        return Message("tool", await ctx.call_activity(TOOLS[call.tool], call.argument))
    except ActivityFailedError as error:  # the model may know what to do instead
        return Message("tool", f"failed: {error.failure.message}")


@orchestrator
async def agent(ctx: OrchestrationContext, conversation: list[Message]) -> str:
    for _ in range(20):
        answer = await ctx.call_activity(think, conversation)
        if not answer.calls:
            return answer.text
        ctx.set_custom_status([call for call in answer.calls if call.tool in FOR_A_PERSON_TO_ALLOW])
        found = await asyncio.gather(*(use(ctx, call) for call in answer.calls))
        conversation += [answer, *found]
    # The history holds all that the model was ever given: begin a new one.
    ctx.continue_as_new(conversation)


async def first_question(hub: TaskHub, handle: OrchestrationHandle[str]) -> ToolCall:
    with hub.client.watch(handle) as watch:
        async for state in watch:
            for call in state.custom_status(list[ToolCall]) or ():
                return call
    raise LookupError("it ended, and asked nobody")


async def main() -> None:
    async with TaskHub.open("memory://") as hub:
        async with hub.worker():
            handle = await hub.client.start(agent, [Message("user", "I need a desk and a boat.")])
            call = await first_question(hub, handle)
            print(f"a person is asked: may it {call.tool} a {call.argument}?")
        # As after a deployment: another worker, which knows only what was recorded.
        async with hub.worker():
            await handle.raise_event(f"allow-{call.id}", True)
            print(await handle.wait())


if __name__ == "__main__":
    asyncio.run(main())
