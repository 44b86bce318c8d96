"""A hub in a thread of its own: shared, counted, closed with its last user; and what waits in it is never stuck."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from durable_async import (
    BackendUnavailableError,
    ConfigurationError,
    OrchestrationContext,
    Registry,
)
from durable_async.backends.memory import MemoryStore
from durable_async.environment import SystemEnvironment
from durabletask._runtime.addresses import Address
from durabletask._runtime.engines import engines
from durabletask._runtime.hosts import Host, attach, attach_async, keep_store

registry = Registry()


@registry.orchestrator
async def echo(ctx: OrchestrationContext, text: str) -> str:
    return text


@pytest.fixture
def address() -> Address:
    return Address(f"memory://{uuid.uuid4().hex}", "default")


@pytest.fixture
def host(address: Address) -> Iterator[Host]:
    host = attach(address)
    yield host
    host.detach()


@contextlib.asynccontextmanager
async def asleep(begun: threading.Event, cancelled: threading.Event) -> AsyncIterator[None]:
    begun.set()
    try:
        yield
    except asyncio.CancelledError:
        cancelled.set()
        raise


async def sleeping(begun: threading.Event, cancelled: threading.Event) -> None:
    async with asleep(begun, cancelled):
        await asyncio.Event().wait()


async def running_thread() -> threading.Thread:
    return threading.current_thread()


async def work(host: Host, text: str) -> str:
    hub = host.task_hub(registry)
    async with hub.worker(registry):
        handle = await hub.client.start("echo", text)
        return str(await hub.client.wait(handle))


def test_it_runs_the_engine_in_a_thread_of_its_own(host: Host) -> None:
    assert host.run(running_thread()) is not threading.current_thread()
    assert host.run(work(host, "hello")) == "hello"


def test_users_of_one_address_share_a_thread_and_others_do_not(address: Address) -> None:
    first, second = attach(address), attach(address)
    other = attach(Address(address.url, "other"))
    assert first.run(running_thread()) is second.run(running_thread())
    assert first.run(running_thread()) is not other.run(running_thread())
    assert first.task_hub() is second.task_hub()
    for host in (first, second, other):
        host.detach()


def test_the_last_user_closes_it(address: Address) -> None:
    first, second = attach(address), attach(address)
    thread = first.run(running_thread())
    first.detach()
    first.detach()
    assert second.run(running_thread()) is thread
    second.detach()
    assert not thread.is_alive()
    with pytest.raises(RuntimeError, match="closed"):
        second.run(running_thread())


def test_what_is_in_memory_stays_when_nobody_uses_it(address: Address) -> None:
    host = attach(address)
    host.run(host.task_hub().client.start("echo", "x", instance_id="kept"))
    host.detach()
    host = attach(address)
    state = host.run(host.task_hub().client.get("kept"))
    assert state is not None
    assert state.input() == "x"
    host.detach()


def test_many_may_come_and_go_at_once(address: Address) -> None:
    def visit(number: int) -> str:
        host = attach(address)
        try:
            handle = host.run(host.task_hub().client.start("echo", str(number)))
            state = host.run(host.task_hub().client.get(handle))
            assert state is not None
            return str(state.input())
        finally:
            host.detach()

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(visit, range(64))) == [str(number) for number in range(64)]


@pytest.mark.parametrize("url", ["nonsense://x", "sqlite:///", "sqlite:////nowhere/at/all/x.db"])
def test_what_cannot_be_opened_is_said_to_whoever_attaches(url: str) -> None:
    with pytest.raises((ConfigurationError, BackendUnavailableError)):
        attach(Address(url, "default"))


def test_blocking_in_its_own_thread_is_refused(host: Host) -> None:
    async def inside() -> None:
        host.run(running_thread())

    with pytest.raises(RuntimeError, match="async client"):
        host.run(inside())


async def test_it_is_awaited_from_any_loop(host: Host) -> None:
    async def inside() -> threading.Thread:
        return await host.run_async(running_thread())

    assert await host.run_async(inside()) is await host.run_async(running_thread())


async def test_opening_and_closing_do_not_block_a_loop(address: Address) -> None:
    host = await attach_async(address)
    thread = await host.run_async(running_thread())
    await host.detach_async()
    assert not thread.is_alive()


async def test_cancelling_the_caller_cancels_the_work(host: Host) -> None:
    begun, cancelled = threading.Event(), threading.Event()
    task = asyncio.create_task(host.run_async(sleeping(begun, cancelled)))
    assert await asyncio.to_thread(begun.wait, 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(cancelled.wait, 60)


class CtrlC:
    """Presses Ctrl-C until it is felt: one press may come just before the main thread begins to wait, which does not wake it."""

    def __init__(self) -> None:
        self._felt = threading.Event()
        self._usual = signal.signal(signal.SIGINT, self._feel)

    def _feel(self, *_: object) -> None:
        if not self._felt.is_set():
            self._felt.set()
            raise KeyboardInterrupt

    def press(self) -> None:
        while not self._felt.wait(0.1):
            os.kill(os.getpid(), signal.SIGINT)

    def release(self) -> None:
        signal.signal(signal.SIGINT, self._usual)


@pytest.fixture
def ctrl_c() -> Iterator[CtrlC]:
    if sys.platform == "win32":
        pytest.skip("Ctrl-C does not interrupt a lock there")
    ctrl_c = CtrlC()
    yield ctrl_c
    ctrl_c.release()


def test_ctrl_c_cancels_the_work(host: Host, ctrl_c: CtrlC) -> None:
    begun, cancelled = threading.Event(), threading.Event()

    def press() -> None:
        begun.wait(60)
        ctrl_c.press()

    presser = threading.Thread(target=press)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        host.run(sleeping(begun, cancelled))
    presser.join()
    assert cancelled.wait(60)


def test_ctrl_c_ends_the_opening_of_a_store_that_does_not_answer(ctrl_c: CtrlC) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]

        def press() -> None:
            calling, _ = silent.accept()
            with calling:
                calling.recv(1)
                ctrl_c.press()
                while calling.recv(1_000):  # it says nothing, and waits for the other to give up
                    pass

        presser = threading.Thread(target=press)
        presser.start()
        with pytest.raises(KeyboardInterrupt):
            attach(Address(f"postgresql://me@127.0.0.1:{port}/x?sslmode=disable", "default"))
        presser.join()


def test_whoever_waits_when_it_is_closed_is_not_left_waiting(address: Address) -> None:
    host = attach(address)
    begun, cancelled = threading.Event(), threading.Event()
    future = host.submit(sleeping(begun, cancelled))
    assert begun.wait(60)
    host.detach()
    assert cancelled.is_set()
    with pytest.raises(concurrent.futures.CancelledError):
        future.result()


SCRIPT = """
import os, sys
from durabletask._runtime.addresses import Address
from durabletask._runtime.hosts import attach

