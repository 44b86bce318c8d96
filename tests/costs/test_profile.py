"""Samples of the stack belong to the floor of the innermost frame that has one."""

from __future__ import annotations

import pytest
from benchmarks.floors import ELSEWHERE, floor_of
from benchmarks.profile import SYSTEM, pruned, report, shares

BASE = "main (/src/benchmarks/profile.py:1);profiled (/src/benchmarks/profile.py:2)"
LINK = "run (/src/durable_async/backends/postgres/link.py:9)"


@pytest.mark.parametrize(
    ("frames", "floor"),
    [
        (LINK, "store"),
        (f"{LINK};fetch (/lib/asyncpg/connection.py:5)", "driver"),
        (f"{LINK};0x7f00 (/lib/asyncpg/protocol/protocol.so)", "driver"),
        (f"{LINK};PyObject_Call (/lib/libpython3.11.so.1.0)", "store"),
        (f"{LINK};__send (/lib/libc.so.6)", SYSTEM),
        (f"{LINK};orjson_dumps (/lib/orjson/orjson.so)", "values"),
        ("0x1 (/lib/nobody.so)", ELSEWHERE),
    ],
)
def test_a_sample_belongs_to_one_floor(frames: str, floor: str) -> None:
    assert shares([f"{BASE};{frames} 7"]) == {floor: 7}


def test_what_was_not_to_be_looked_at_is_left_out() -> None:
    assert shares([f"main (/a.py:1);{LINK} 7"]) == {}


def test_the_report_tells_parts_of_the_whole() -> None:
    text = report(
        shares([f"{BASE};{LINK} 3", f"{BASE};f (/src/durable_async/_kernel/loop.py:1) 1"]), 80.0
    )
    assert "| store | 60.0 | 75% |" in text
    assert "| kernel | 20.0 | 25% |" in text


@pytest.mark.parametrize(
    ("path", "floor"),
    [
        ("/x/src/durable_async/worker/_committer.py", "committer"),
        ("/x/src/durable_async/worker/_turns.py", "worker"),
        ("C:\\x\\durable_async\\_kernel\\loop.py", "kernel"),
        ("/usr/lib/python3.11/asyncio/events.py", "asyncio and anyio"),
        ("/x/shop.py", ELSEWHERE),
    ],
)
def test_files_have_floors(path: str, floor: str) -> None:
    assert floor_of(path) == floor


def test_boxes_too_narrow_to_be_seen_are_left_out() -> None:
    box = '<g><title>f</title><rect x="1" width="{}%" y="2"/><text x="3">f</text></g>'
    assert pruned(box.format("0.01") + box.format("5.5")) == box.format("5.5")
    title = '<text id="title" x="50%">{}</text>'
    assert pruned(title.format("/home/me/py-spy record")) == title.format("Where the time goes")
