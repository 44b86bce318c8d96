"""The nets of the running process: what is refused while orchestrator code runs, and what is not."""

# ruff: noqa: PLW0108 - a lambda is a call site, and call sites are what is tested
from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import random
import secrets
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from time import time as wall
from types import ModuleType
from typing import Any

import pytest

from durable_async._kernel import guard
from durable_async._kernel.guard import (
    DeterminismWarning,
    GuardPolicy,
    monitoring,
    unsafe_nondeterminism,
)
from durable_async._kernel.guard.policy import forget_warnings
from durable_async.errors import ForbiddenOperationError

from .inline_loop import InlineLoop

watched = pytest.mark.skipif(sys.version_info < (3, 12), reason="call sites are watched from 3.12")


@pytest.fixture(autouse=True)
def nets() -> Iterator[None]:
    forget_warnings()
    guard.install(GuardPolicy.RAISE)
    yield
    guard.deactivate()
    guard.uninstall()


def refused(function: Callable[[], Any]) -> list[ForbiddenOperationError]:
    """Run a function as orchestrator code, and return what was reported."""
    reports: list[ForbiddenOperationError] = []

    async def main() -> None:
        guard.activate(reports.append)
        with contextlib.suppress(ForbiddenOperationError):
            function()
        guard.deactivate()

    InlineLoop().run(main())
    return reports


def operations(function: Callable[[], Any]) -> list[str]:
    return [error.operation for error in refused(function)]


# -- call sites


@dataclass
class Order:
    id: uuid.UUID = field(default_factory=uuid.uuid4)


own = random.Random(3)
frozen_clock = functools.partial(time.time)

CALLS = [
    (lambda: time.time(), "time.time"),
    (lambda: wall(), "time.time"),
    (lambda: time.sleep(0), "time.sleep"),
    (lambda: time.localtime(), "time.localtime"),
    (lambda: datetime.now(), "datetime.now"),
    (lambda: datetime.utcnow(), "datetime.utcnow"),
    (lambda: datetime.today(), "datetime.today"),
    (lambda: date.today(), "datetime.today"),
    (lambda: random.random(), "random.random"),
    (lambda: random.randint(1, 2), "random.randint"),
    (lambda: random.shuffle([1, 2]), "random.shuffle"),
    (lambda: random.Random(), "random.Random"),
    (lambda: secrets.token_hex(), "secrets.token_hex"),
    (lambda: secrets.choice([1]), "secrets.choice"),
    (lambda: uuid.uuid4(), "uuid.uuid4"),
    (lambda: uuid.uuid1(), "uuid.uuid1"),
    (lambda: os.urandom(3), "os.urandom"),
    (lambda: os.getpid(), "os.getpid"),
    (lambda: os.getenv("PATH"), "os.getenv"),
    (lambda: os.environ["PATH"], "os.environ"),
    (lambda: os.environ.get("PATH"), "os.environ"),
    (lambda: frozen_clock(), "time.time"),
    (lambda: next(iter(uuid.uuid4, None)), "uuid.uuid4"),  # called by C
    (lambda: Order(), "uuid.uuid4"),
    (lambda: subprocess.run(["true"], check=False), "subprocess.run"),
    (lambda: asyncio.new_event_loop(), "asyncio.new_event_loop"),
]


@watched
@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow")
@pytest.mark.parametrize(
    ("function", "operation"), CALLS, ids=[f"{n}-{c[1]}" for n, c in enumerate(CALLS)]
)
def test_refuses_calls(function: Callable[[], Any], operation: str) -> None:
    assert operations(function) == [operation]
    assert operations(function) == [operation], "the call site is watched on"


@watched
def test_the_error_names_the_line_and_what_to_use() -> None:
    def function() -> None:
        time.time()

    (error,) = refused(function)

    assert error.source == f"{__file__}:{function.__code__.co_firstlineno + 1}"
    assert "ctx.now()" in str(error)


@watched
def test_names_the_users_line_when_generated_code_did_it() -> None:
    def function() -> Order:
        return Order()

    (error,) = refused(function)

    assert error.source == f"{__file__}:{function.__code__.co_firstlineno + 1}"


