"""A soak finds what grows, and nothing where nothing does: by samples that are made up, and by processes that leak on purpose."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path.append(str(HERE))

from slopes import fit  # noqa: E402
from verdict import Verdict, judge  # noqa: E402

MINUTE = 60.0
BROKEN, IDLE = 1, 2


def sample(at: float, **changes: float) -> dict[str, Any]:
    """Make up a moment of a run in which nothing grows, except for what is said to."""
    noise = math.sin(at)
    process = {
        "pid": 1,
        "private": 50_000 + 40 * noise + changes.get("private", 0),
        "blocks": 180_000,
        "in_use": 10_000_000,
        "tasks": 20 + changes.get("tasks", 0),
        "threads": 4,
        "files": 12 + changes.get("files", 0),
        "sockets": 6,
        "kept": {"Slots._by_id": 900 + 30 * noise, "Ends._waiting": changes.get("ends", 0)},
    }
    shop = {"done": round(at * 50), "wrong": [], "failed": {}, "left_out": 0, "purged": 0}
    client = {**process, "at": at, "shop": shop, "phase": {"rate": 50.0, "fastest": 100.0}}
    table = {"bytes": 2**20, "index_bytes": 2**20, "dead": 9, "vacuums": round(at / 60)}
    return {
        "at": at,
        "cpu_seconds": at / 2,
        "idle_in_transaction": changes.get("idle", 0.0),
        "processes": {"w1": process, "c1": client},
        "store": {
            "bytes": 2**23,
            "notifications": 0.0,
            "xids": round(at * 100),
            "multixacts": changes.get("multixacts", 0),
            "commits": round(at * 200),
            "deadlocks": 0,
            "sessions": 14,
            "tables": {"letters": {**table, "live": 100 + changes.get("live", 0)}},
        },
    }


def judged(minutes: float, **hourly: float) -> Verdict:
    """Judge a run in which some things grow by so much an hour."""
    moments = [5.0 * number for number in range(round(minutes * 12))]
    samples = [
        sample(at, **{name: value * at / 3600 for name, value in hourly.items()}) for at in moments
    ]
    return judge(samples, [])


def test_a_line_is_found_with_its_error() -> None:
    slope = fit([(at * MINUTE, 3.0 * at / 60 + (-1) ** at * 0.1) for at in range(60)])
    assert slope.hourly == pytest.approx(3.0, abs=0.1)
    assert 0 < slope.error < 0.1
    assert slope.is_above(2.5)
    assert not slope.is_above(3.0)


def test_two_points_prove_nothing() -> None:
    assert not fit([(0.0, 0.0), (1.0, 100.0)]).is_above(0)


def test_nothing_grows() -> None:
    verdict = judged(60)
    assert (verdict.broken, verdict.idle) == ([], [])
    assert verdict.figures["errands_a_second"] == pytest.approx(50, abs=0.1)


@pytest.mark.parametrize(
    ("what", "hourly", "said"),
    [
        ("private", 1.5 * 1024, "w1: memory grows by 1.5"),
        ("tasks", 30, "w1: tasks grew"),
        ("files", 10, "w1: files grew"),
        ("ends", 300, "w1: Ends._waiting grew"),
        ("live", 2_000, "letters: live grew"),
        ("multixacts", 200 * 3600 / 500, "2.0 multixacts per 1,000 commits"),
        ("idle", 3, "a session was idle in a transaction for 3.0 s"),
    ],
)
def test_what_grows_is_found(what: str, hourly: float, said: str) -> None:
    verdict = judged(60, **{what: hourly})
    assert any(one.startswith(said) for one in verdict.broken), verdict.broken


def test_a_short_run_proves_nothing_about_what_fills_up() -> None:
    verdict = judged(3, private=500 * 1024, live=1_000_000)
    assert verdict.broken == []
    assert [one.partition(" grew")[0].partition(" grows")[0] for one in verdict.idle] == [
        "w1: memory",
        "c1: memory",
        "letters: live",
    ]


def test_a_client_that_is_too_slow_proves_nothing() -> None:
    moments = [sample(5.0 * number) for number in range(720)]
    for one in moments:
        one["processes"]["c1"]["shop"]["done"] //= 3
    assert any("at a rate of 50" in one for one in judge(moments, []).idle)


def test_errands_that_a_slower_machine_leaves_under_way_are_no_growth() -> None:
    moments = [sample(5.0 * number) for number in range(720)]
    for number, one in enumerate(moments):
        client = one["processes"]["c1"]
        client["shop"]["under_way"] = number // 8
        client["tasks"] += number // 8
    assert judge(moments, []).broken == []
    for number, one in enumerate(moments):
        one["processes"]["c1"]["tasks"] += number // 20
    assert any(one.startswith("c1: tasks grew") for one in judge(moments, []).broken)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("sqlite --leak tasks", BROKEN, "w1: tasks grew"),
        ("postgres", IDLE, "too early to tell"),
    ],
)
def test_processes_are_observed(arguments: str, code: int, said: str) -> None:
    """For some seconds, in processes of their own."""
    command = [sys.executable, str(HERE), *arguments.split(), "--minutes", "0.2", "--rate", "8"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stderr
