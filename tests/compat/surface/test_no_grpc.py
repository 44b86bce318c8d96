"""Nobody sees gRPC: no module looks for it, and nothing listens on a port."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# A watch that cannot be taken off: it is told of each import and each address that a socket is bound to.
WATCH = """
import os, sys

def watch(event, args):
    if event == "import" and args[0].split(".")[0] in ("grpc", "google", "grpc_tools"):
        seen.append(args[0])
    if event == "socket.bind" and isinstance(args[1], tuple):
        seen.append(f"bound to {args[1]}")

seen = []
sys.addaudithook(watch)

def listening():
    "The sockets of this process that listen, where /proc tells of them."
    if not os.path.exists("/proc/self/net/tcp"):
        return []
    own = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            own.add(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            pass
    lines = open("/proc/self/net/tcp").readlines()[1:] + open("/proc/self/net/tcp6").readlines()[1:]
    rows = [line.split() for line in lines]
    return [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in own]
"""

IMPORT_ALL = """
import importlib, pkgutil
import durabletask

count = 0
for module in pkgutil.walk_packages(durabletask.__path__, "durabletask.", lambda name: None):
    try:
        importlib.import_module(module.name)
    except ImportError as error:
        assert "azure-storage-blob" in str(error), (module.name, error)
    count += 1
assert count > 40, count
"""

PROGRAM = """
from datetime import timedelta
from durabletask import client, entities, task, worker

def greet(ctx, name):
    return f"Hello {name}"

def counter(ctx: entities.EntityContext, amount):
    ctx.set_state(ctx.get_state(int, 0) + (amount or 0))
    return ctx.get_state(int)

def flow(ctx, names):
    greetings = yield task.when_all([ctx.call_activity(greet, input=name) for name in names])
    yield ctx.create_timer(timedelta(milliseconds=1))
    counted = yield ctx.call_entity(entities.EntityInstanceId("counter", "greetings"), "add", len(greetings))
    return [*greetings, counted]

with worker.TaskHubGrpcWorker() as w, client.TaskHubGrpcClient() as c:
    w.add_orchestrator(flow)
    w.add_activity(greet)
    w.add_entity(counter)
    w.start()
    state = c.wait_for_orchestration_completion(c.schedule_new_orchestration(flow, input=["Ada", "Alan"]), timeout=30)
    assert state.serialized_output == '["Hello Ada", "Hello Alan", 2]', state
    assert listening() == [], listening()
"""

BACKEND = """
from durabletask.testing import create_test_backend
backend = create_test_backend(port=4001)
"""

CLOSE = """
assert seen == [], seen
assert listening() == [], listening()
for name in sys.modules:
    assert name.split(".")[0] not in ("grpc", "google"), name
print("nothing seen")
"""


def run(code: str, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WATCH + code + CLOSE],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_no_module_imports_grpc(tmp_path: Path) -> None:
    assert run(IMPORT_ALL, tmp_path) == "nothing seen\n"


@pytest.mark.parametrize("where", ["a file", "a backend for tests"])
def test_a_program_runs_without_grpc_and_without_a_port(tmp_path: Path, where: str) -> None:
    if where == "a file":
        printed = run(PROGRAM, tmp_path, DURABLE_ASYNC_URL="sqlite:///program.db")
        assert (tmp_path / "program.db").is_file()
    else:
        printed = run(f"{BACKEND}{PROGRAM}backend.stop()\n", tmp_path)
        assert list(tmp_path.iterdir()) == []
    assert printed == "nothing seen\n"


def test_the_watch_sees_what_it_is_for(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="grpc"):
        run("try: import grpc\nexcept ImportError: pass\n", tmp_path)
    with pytest.raises(AssertionError, match="bound to"):
        run("import socket\ns = socket.create_server(('127.0.0.1', 0))\n", tmp_path)
