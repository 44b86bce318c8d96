"""Nothing in a process grows with what others ask for: each queue and each place where a task is made says what bounds it.

A queue that nobody bounded is found here, when it is written, and not by whoever runs out of memory.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from .source import PACKAGE, parse, python_files

GROWS = {
    "Course",
    "Queue",
    "SimpleQueue",
    "Thread",
    "create_memory_object_stream",
    "create_task",
    "deque",
    "ensure_future",
    "start_soon",
}
"""By the last name of what is called."""

ELSEWHERE = ("cli/", "testing/")
"""What no server runs."""

# (file below src/durable_async, what is called there) -> what bounds it.
BOUNDS: dict[tuple[str, str], str] = {
    (
        "_kernel/entities/instance.py",
        "deque",
    ): "letters of one mailbox: letters_max from clients, and what other instances have under way",
    ("_kernel/entities/mail.py", "deque"): "the same letters",
    ("_kernel/guard/lint.py", "deque"): "functions of one module",
    (
        "_kernel/letters.py",
        "deque",
    ): "letters of one mailbox: letters_max from clients, and what other instances have under way",
    (
        "_kernel/loop.py",
        "create_task",
    ): "tasks of one orchestration's code: 100,000 callbacks a turn, turn_calls_max",
    ("_kernel/loop.py", "deque"): "callbacks of one turn: 100,000",
    ("_kernel/orchestration.py", "create_task"): "one for each warm orchestration: instances_max",
    ("backends/offload/transfers.py", "start_soon"): "payloads of one call, so many at a time",
    ("backends/postgres/ears.py", "create_task"): "one for each backend",
    ("backends/postgres/lifelines.py", "Thread"): "one for each backend",
    ("backends/postgres/link.py", "Course"): "one for each connection: two, and clients_max",
    ("backends/postgres/link.py", "create_task"): "one for each connection, while it is doubted",
    (
        "backends/postgres/undisturbed.py",
        "create_task",
    ): "the rest of a statement whose caller left: one for each connection",
    (
        "backends/sqlite/connection.py",
        "SimpleQueue",
    ): "a job for each caller that waits; clients' callers are gathered into one call of each kind",
    ("backends/sqlite/connection.py", "Thread"): "two for each backend",
    ("client/_gathering.py", "deque"): "waiting_max, then OverloadedError",
    ("environment.py", "Thread"): "two for each session of a worker",
    ("integrations/_asgi.py", "start_soon"): "one for each stream of news that somebody listens to",
    ("integrations/aiohttp.py", "create_task"): "one for each application",
    ("worker/_activities.py", "create_task"): "activities_max",
    ("schedules/_cron.py", "deque"): "times that a clock shows twice: mostly those of an hour",
    ("worker/_activities.py", "deque"): "backlog_max; what is beyond goes to the hub's queue",
    (
        "worker/_committer.py",
        "deque",
    ): "one turn for each warm instance, and one item for each activity: instances_max, activities_max",
    ("worker/_conversations.py", "deque"): "letters of one conversation: 200 turns",
    ("worker/_entities.py", "create_task"): "operations_max",
    ("worker/_session.py", "start_soon"): "a dozen for each session",
    ("worker/_slots.py", "deque"): "each warm instance once: instances_max",
}


def growing(tree: ast.Module) -> Iterator[str]:
    """Yield the last name of each call in a module that makes a queue, a task or a thread."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func.value if isinstance(node.func, ast.Subscript) else node.func
            name = getattr(called, "attr", getattr(called, "id", ""))
            if name in GROWS:
                yield name


def found() -> set[tuple[str, str]]:
    places = {path.relative_to(PACKAGE).as_posix(): path for path in python_files(PACKAGE)}
    return {
        (place, name)
        for place, path in places.items()
        if not place.startswith(ELSEWHERE)
        for name in growing(parse(path))
    }


def test_whatever_grows_says_what_bounds_it() -> None:
    assert found() - BOUNDS.keys() == set()


def test_bounds_are_still_needed() -> None:
    assert BOUNDS.keys() - found() == set()


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("deque()", ["deque"]),
        ("x = collections.deque([])", ["deque"]),
        ("queue.SimpleQueue[int]()", ["SimpleQueue"]),
        ("group.start_soon(f)", ["start_soon"]),
        ("async def f():\n    await g.create_task(h())", ["create_task"]),
        ("x: deque[int]", []),
        ("f(deque)", []),
    ],
)
def test_the_lint_sees_what_grows(source: str, names: list[str]) -> None:
    assert list(growing(ast.parse(source))) == names
