"""Large payloads kept in a store of the program's own."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from durabletask import entities, task
from durabletask.payload import LargePayloadStorageOptions, PayloadStore

from .book import scenario
from .cast import EntityId
from .stage import Stage, attempt

PREFIX = "shelf://"


class Shelf(PayloadStore):
    """Keeps payloads in memory, and counts."""

    def __init__(self, threshold: int = 1000, maximum: int = 1_000_000) -> None:
        self.kept: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._options = LargePayloadStorageOptions(threshold, maximum, enable_compression=False)

    @property
    def options(self) -> LargePayloadStorageOptions:
        return self._options

    def upload(self, data: bytes, *, instance_id: str | None = None) -> str:
        with self._lock:
            token = f"{PREFIX}{len(self.kept)}"
            self.kept[token] = data
        return token

    async def upload_async(self, data: bytes, *, instance_id: str | None = None) -> str:
        return self.upload(data, instance_id=instance_id)

    def download(self, token: str) -> bytes:
        return self.kept[token]

    async def download_async(self, token: str) -> bytes:
        return self.kept[token]

    def is_known_token(self, value: str) -> bool:
        return value.startswith(PREFIX)


LARGE = "x" * 5000


def echo(ctx: task.ActivityContext, value: Any) -> Any:
    return value


def through(ctx: task.OrchestrationContext, value: Any) -> Any:
    back = yield ctx.call_activity(echo, input=value)
    ctx.set_custom_status(back[:2000])
    event = yield ctx.wait_for_external_event("more")
    return back + event


def shelved(stage: Stage, value: str, event: str, **options: Any) -> Any:
    shelf = Shelf(**options)
    stage.worker([through], [echo], payload_store=shelf)
    it = stage.new_client(payload_store=shelf)
    it.schedule_new_orchestration(through, input=value, instance_id="one")
    it.raise_orchestration_event("one", "more", data=event)
    state = it.wait_for_orchestration_completion("one", timeout=10)
    return [
        state.runtime_status.name,
        len(state.get_input()),
        len(state.get_output()),
        len(state.get_custom_status()),
        bool(shelf.kept),
    ]


@scenario
def large(stage: Stage) -> Any:
    return shelved(stage, LARGE, LARGE)


@scenario
def small(stage: Stage) -> Any:
    return shelved(stage, "small", "also small")


@scenario
def mixed(stage: Stage) -> Any:
    return shelved(stage, "small", LARGE)


@scenario
def too_large(stage: Stage) -> Any:
    shelf = Shelf(maximum=2000)
    it = stage.new_client(payload_store=shelf)
    return attempt(it.schedule_new_orchestration, through, input=LARGE)["raised"]


@scenario
def between_orchestrations(stage: Stage) -> Any:
    def child(ctx: task.OrchestrationContext, value: str) -> Any:
        return value + value

    def parent(ctx: task.OrchestrationContext, value: str) -> Any:
        doubled = yield ctx.call_sub_orchestrator(child, input=value)
        return [len(doubled), doubled == value + value]

    shelf = Shelf()
    stage.worker([parent, child], payload_store=shelf)
    it = stage.new_client(payload_store=shelf)
    it.schedule_new_orchestration(parent, input=LARGE, instance_id="one")
    state = it.wait_for_orchestration_completion("one", timeout=10)
    return [stage.outcome(state), bool(shelf.kept)]


@scenario
def in_entities(stage: Stage) -> Any:
    def box(ctx: entities.EntityContext, input: Any) -> Any:
        if ctx.operation == "put":
            ctx.set_state(input)
        return ctx.get_state()

    def flow(ctx: task.OrchestrationContext, value: str) -> Any:
        id = EntityId("box", "a")
        yield ctx.call_entity(id, "put", value)
        return len((yield ctx.call_entity(id, "get")))

    shelf = Shelf()
    stage.worker([flow], [], [box], payload_store=shelf)
    it = stage.new_client(payload_store=shelf)
    it.schedule_new_orchestration(flow, input=LARGE, instance_id="one")
    state = it.wait_for_orchestration_completion("one", timeout=10)
    kept = it.get_entity(EntityId("box", "a")).get_typed_state()
    return [stage.outcome(state), len(kept)]


@scenario
def by_an_async_client(stage: Stage) -> Any:
    shelf = Shelf()
    stage.worker([through], [echo], payload_store=shelf)

    async def act() -> Any:
        async with stage.async_client(payload_store=shelf) as it:
            await it.schedule_new_orchestration(through, input=LARGE, instance_id="one")
            await it.raise_orchestration_event("one", "more", data="!")
            state = await it.wait_for_orchestration_completion("one", timeout=10)
            return [len(state.get_output()), len(state.get_input())]

    return asyncio.run(act())


@scenario
def options_of_a_store(stage: Stage) -> Any:
    options = LargePayloadStorageOptions()
    return [options.threshold_bytes, options.max_stored_payload_bytes, options.enable_compression]