address = Address("sqlite:///" + sys.argv[1], "default")
host = attach(address)
host.run(host.task_hub().client.start("echo", "parent", instance_id="parent"))
"""

FORKING = (
    SCRIPT
    + """
if os.fork() == 0:
    host.run(host.task_hub().client.start("echo", "child", instance_id="child"))
    other = attach(address)
    assert other.task_hub() is host.task_hub()
    sys.exit(0)
_, status = os.wait()
assert status == 0, status
states = [host.run(host.task_hub().client.get(name)) for name in ("parent", "child")]
print(*(state.input() for state in states))
"""
)

LEFT_OPEN = (
    SCRIPT
    + """
import asyncio
async def forever():
    try:
        await asyncio.Event().wait()
    finally:
        print("ended")
host.submit(forever())
print(host.run(asyncio.sleep(0, "left")))
"""
)


def script(text: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", text, str(folder / "x.db")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_forked_child_makes_its_own(tmp_path: Path) -> None:
    assert script(FORKING, tmp_path) == "parent child\n"


def test_the_end_of_the_process_closes_what_was_left_open(tmp_path: Path) -> None:
    assert script(LEFT_OPEN, tmp_path) == "left\nended\n"
    assert sorted(path.name for path in tmp_path.iterdir() if "-" in path.name) == []


def test_a_store_is_forgotten_also_while_the_table_is_held() -> None:
    """As by a finaliser, which runs wherever memory is asked for."""
    address = Address("memory://collected", "default")
    keep_store(address, MemoryStore(SystemEnvironment()))
    with engines()._lock:
        keep_store(address, None)
    assert address not in engines()._stores
