"""Anybody who has a client sees who works on the hub."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from os import getpid

from durable_async import Registry, TaskHub
from durable_async.testing import VirtualEnvironment, run_virtual


def test_workers_are_there_while_they_work() -> None:
    async def work(env: VirtualEnvironment) -> None:
        async with TaskHub.open("memory://", registry=Registry(), environment=env) as hub:
            assert await hub.client.workers() == []
            async with hub.worker(lease_seconds=15) as one, hub.worker(lease_seconds=15) as two:
                states = await hub.client.workers()
                ids = [state.worker_id for state in states]
                assert ids == sorted(str(worker.worker_id) for worker in (one, two))
                now = datetime.fromtimestamp(env.now_us() / 1e6, UTC)
                for state in states:
                    assert state.is_alive
                    assert (state.host, state.pid) == (socket.gethostname(), getpid())
                    assert state.registered_at <= now
                    assert state.lease_until - state.registered_at >= timedelta(seconds=15)
                    assert (state.instances, state.activities, state.commits) == (0, 0, 0)
            assert await hub.client.workers() == []

    run_virtual(work)
