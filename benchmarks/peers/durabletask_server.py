"""The in-memory backend of the Durable Task SDK, which keeps nothing, in a process of its own: so it is faster than in the worker's.

durabletask_server.py 4001
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager

from durabletask import worker
from durabletask.testing import create_test_backend

HISTORY_MAX = 1_000_000
START_SECONDS_MAX = 30.0


@contextmanager
def backend() -> Generator[str]:
    """Run it, and yield its address."""
    logging.disable()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, __file__, str(port)],
        stdin=subprocess.PIPE,  # when it closes, however this process ended, the backend ends, too
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _await(port)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@contextmanager
def running(runner: worker.TaskHubGrpcWorker) -> Generator[None]:
    """Run a worker for the length of a block: without being stopped it would keep the process from ending."""
    runner.start()
    try:
        yield
    finally:
        runner.stop()


def _await(port: int) -> None:
    end = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return


if __name__ == "__main__":
    create_test_backend(port=int(sys.argv[1]), max_history_size=HISTORY_MAX)
    sys.stdin.read()
    os._exit(0)
