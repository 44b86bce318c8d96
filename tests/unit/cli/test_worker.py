"""worker: real processes, real signals."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from durable_async import TaskHub
from durable_async.cli._reload import _run_once
from durable_async.cli._serving import OF_SIGNALS
from durable_async.registry import default_registry

from .invoking import run

PROGRAM = """
import asyncio, pathlib, time
from durable_async import OrchestrationContext, TaskHub, activity, orchestrator

@activity
async def short(path: str) -> str:
    pathlib.Path(path).touch()
    await asyncio.sleep(0.5)
    return "SAID"

@activity
def stubborn(path: str) -> str:
    pathlib.Path(path).touch()
    time.sleep(60)
    return "never"

@activity
async def broken(path: str) -> str:
    raise LookupError(path)

@orchestrator
async def job(ctx: OrchestrationContext, call: list[str]) -> str:
    return await ctx.call_activity(call[0], call[1])

hub = TaskHub.at("sqlite:///jobs.db")
"""

COMMAND = (sys.executable, "-m", "durable_async")
SECONDS_MAX = 30
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "first")
    return tmp_path


def write(folder: Path, said: str) -> None:
    (folder / "program.py").write_text(PROGRAM.replace("SAID", said))


@contextmanager
def process(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield started
    finally:
        if started.poll() is None:
            started.send_signal(signal.SIGTERM)
            try:
                started.wait(SECONDS_MAX)
            except subprocess.TimeoutExpired:
                started.kill()
        started.communicate()


def read_until(started: subprocess.Popen[str], beginning: str) -> list[str]:
    assert started.stdout is not None
    lines = []
    for line in started.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith(beginning):
            return lines
    raise AssertionError(started.communicate()[1])


def start_a_job(folder: Path, activity: str) -> None:
    async def start() -> None:
        async with TaskHub.open(f"sqlite:///{folder}/jobs.db") as hub:
            await hub.client.start("job", [activity, str(folder / "begun")], instance_id="job")

    asyncio.run(start())


def result(folder: Path) -> str:
    async def read() -> str:
        async with TaskHub.open(f"sqlite:///{folder}/jobs.db") as hub:
            return await hub.client.wait("job", str, timeout=SECONDS_MAX)

    return asyncio.run(read())


def wait_for(condition: Callable[[], bool]) -> None:
    async def poll() -> None:
        async with asyncio.timeout(SECONDS_MAX):
            while not condition():
                await asyncio.sleep(0.02)

    asyncio.run(poll())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains(folder: Path, number: signal.Signals) -> None:
    start_a_job(folder, "short")
    with process(folder, "worker", "program:hub") as worker:
        lines = read_until(worker, "Process")
        assert lines[0].startswith("program:hub works on sqlite ")
        assert lines[1:3] == ["  orchestrators: job", "  activities: broken, short, stubborn"]
        wait_for((folder / "begun").exists)
        worker.send_signal(number)
        out, err = worker.communicate(timeout=SECONDS_MAX)
        assert (worker.returncode, out) == (0, "Drained.\n"), err
    assert result(folder) == "first"


def test_a_second_signal_stops_at_once(folder: Path) -> None:
    start_a_job(folder, "stubborn")
    with process(folder, "worker", "program:hub") as worker:
        read_until(worker, "Process")
        wait_for((folder / "begun").exists)
        worker.send_signal(signal.SIGINT)
        try:
            worker.wait(0.3)
        except subprocess.TimeoutExpired:
            worker.send_signal(signal.SIGTERM)
        assert worker.wait(SECONDS_MAX) == 128 + signal.SIGTERM


def test_a_failure_is_logged_where_nobody_set_up_logging(folder: Path) -> None:
    start_a_job(folder, "broken")
    with process(folder, "worker", "program:hub") as worker:
        assert worker.stderr is not None
        line = next(line for line in worker.stderr if "failed" in line)
        assert re.search(r" INFO durable_async: orchestration job failed: .*LookupError", line)


def test_new_code_is_taken_up(folder: Path) -> None:
    with process(folder, "worker", "program:hub", "--reload") as worker:
        read_until(worker, "Process")
        (folder / "program.py").write_text("this is no Python")
        read_until(worker, "Drained.")
        write(folder, "second")
        read_until(worker, "Process")
        start_a_job(folder, "short")
        assert result(folder) == "second"
        worker.send_signal(signal.SIGINT)
        worker.communicate(timeout=SECONDS_MAX)
        assert worker.returncode == 0


def test_a_signal_while_a_worker_is_begun_reaches_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    stopped = anyio.Event()
    stopped.set()

    async def begin() -> int:
        return await _run_once(["worker", "program:hub"], None, [], anyio.Event(), stopped)

    assert asyncio.run(begin()) in (0, OF_SIGNALS + signal.SIGTERM), "not killed, for it was told"


def test_a_worker_that_is_reloaded_ends_with_its_parent(folder: Path) -> None:
    start_a_job(folder, "short")
    with process(folder, "worker", "program:hub", "--reload") as parent:
        (line,) = (line for line in read_until(parent, "Process") if line.startswith("Process"))
        assert int(line.split()[1].rstrip(".")) != parent.pid
        wait_for((folder / "begun").exists)
        parent.kill()
        assert read_until(parent, "Drained.") == ["Drained."]
    assert result(folder) == "first"


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Commands run in this process, in the folder of the program."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    for kind in ("_activities", "_orchestrators", "_entities"):
        monkeypatch.setattr(default_registry, kind, {})
    for name in ("program", "empty"):  # another test of this process may have one of this name
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield folder
    for name in ("program", "empty"):
        sys.modules.pop(name, None)


def test_with_the_program_at_hand_an_input_is_checked(here: Path) -> None:
    start_a_job(here, "short")
    wrong = run("start", "job", '"not a list"', "--app", "program:hub")
    assert (wrong.status, wrong.out) == (2, "")
    assert "orchestrator 'job' input" in wrong.err
    unknown = run("start", "jib", "--id", "j", "--app", "program:hub")
    assert (unknown.status, unknown.out) == (0, "j\n")
    assert "what it has: job" in unknown.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("worker", "program:nothing"), "has no 'nothing'; what it has: hub (TaskHub)"),
        (("worker", "nowhere:hub"), "there is no module 'nowhere'"),
        (("worker", "empty:registry"), "registers nothing"),
        (("worker", "program:hub", "--url", "sqlite:///other.db"), "leave out --url"),
        (("worker",), "Missing argument"),
    ],
)
def test_what_cannot_be_run_is_refused(here: Path, arguments: tuple[str, ...], said: str) -> None:
    (here / "empty.py").write_text("from durable_async import Registry\nregistry = Registry()")
    refused = run(*arguments)
    assert refused.status == 2
    assert said in " ".join(refused.err.split())


def test_what_the_environment_says_gives_way(here: Path) -> None:
    start_a_job(here, "short")
    elsewhere = {"DURABLE_ASYNC_URL": "sqlite:///nowhere.db", "DURABLE_ASYNC_HUB": "other"}
    assert run("list", "--ids", "--app", "program:hub", env=elsewhere).out == "job\n"
    program = {"DURABLE_ASYNC_APP": "nowhere:hub"}
    assert run("list", "--ids", "--url", "sqlite:///jobs.db", env=program).out == "job\n"
    assert run("list", env={"DURABLE_ASYNC_URL": None, "DURABLE_ASYNC_APP": None}).status == 2


def test_a_store_that_does_not_answer_is_an_exit_status_of_its_own(folder: Path) -> None:
    url = "postgresql://nobody:secret@127.0.0.1:9/nothing"
    program = (folder / "program.py").read_text().replace("sqlite:///jobs.db", url)
    (folder / "program.py").write_text(program)
    done = subprocess.run(
        [*COMMAND, "list"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DURABLE_ASYNC_URL": url},
        timeout=SECONDS_MAX,
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert "secret" not in done.stderr


def test_dev_serves_the_dashboard_beside_the_worker(folder: Path) -> None:
    registry_alone = (
        (folder / "program.py").read_text().replace("hub = TaskHub", "hub_of = TaskHub")
    )
    (folder / "program.py").write_text(registry_alone.replace('.at("sqlite:///jobs.db")', ""))
    with process(folder, "dev", "program", "--port", "0") as dev:
        lines = read_until(dev, "Dashboard: ")
        assert "durable.db" in lines[0]
        with urllib.request.urlopen(lines[-1].removeprefix("Dashboard: "), timeout=30) as page:
            assert page.status == 200
        dev.send_signal(signal.SIGINT)
        out, err = dev.communicate(timeout=SECONDS_MAX)
        assert (dev.returncode, out) == (0, "Drained.\n"), err
    assert (folder / "durable.db").is_file()


def test_a_port_that_is_taken_is_refused(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [*COMMAND, "dev", "program:hub", "--no-reload", "--port", port],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS_MAX,
        )
    assert done.returncode == 2
    assert f"cannot listen on port {port}" in done.stderr
