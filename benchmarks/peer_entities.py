"""Signals to entities on the upstream SDK and its in-memory backend. Runs in an environment that has ``durabletask``, and imports nothing of ours.

The backend has a process of its own, which is the faster arrangement; client and worker share one, as ours do.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from durabletask import client, entities, worker
from durabletask.testing import create_test_backend


def counter(ctx, value):
    state = ctx.get_state(int, 0)
    if ctx.operation == "add":
        ctx.set_state(state + value)
    return state


async def applied(hub, ids, each):
    for one in ids:
        while True:
            found = await hub.get_entity(one)
            if found is not None and found.includes_state and int(found.get_state(int)) >= each:
                break
            await asyncio.sleep(0.005)


def drive_threads(hub, name, senders, entity_count, signals):
    """The same with the blocking client, a thread a sender, as a ``def`` program would."""
    ids = [entities.EntityInstanceId("counter", f"{name}-threads-{n}") for n in range(entity_count)]

    def sender(number):
        for n in range(signals // senders):
            hub.signal_entity(ids[(number + n * senders) % entity_count], "add", 1)

    started = time.perf_counter()
    with ThreadPoolExecutor(senders) as pool:
        list(pool.map(sender, range(senders)))
    for one in ids:
        while (
            int(getattr(hub.get_entity(one), "get_state", lambda kind: 0)(int))
            < signals // entity_count
        ):
            time.sleep(0.005)
    return {f"{name}_threads_per_second": signals / (time.perf_counter() - started)}


async def drive(hub, name, senders, entity_count, signals):
    ids = [entities.EntityInstanceId("counter", f"{name}-{n}") for n in range(entity_count)]

    async def sender(number):
        for n in range(signals // senders):
            await hub.signal_entity(ids[(number + n * senders) % entity_count], "add", 1)

    started = time.perf_counter()
    await asyncio.gather(*(sender(number) for number in range(senders)))
    sent = time.perf_counter()
    await applied(hub, ids, signals // entity_count)
    ended = time.perf_counter()
    return {
        f"{name}_per_second": signals / (ended - started),
        f"{name}_sent_per_second": signals / (sent - started),
    }


async def measure(address, cases):
    figures = {}
    hub = client.AsyncTaskHubGrpcClient(host_address=address)
    await drive(hub, "warm", 1, 1, 50)
    for name, (senders, entity_count, signals) in cases.items():
        figures |= await drive(hub, name, senders, entity_count, signals)
    await hub.close()
    return figures


def serve(port):
    backend = create_test_backend(port=port)
    print("ready", flush=True)
    sys.stdin.read()
    backend.stop()


def main():
    logging.disable(logging.CRITICAL)
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen(
        [sys.executable, __file__, "serve", str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as backend:
        backend.stdout.readline()
        address = f"127.0.0.1:{port}"
        with worker.TaskHubGrpcWorker(host_address=address) as crew:
            crew.add_entity(counter)
            crew.start()
            cases = json.loads(sys.argv[1])
            figures = asyncio.run(measure(address, cases))
            blocking = client.TaskHubGrpcClient(host_address=address)
            for name, case in cases.items():
                figures |= drive_threads(blocking, name, *case)
        backend.stdin.close()
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
