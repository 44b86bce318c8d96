"""The Durable Task SDK on its in-memory backend: one orchestration that waits for many no-op activities at once.

durabletask_fan_out.py 1000
"""

from __future__ import annotations

import sys

from common import Meter, check, emit, finish
from durabletask_server import backend, running
from items import per_item

from durabletask import client, task, worker

SECONDS_MAX = 200
WARM_UP = 50


class Ran:
    """Numbers of the activities that this process has run; one append is safe in threads."""

    numbers: list[int] = []  # noqa: RUF012 - of the process, on purpose


def noop(_ctx, number):
    """Do nothing."""
    Ran.numbers.append(number)
    return number


def fan(ctx, size):
    """Call the activity for each number."""
    results = yield task.when_all([ctx.call_activity(noop, input=n) for n in range(size)])
    return sum(results)


def run(caller: client.TaskHubGrpcClient, size: int) -> int:
    """Run one, from its start to the result."""
    instance = caller.schedule_new_orchestration(fan, input=size)
    state = caller.wait_for_orchestration_completion(instance, timeout=SECONDS_MAX)
    check("its end", state and state.runtime_status, client.OrchestrationStatus.COMPLETED)
    return int(state.get_output())


def main(size: int) -> None:
    """Print the figures."""
    with backend() as address:
        runner = worker.TaskHubGrpcWorker(host_address=address)
        runner.add_orchestrator(fan)
        runner.add_activity(noop)
        with running(runner):
            caller = client.TaskHubGrpcClient(host_address=address)
            run(caller, WARM_UP)
            Ran.numbers.clear()
            meter = Meter()
            total = run(caller, size)
            used = meter.stop()
            check("the sum", total, size * (size - 1) // 2)
            check("activities that ran", sorted(Ran.numbers), list(range(size)))
    emit(per_item(used, size, f"_{size}"))
    finish()


if __name__ == "__main__":
    main(int(sys.argv[1]))