@watched
def test_an_error_that_is_swallowed_was_reported() -> None:
    def function() -> None:
        with contextlib.suppress(BaseException):
            time.time()

    assert operations(function) == ["time.time"]


# -- audit events, on every version


def start_thread() -> None:
    threading.Thread(target=int).start()


def open_file(path: str) -> None:
    with open(path, encoding="utf-8"):
        pass


EVENTS: list[tuple[Callable[[], Any], set[str]]] = [
    (lambda: open_file(__file__), {"open", "opening a file"}),
    (lambda: Path(__file__).read_bytes(), {"pathlib.Path.read_bytes", "opening a file"}),
    (lambda: os.listdir("."), {"os.listdir"}),
    (lambda: socket.socket(), {"socket.socket", "socket.__new__"}),
    (lambda: socket.getaddrinfo("localhost", 1), {"socket.getaddrinfo"}),
    (lambda: subprocess.Popen(["true"]), {"subprocess.Popen"}),
    (lambda: os.system("true"), {"os.system"}),
    (lambda: sqlite3.connect(":memory:"), {"sqlite3.connect"}),
    (start_thread, {"threading.Thread.start", "starting a thread"}),
]


@pytest.mark.parametrize(("function", "names"), EVENTS, ids=[f"{n}" for n in range(len(EVENTS))])
def test_refuses_events(function: Callable[[], Any], names: set[str]) -> None:
    (error,) = refused(function)

    assert error.operation in names
    assert error.source is not None
    assert error.source.startswith(__file__)


def test_a_refused_thread_does_not_start() -> None:
    started: list[int] = []
    thread = threading.Thread(target=started.append, args=(1,))

    assert len(refused(lambda: thread.start())) == 1
    assert not thread.is_alive()
    assert started == []


async def test_a_worker_thread_of_anyio_does_not_start() -> None:
    import anyio

    reports: list[ForbiddenOperationError] = []

    async def main() -> None:
        guard.activate(reports.append)
        with contextlib.suppress(ForbiddenOperationError):
            await anyio.to_thread.run_sync(int)
        guard.deactivate()

    InlineLoop().run(main())

    assert {error.operation for error in reports} <= {
        "anyio.to_thread.run_sync",
        "starting a thread",
    }
    assert len(reports) == 1


# -- what is left alone


def logs(path: Path) -> Callable[[], None]:
    def function() -> None:
        logger = logging.getLogger("guarded")
        handler = logging.FileHandler(path, delay=True)
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        logger.addHandler(handler)
        try:
            raise ValueError("x")
        except ValueError:
            logger.exception("failed")
        logger.removeHandler(handler)
        handler.close()

    return function


def test_logging_may_ask_the_clock_and_write_files(tmp_path: Path) -> None:
    path = tmp_path / "log"

    assert operations(logs(path)) == []
    assert "ValueError: x" in path.read_text(encoding="utf-8")


class StampingHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        record.stamp = time.time()
        record.id = uuid.uuid4()


def test_a_handler_of_the_users_own_may_too() -> None:
    logger = logging.getLogger("guarded")
    handler = StampingHandler()
    logger.addHandler(handler)

    assert operations(lambda: logger.error("x")) == []
    logger.removeHandler(handler)


def test_imports_may_read_files_and_run_module_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "imported_in_a_turn.py").write_text("import time\nloaded = time.time()\n")
    monkeypatch.syspath_prepend(tmp_path)
    found: list[ModuleType] = []

    def function() -> None:
        import imported_in_a_turn  # type: ignore[import-not-found]

        found.append(imported_in_a_turn)

    assert operations(function) == []
    assert found[0].loaded > 0


def test_finalizers_are_nobodys_fault() -> None:
    ran: list[float] = []

    class Owner:
        def __del__(self) -> None:
            ran.append(time.time())

    assert operations(lambda: Owner() and None) == []
    assert len(ran) == 1


