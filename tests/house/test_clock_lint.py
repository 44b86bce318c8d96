"""Time, chance, ids, tasks and threads come from the injected environment, and from nowhere else.

A simulation can only own the world if nothing in the library goes round it. So every mention of a
real clock or of chance is refused here, called or only passed on, unless a line below allows it
and says why.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from .source import PACKAGE, dotted, imported_names, parse, python_files

BANNED = {
    "asyncio.create_task",
    "asyncio.ensure_future",
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "os.getrandom",
    "os.urandom",
    "threading.Thread",
    "threading.Timer",
    "time.clock_gettime",
    "time.monotonic",
    "time.monotonic_ns",
    "time.perf_counter",
    "time.perf_counter_ns",
    "time.sleep",
    "time.time",
    "time.time_ns",
    "uuid.uuid1",
    "uuid.uuid4",
}
BANNED_MODULES = ("random", "secrets")

# (file below src/durable_async, name or "*") -> why it may ask the world.
ALLOWED: dict[tuple[str, str], str] = {
    ("backends/postgres/ears.py", "*"): "jitter of a connection that no simulation has",
    ("backends/postgres/embedded.py", "*"): "starts a server process, in real time",
    (
        "backends/postgres/lifelines.py",
        "*",
    ): "a thread of real connections, which no simulation has",
    ("backends/postgres/link.py", "*"): "jitter of a connection that no simulation has",
    ("cli/_tied.py", "threading.Thread"): "waits for a real parent, which no simulation has",
    (
        "dashboard/_csrf.py",
        "secrets.token_urlsafe",
    ): "a secret of a browser's session, which no simulation has",
    ("dashboard/actions/confirm.py", "secrets.token_hex"): "names a form, of which the same holds",
    ("environment.py", "*"): "the injected environment is where the real world enters",
    (
        "integrations/_http/idempotency.py",
        "secrets.token_hex",
    ): "names a request of HTTP, which no simulation has",
    (
        "integrations/aiohttp.py",
        "asyncio.create_task",
    ): "the life of an application of aiohttp, which no simulation has",
    ("backends/sqlite/connection.py", "threading.Thread"): (
        "one thread owns the writing connection; inline mode does without"
    ),
    ("testing/postgres.py", "*"): "a real server, whose databases need names of their own",
    ("testing/proxy.py", "threading.Thread"): "goes on while the loop under test is blocked",
}


def worldly_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and full name of everything in a module that asks the real world."""
    names = imported_names(tree)
    seeded = {
        node.func
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and dotted(node.func, names) == "random.Random"
        and (node.args or node.keywords)
    }
    annotations = set(annotation_nodes(tree))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Name | ast.Attribute) or node in seeded:
            continue
        name = dotted(node, names)
        if name == "random.Random" and node in annotations:
            continue
        if name in BANNED or (name or "").startswith(tuple(f"{m}." for m in BANNED_MODULES)):
            yield node.lineno, str(name)


def annotation_nodes(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield every node of a type annotation, where naming `random.Random` asks nothing."""
    for node in ast.walk(tree):
        for part in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if part is not None:
                yield from ast.walk(part)


def found() -> list[tuple[str, int, str]]:
    return [
        (path.relative_to(PACKAGE).as_posix(), line, name)
        for path in python_files(PACKAGE)
        for line, name in worldly_names(parse(path))
    ]


def allowed(path: str, name: str) -> bool:
    return (path, name) in ALLOWED or (path, "*") in ALLOWED


def test_only_the_environment_asks_the_world() -> None:
    assert [hit for hit in found() if not allowed(hit[0], hit[2])] == []


def test_allowances_are_still_needed() -> None:
    used = {(path, name) for path, _, name in found()} | {(path, "*") for path, _, _ in found()}
    present = {entry for entry in ALLOWED if (PACKAGE / entry[0]).exists()}
    assert present - used == set()


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import time\ntime.time()", ["time.time"]),
        ("import time as t\nnow = t.monotonic", ["time.monotonic"]),
        ("from time import monotonic as tick\ntick()", ["time.monotonic"]),
        ("from datetime import datetime\ndatetime.now()", ["datetime.datetime.now"]),
        ("import datetime as dt\ndt.datetime.now(dt.UTC)", ["datetime.datetime.now"]),
        ("import random\nrandom.random()", ["random.random"]),
        ("import random\nrandom.Random()", ["random.Random"]),
        ("import random\nrandom.Random(7)", []),
        ("import random\ndef f(r: random.Random) -> random.Random: ...", []),
        ("from uuid import uuid4\nfield(default_factory=uuid4)", ["uuid.uuid4"]),
        ("def f():\n    import asyncio\n    asyncio.create_task(g())", ["asyncio.create_task"]),
        ("import threading\nthreading.Thread(target=f)", ["threading.Thread"]),
        ("import threading\nthreading.get_ident()", []),
        ("def f(time):\n    return time.time()", []),
        ("'time.time()'", []),
    ],
)
def test_the_lint_sees_through_imports(source: str, names: list[str]) -> None:
    assert [name for _, name in worldly_names(ast.parse(source))] == names
