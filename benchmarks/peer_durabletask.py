"""The same replay on the upstream SDK's executor. Runs in an environment that has ``durabletask``, and imports nothing of ours."""

from __future__ import annotations

import gc
import inspect
import json
import logging
import sys
import time
from datetime import datetime, timedelta

from durabletask import task, worker
from durabletask.internal import helpers

START = datetime(2026, 1, 1)  # noqa: DTZ001 - the SDK wants it naive


def noop(ctx, value):
    return value


def sequential(ctx, steps):
    total = 0
    for number in range(steps):
        total += (yield ctx.call_activity(noop, input={"i": number}))["i"]
    return total


def fanned_out(ctx, steps):
    calls = [ctx.call_activity(noop, input={"i": number}) for number in range(steps)]
    results = yield task.when_all(calls)
    return sum(result["i"] for result in results)


def history(name, steps):
    payloads = [json.dumps({"i": number}) for number in range(steps)]
    events = [
        helpers.new_orchestrator_started_event(START),
        helpers.new_execution_started_event(name, "benchmark", str(steps)),
    ]
    if name == "sequential":
        events.append(helpers.new_task_scheduled_event(1, "noop", payloads[0]))
        for number in range(1, steps + 1):
            events.append(
                helpers.new_orchestrator_started_event(START + timedelta(microseconds=number))
            )
            events.append(helpers.new_task_completed_event(number, payloads[number - 1]))
            if number < steps:
                events.append(
                    helpers.new_task_scheduled_event(number + 1, "noop", payloads[number])
                )
    else:
        events += [
            helpers.new_task_scheduled_event(n + 1, "noop", payloads[n]) for n in range(steps)
        ]
        events.append(helpers.new_orchestrator_started_event(START + timedelta(seconds=1)))
        events += [helpers.new_task_completed_event(n + 1, payloads[n]) for n in range(steps)]
    return events


def executor():
    registry = worker._Registry()
    for function in (sequential, fanned_out):
        registry.add_orchestrator(function)
    logger = logging.getLogger("benchmark")
    logger.setLevel(logging.CRITICAL)
    arguments = [registry, logger]
    if "data_converter" in inspect.signature(worker._OrchestrationExecutor).parameters:
        from durabletask.serialization import DEFAULT_DATA_CONVERTER

        arguments.append(DEFAULT_DATA_CONVERTER)
    return worker._OrchestrationExecutor(*arguments)


def measure(name, steps, repeats):
    events = history(name, steps)
    old, new = events[:-1], events[-1:]
    best = float("inf")
    for _ in range(repeats):
        gc.collect()
        begin = time.perf_counter()
        result = executor().execute("benchmark", old, new)
        best = min(best, time.perf_counter() - begin)
        (action,) = result.actions
        answer = action.completeOrchestration.result.value
        assert answer == str(steps * (steps - 1) // 2), answer
    return best / steps * 1e6


if __name__ == "__main__":
    size = int(sys.argv[1])
    figures = {name: measure(name, size, 5) for name in ("sequential", "fanned_out")}
    rates = {
        f"{name}_events_per_second": len(history(name, size)) / (us * size) * 1e6
        for name, us in figures.items()
    }
    print(json.dumps(figures | rates))