def test_seeded_randomness_and_pure_time_are_legal() -> None:
    def function() -> None:
        random.Random(5).shuffle([1, 2])
        own.random()
        own.randint(1, 2)
        own.choice([1])
        time.localtime(5.0)
        time.gmtime(0)
        datetime.fromisoformat("2024-01-01")
        uuid.uuid5(uuid.NAMESPACE_DNS, "x")
        logging.getLogger("x")

    assert operations(function) == []


def test_our_own_package_is_exempt() -> None:
    scope: dict[str, Any] = {"__name__": "durable_async.somewhere", "time": time, "open": open}
    exec(
        compile(f"def ours():\n time.time()\n open({__file__!r}).close()", "ours.py", "exec"), scope
    )

    assert operations(scope["ours"]) == []


@watched
def test_a_trusted_package_is_exempt() -> None:
    scope: dict[str, Any] = {"__name__": "metrics.clock", "time": time}
    exec(compile("def stamp():\n return time.time()", "metrics.py", "exec"), scope)
    stamp = scope["stamp"]

    assert operations(lambda: stamp()) == ["time.time"]
    guard.install(GuardPolicy.RAISE, trusted=["metrics"])
    assert operations(lambda: stamp()) == []
    guard.install(GuardPolicy.RAISE)
    assert operations(lambda: stamp()) == ["time.time"]


def test_nothing_is_refused_outside_of_turns() -> None:
    assert operations(lambda: None) == []

    assert time.time() > 0
    assert uuid.uuid4() != uuid.uuid4()
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()


def test_other_threads_are_free_while_a_turn_runs() -> None:
    reports: list[Any] = []
    go, done = threading.Event(), threading.Event()
    stamps: list[float] = []

    def other() -> None:
        go.wait(10)
        open_file(__file__)
        stamps.append(time.time())
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    guard.activate(reports.append)
    go.set()
    done.wait(10)
    guard.deactivate()
    thread.join()

    assert reports == []
    assert len(stamps) == 1


def test_turns_in_two_threads_are_told_apart() -> None:
    reports: dict[str, list[ForbiddenOperationError]] = {"here": [], "there": []}
    done = threading.Event()

    def other() -> None:
        guard.activate(reports["there"].append)
        with contextlib.suppress(ForbiddenOperationError):
            open_file(__file__)
        guard.deactivate()  # the system gives a thread's number to a later one
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    guard.activate(reports["here"].append)
    done.wait(10)
    assert guard.is_active()
    guard.deactivate()
    assert not guard.is_active()
    thread.join()

    assert reports["here"] == []
    assert len(reports["there"]) == 1


# -- the way out


def test_unsafe_blocks_may_do_everything() -> None:
    def function() -> None:
        with unsafe_nondeterminism():
            time.time()
            open_file(__file__)
            with unsafe_nondeterminism():
                uuid.uuid4()
            uuid.uuid4()
        os.listdir(".")

    assert operations(function) == ["os.listdir"]


def test_an_unsafe_block_covers_its_own_task_only_across_awaits() -> None:
    reports: list[ForbiddenOperationError] = []
    passed: list[str] = []

    async def careless() -> None:
        with unsafe_nondeterminism():
            await asyncio.sleep(2)
            os.listdir(".")
            passed.append("careless")

    async def other() -> None:
        await asyncio.sleep(1)
        os.listdir(".")

    async def main() -> None:
        await asyncio.gather(careless(), other(), return_exceptions=True)

    guard.activate(reports.append)
    InlineLoop().run(main())
    guard.deactivate()

    assert passed == ["careless"]
    assert [error.operation for error in reports] == ["os.listdir"]


# -- policy


@watched
def test_warns_of_soft_operations_once_for_each_line() -> None:
    guard.install(GuardPolicy.WARN)

    def function() -> None:
        for _ in range(3):
            os.getpid()
        os.getpid()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert operations(function) == []
        assert operations(function) == []

    first = function.__code__.co_firstlineno
    assert [(w.category, w.filename, w.lineno) for w in caught] == [
        (DeterminismWarning, __file__, first + 2),
        (DeterminismWarning, __file__, first + 3),
    ]


