"""One entity, its code, and a store in a variable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from durable_async import JsonConverter, Registry
from durable_async._engine.operations import Operation
from durable_async._kernel.entities import EntityInstance, OperationOutcome
from durable_async.model.entities import EntitySnapshot
from durable_async.model.history import EntityOperation, ParentLink

PAYLOADS = JsonConverter(payload_bytes_max=200)
NOW_US = 1_700_000_000_000_000

registry = Registry()


class World:
    """One entity; each operation is carried out on what the one before left."""

    def __init__(self, code: Any, state: bytes | None = None) -> None:
        self.name = code.entity_id("x").stored_name
        self.instance = EntityInstance(f"{self.name}@x", 1, EntitySnapshot(state))
        self.ids = iter(f"id{number}" for number in range(1, 100))

    def begin(
        self, operation: str, input: bytes | None = None, caller: ParentLink | None = None
    ) -> Operation:
        definition = registry.find_entity(self.name)
        assert definition is not None
        self.instance.deliver(
            self.instance.seen()[-1] + 1 if self.instance.seen() else 1,
            None,
            EntityOperation(operation, input, caller=caller),
        )
        letter = self.instance.next_operation(NOW_US)
        assert letter is not None
        new_id: Callable[[], str] = self.ids.__next__
        return Operation(definition, self.instance, letter, PAYLOADS, NOW_US, new_id)

    def run(self, operation: str, input: bytes | None = None) -> OperationOutcome:
        begun = self.begin(operation, input)
        outcome = asyncio.run(begun.run_async()) if begun.is_async else begun.run()
        self.instance.conclude(outcome)
        return outcome

    def result(self, operation: str, input: bytes | None = None) -> bytes | None:
        outcome = self.run(operation, input)
        assert outcome.failure is None, outcome.failure
        return outcome.result

    def failure(self, operation: str, input: bytes | None = None) -> str:
        before = self.instance.state
        outcome = self.run(operation, input)
        assert outcome.failure is not None
        assert self.instance.state == before
        assert (outcome.state, outcome.signals, outcome.starts) == (None, (), ())
        return f"{outcome.failure.error_type.rpartition('.')[2]}: {outcome.failure.message}"

    @property
    def state(self) -> bytes | None:
        return self.instance.state
