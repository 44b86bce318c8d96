"""The same replay on Temporal's replayer, without its sandbox. Runs in an environment that has ``temporalio``, and imports nothing of ours.

The history is made here as a server would have recorded it, for one of so many activities at once is more than a server's default lets pend.

temporal_replay.py 10000 3       steps, repeats
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import sys
import time
from datetime import timedelta
from typing import ClassVar

from temporalio import workflow
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

QUEUE = "benchmark"
TIMEOUT = timedelta(minutes=1)
COMPARES = [1, 2]
"""Flags of the SDK in the history, without which it doesn't compare the names of activities."""


class Ran:
    """What the replays of this process came to."""

    results: ClassVar[list[int]] = []


def _call(number):
    return workflow.start_activity("noop", {"i": number}, start_to_close_timeout=TIMEOUT)


@workflow.defn(name="sequential")
class Sequential:
    """One after the other."""

    @workflow.run
    async def run(self, steps: int) -> int:
        """Add up."""
        total = 0
        for number in range(steps):
            total += (await _call(number))["i"]
        Ran.results.append(total)
        return total


@workflow.defn(name="fanned_out")
class FannedOut:
    """All at once."""

    @workflow.run
    async def run(self, steps: int) -> int:
        """Add up."""
        results = await asyncio.gather(*(_call(number) for number in range(steps)))
        total = sum(result["i"] for result in results)
        Ran.results.append(total)
        return total


def _payloads(value):
    data = json.dumps(value, separators=(",", ":")).encode()
    return Payloads(payloads=[Payload(metadata={"encoding": b"json/plain"}, data=data)])


class History:
    """Events as they are recorded, numbered from one."""

    def __init__(self, name: str, steps: int) -> None:
        self.events: list[HistoryEvent] = []
        started = self._add("workflow_execution_started")
        started.workflow_type.name = name
        started.task_queue.name = QUEUE
        started.original_execution_run_id = started.first_execution_run_id = "run"
        started.attempt = 1
        started.input.CopyFrom(_payloads(steps))

    def _add(self, name):
        number = len(self.events) + 1
        event = HistoryEvent(
            event_id=number, event_type=EventType.Value(f"EVENT_TYPE_{name}".upper())
        )
        event.event_time.FromMilliseconds(1_700_000_000_000 + number)
        self.events.append(event)
        attributes = getattr(event, f"{name}_event_attributes")
        attributes.SetInParent()
        return attributes

    def turn(self) -> int:
        """Let the workflow run; returns the number of the event that closes the turn."""
        self._add("workflow_task_scheduled").task_queue.name = QUEUE
        scheduled = len(self.events)
        self._add("workflow_task_started").scheduled_event_id = scheduled
        completed = self._add("workflow_task_completed")
        completed.scheduled_event_id, completed.started_event_id = scheduled, scheduled + 1
        if scheduled == 2:
            completed.sdk_metadata.core_used_flags.extend(COMPARES)
        return len(self.events)

    def schedule(self, turn: int, number: int) -> int:
        """Note an activity; returns the number of the event."""
        event = self._add("activity_task_scheduled")
        event.activity_id = str(number + 1)
        event.activity_type.name = "noop"
        event.task_queue.name = QUEUE
        event.input.CopyFrom(_payloads({"i": number}))
        event.start_to_close_timeout.FromTimedelta(TIMEOUT)
        event.workflow_task_completed_event_id = turn
        return len(self.events)

    def complete(self, scheduled: int, number: int) -> None:
        """Note that it was begun, and what it returned."""
        self._add("activity_task_started").scheduled_event_id = scheduled
        completed = self._add("activity_task_completed")
        completed.scheduled_event_id, completed.started_event_id = scheduled, len(self.events) - 1
        completed.result.CopyFrom(_payloads({"i": number}))

    def end(self, turn: int, result: int) -> None:
        """Note the result."""
        completed = self._add("workflow_execution_completed")
        completed.workflow_task_completed_event_id = turn
        completed.result.CopyFrom(_payloads(result))


def history(name, steps):
    """Return what a server would have recorded."""
    recorded = History(name, steps)
    turn = recorded.turn()
    if name == "sequential":
        for number in range(steps):
            recorded.complete(recorded.schedule(turn, number), number)
            turn = recorded.turn()
    else:
        scheduled = [recorded.schedule(turn, number) for number in range(steps)]
        for number, event in enumerate(scheduled):
            recorded.complete(event, number)
        turn = recorded.turn()
    recorded.end(turn, steps * (steps - 1) // 2)
    return recorded.events


def _replayer():
    return Replayer(
        workflows=[Sequential, FannedOut],
        workflow_runner=UnsandboxedWorkflowRunner(),
        runtime=Runtime(telemetry=TelemetryConfig(logging=None)),
        debug_mode=True,  # else its watch for deadlocks stops a turn of so many activities
    )


async def measure(name, steps, repeats):
    """Return the best seconds of a replay, and how many events it read."""
    events = history(name, steps)
    replayer = _replayer()
    best = float("inf")
    for _ in range(repeats):
        recorded = WorkflowHistory("benchmark", events)
        gc.collect()
        begin = time.perf_counter()
        result = await replayer.replay_workflow(recorded, raise_on_replay_failure=False)
        best = min(best, time.perf_counter() - begin)
        if result.replay_failure is not None:
            raise result.replay_failure
    assert Ran.results[-repeats:] == [steps * (steps - 1) // 2] * repeats
    return best, len(events)


async def refuses(name):
    """Check that it compares: a history with another activity must not replay."""
    events = history(name, 3)
    changed = next(
        each for each in events if each.HasField("activity_task_scheduled_event_attributes")
    )
    changed.activity_task_scheduled_event_attributes.activity_type.name = "another"
    result = await _replayer().replay_workflow(
        WorkflowHistory("benchmark", events), raise_on_replay_failure=False
    )
    assert result.replay_failure is not None


async def main(steps, repeats, names):
    """Measure and print."""
    figures = {}
    for name in names:
        await refuses(name)
        seconds, events = await measure(name, steps, repeats)
        figures |= {
            name: seconds / steps * 1e6,
            f"{name}_events_per_second": events / seconds,
        }
    print(json.dumps(figures))


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(
        main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:] or ["sequential", "fanned_out"])
    )