@watched
def test_refuses_soft_operations_where_warnings_are_errors() -> None:
    guard.install(GuardPolicy.WARN)

    def function() -> None:
        os.getpid()

    assert operations(function) == ["os.getpid"]
    assert operations(function) == ["os.getpid"]


@watched
@pytest.mark.parametrize("policy", [GuardPolicy.OFF, GuardPolicy.WARN, GuardPolicy.RAISE])
def test_hard_operations_are_refused_under_every_policy(policy: GuardPolicy) -> None:
    guard.install(policy)

    assert operations(lambda: time.time()) == ["time.time"]


def test_policy_off_passes_over_soft_operations() -> None:
    guard.install(GuardPolicy.OFF)

    assert operations(lambda: os.getpid()) == []


@watched
def test_soft_operations_of_libraries_are_passed_over() -> None:
    scope: dict[str, Any] = {"__name__": "somelib", "os": os, "time": time}
    code = compile(
        "def pid(): return os.getpid()\ndef now(): return time.time()",
        "/x/site-packages/somelib.py",
        "exec",
    )
    exec(code, scope)

    assert operations(lambda: scope["pid"]()) == []
    (error,) = refused(lambda: scope["now"]())
    assert error.source is not None
    assert error.source.startswith(__file__), "the user's line is shown, not the library's"


# -- up and down


def test_installs_once_and_comes_down() -> None:
    start = threading.Thread.start
    guard.install(GuardPolicy.RAISE)
    assert threading.Thread.start is start
    assert guard.is_installed()

    guard.uninstall()

    assert not guard.is_installed()
    assert not monitoring.is_watching()
    assert operations(lambda: (time.time(), open_file(__file__))) == []
    guard.uninstall()
    guard.install(GuardPolicy.RAISE)
    assert operations(lambda: open_file(__file__)) != []


@watched
def test_shares_monitoring_with_other_tools() -> None:
    guard.uninstall()
    tools = sys.monitoring
    seen: list[str] = []
    held = [tool for tool in (4, 3) if tools.get_tool(tool) is None]
    for tool in held:
        tools.use_tool_id(tool, "another")

    def see(code: Any, offset: int, callee: Any, first: Any) -> None:
        if callee is time.time:
            seen.append(code.co_name)

    tools.register_callback(held[0], tools.events.CALL, see)
    tools.set_events(held[0], tools.events.CALL)
    try:
        guard.install(GuardPolicy.RAISE)

        def function() -> None:
            time.time()

        assert operations(function) == ["time.time"]
        assert "function" in seen
        assert tools.get_tool(held[0]) == "another"
    finally:
        for tool in held:
            tools.set_events(tool, 0)
            tools.free_tool_id(tool)


@watched
def test_goes_without_monitoring_when_no_tool_number_is_free() -> None:
    guard.uninstall()
    tools = sys.monitoring
    held = [tool for tool in range(6) if tools.get_tool(tool) is None]
    for tool in held:
        tools.use_tool_id(tool, "another")
    try:
        guard.install(GuardPolicy.RAISE)

        assert not monitoring.is_watching()
        assert operations(lambda: os.listdir(".")) == ["os.listdir"]
    finally:
        for tool in held:
            tools.free_tool_id(tool)


def test_nothing_happens_at_import() -> None:
    script = """
import sys, threading
start = threading.Thread.start
import durable_async._kernel.guard as guard
assert threading.Thread.start is start
assert not guard.is_installed()
if sys.version_info >= (3, 12):
    assert all(sys.monitoring.get_tool(tool) != "durable_async" for tool in range(6))
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=50)


def test_what_dies_after_the_modules_meets_no_net() -> None:
    script = """
import sys, types
sys.kept = early = sys.modules["early"] = types.ModuleType("early")  # outlives the modules below
from durable_async._kernel import guard

class Late:
    def __del__(self):
        len("")

guard.install()
early.late = Late()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=50
    )

    assert done.stderr == ""
