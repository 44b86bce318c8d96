"""What samples of a soak prove: that nothing grows, that something does, or nothing at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from slopes import Slope, fit

MEMORY_MIB_AN_HOUR = 1.0
IDLE_SECONDS_MAX = 2.0
MULTIXACTS_MAX = 1.0
NOTIFICATIONS_MAX = 0.01
_WARM_SECONDS = 600.0
_WARM_SHARE = 6
_FEWEST = 3
_COUNTS = ("tasks", "threads", "files", "sockets")
_GROWN_SHARE = 0.1
_FULL_HOURS = 8 / 60
"""After so long without the warm-up, caches, tables and the memory of processes are as full as they ever are; before that, they may grow."""

_KEPT_UP_SHARE = 0.5
"""What share of its rate the client has to reach: a machine that others use, too, may slow it down."""
_MIB = 1024

_GROWN = {"tasks": 5, "threads": 2, "files": 3, "sockets": 3, "kept": 50, "rows": 200}
"""By how much something may be more at the end than at the beginning, if it is little, before that is growth."""

_GROWN_BYTES = 2 * 1024 * 1024

_BOUNDS = {"Slots._by_id": 1_000, "_Worker.reported": 1_000, "KnownStates._states": 10_000}
"""What may fill up to a bound, and has not yet in a short run."""

Sample = dict[str, Any]


@dataclass
class Verdict:
    """What was found.

    Attributes:
        broken: The promises that were broken.
        idle: Why the run proves nothing.
        memory: By process: how its private memory grows, in MiB.
        grown: All that grew, by name.
        figures: What else was measured.
    """

    broken: list[str] = field(default_factory=list)
    idle: list[str] = field(default_factory=list)
    memory: dict[str, Slope] = field(default_factory=dict)
    grown: dict[str, Slope] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)


def judge(
    samples: Sequence[Sample], errors: Sequence[str], *, warm_seconds: float | None = None
) -> Verdict:
    """Judge all samples after the warm-up, and what the store logged as errors.

    Args:
        samples: All of them.
        errors: What the store logged.
        warm_seconds: How long the warm-up was, if not as long as always, as when the load became steady later.
    """
    verdict = Verdict()
    end = samples[-1]["at"] if samples else 0.0
    warm = min(_WARM_SECONDS, end / _WARM_SHARE) if warm_seconds is None else warm_seconds
    judged = [one for one in samples if one["at"] >= warm and one["store"]]
    if len(judged) < _FEWEST:
        verdict.idle.append(f"{len(judged)} samples after the warm-up")
        return verdict
    verdict.figures["minutes"] = round((end - warm) / 60, 1)
    _judge_processes(verdict, judged)
    _judge_store(verdict, judged)
    _judge_load(verdict, judged)
    verdict.broken += errors[:5]
    return verdict


def _judge_processes(verdict: Verdict, samples: list[Sample]) -> None:
    """Judge each process that lived all the time."""
    for name in samples[0]["processes"]:
        told = [(one["at"], one["processes"][name]) for one in samples]
        told = [(at, process) for at, process in told if "pid" in process]
        if not told or len({process["pid"] for _, process in told}) > 1:
            continue  # it was killed now and then
        _judge_memory(verdict, name, told)
        _note_use(verdict, name, told)
        for count in _COUNTS:
            points = [(at, process[count]) for at, process in told]
            if count == "tasks":
                points = [(at, process[count] - _under_way(process)) for at, process in told]
            _judge_growth(verdict, f"{name}: {count}", points, _GROWN[count])
        for kept in sorted({kept for _, process in told for kept in process["kept"]}):
            points = [(at, process["kept"].get(kept, 0)) for at, process in told]
            if max(value for _, value in points) > _BOUNDS.get(kept, 0):
                _judge_growth(verdict, f"{name}: {kept}", points, _GROWN["kept"], fills=True)
    if not verdict.memory:
        verdict.idle.append("no process lived all the time")


def _under_way(process: Sample) -> int:
    """Return how many errands a client waits for: each is a task, and how many follows from how fast the machine is at the moment."""
    under_way: int = process.get("shop", {}).get("under_way", 0)
    return under_way


def _judge_memory(verdict: Verdict, name: str, told: list[tuple[float, Sample]]) -> None:
    slope = fit([(at, process["private"] / _MIB) for at, process in told])
    verdict.memory[name] = slope
    grows = f"{name}: memory grows by {slope.hourly:.2f} ± {slope.error:.2f} MiB an hour"
    is_sure = slope.error <= MEMORY_MIB_AN_HOUR / 2
    if slope.hours < _FULL_HOURS or not (is_sure or slope.is_above(MEMORY_MIB_AN_HOUR)):
        verdict.idle.append(f"{grows}, which is too early to tell")
    elif slope.hourly > MEMORY_MIB_AN_HOUR:
        verdict.broken.append(grows)


def _note_use(verdict: Verdict, name: str, told: list[tuple[float, Sample]]) -> None:
    """Note how what is in use grows: it tells a leak from memory that is merely in pieces."""
    if len(told) < _FEWEST:
        return
    blocks = fit([(at, process["blocks"]) for at, process in told])
    verdict.figures[f"blocks_an_hour_of_{name}"] = (round(blocks.hourly), round(blocks.error))
    points = [(at, used / 2**20) for at, process in told if (used := process.get("in_use"))]
    if points:
        used = fit(points)
        figures = (round(used.hourly, 2), round(used.error, 2))
        verdict.figures[f"in_use_mib_an_hour_of_{name}"] = figures


def _judge_growth(
    verdict: Verdict,
    name: str,
    points: list[tuple[float, float]],
    allowed: float,
    *,
    fills: bool = False,
) -> None:
    """Growth is what is beyond doubt, and more than a little.

    Args:
        verdict: Takes it in.
        name: Of what may have grown.
        points: When it was how much.
        allowed: How much growth is little.
        fills: Whether it may grow at first.
    """
    slope = fit(points)
    if not slope.is_above(0) or slope.growth <= max(allowed, _GROWN_SHARE * slope.mean):
        return
    verdict.grown[name] = slope
    grew = f"{name} grew by {slope.growth:.0f} in {slope.hours * 60:.0f} minutes, from {points[0][1]} to {points[-1][1]}"
    if fills and slope.hours < _FULL_HOURS:
        verdict.idle.append(f"{grew}, which is too early to tell")
    else:
        verdict.broken.append(grew)


def _judge_store(verdict: Verdict, samples: list[Sample]) -> None:
    def series(figure: str) -> list[tuple[float, float]]:
        return [(one["at"], one["store"][figure]) for one in samples]

    first, last = samples[0]["store"], samples[-1]["store"]
    for size in ("bytes", "wal_bytes"):
        if size in first:
            _judge_growth(verdict, f"store: {size}", series(size), _GROWN_BYTES, fills=True)
    for table in first["tables"]:
        _judge_table(verdict, table, samples)
    if "xids" in first:
        _judge_server(verdict, samples)
    figures = verdict.figures
    figures["store_mib"] = [round(one["bytes"] / 2**20, 1) for one in (first, last)]
    figures["rows"] = {
        name: [first["tables"][name]["live"], table["live"]]
        for name, table in last["tables"].items()
    }


def _judge_table(verdict: Verdict, name: str, samples: list[Sample]) -> None:
    for what in samples[0]["store"]["tables"][name]:
        allowed = _GROWN_BYTES if what.endswith("bytes") else _GROWN["rows"]
        if what != "vacuums":
            points = [(one["at"], one["store"]["tables"][name][what]) for one in samples]
            _judge_growth(verdict, f"{name}: {what}", points, allowed, fills=True)


def _judge_server(verdict: Verdict, samples: list[Sample]) -> None:
    first, last = samples[0]["store"], samples[-1]["store"]
    commits = max(last["commits"] - first["commits"], 1)
    per_thousand = {
        name: round((last[name] - first[name]) / commits * 1_000, 2)
        for name in ("xids", "multixacts")
    }
    idle = max(one["idle_in_transaction"] for one in samples)
    notifications = max(one["store"]["notifications"] for one in samples)
    sessions = [(one["at"], one["store"]["sessions"]) for one in samples]
    _judge_growth(verdict, "server: sessions", sessions, _GROWN["sockets"])
    if per_thousand["multixacts"] > MULTIXACTS_MAX:
        verdict.broken.append(f"{per_thousand['multixacts']} multixacts per 1,000 commits")
    if idle > IDLE_SECONDS_MAX:
        verdict.broken.append(f"a session was idle in a transaction for {idle:.1f} s")
    if notifications > NOTIFICATIONS_MAX:
        verdict.broken.append(f"the queue of notifications was {notifications:.1%} full")
    if last["deadlocks"] > first["deadlocks"]:
        verdict.broken.append(f"{last['deadlocks'] - first['deadlocks']} deadlocks")
    verdict.figures |= {
        "commits": commits,
        "xids_per_1000_commits": per_thousand["xids"],
        "multixacts_per_1000_commits": per_thousand["multixacts"],
        "idle_in_transaction_seconds_max": round(idle, 2),
        "notification_queue_max": notifications,
        "sessions_max": max(count for _, count in sessions),
    }


def _judge_load(verdict: Verdict, samples: list[Sample]) -> None:
    first, last = _shop(samples), _shop(reversed(samples))
    seconds = samples[-1]["at"] - samples[0]["at"]
    if first is None or last is None:
        verdict.idle.append("the client tells nothing")
        return
    shop, phase = last["shop"], last["phase"]
    done = shop["done"] - first["shop"]["done"]
    began = last["at"] - first["at"]
    rate = phase.get("rate", 0.0)
    verdict.broken += shop["wrong"]
    verdict.broken += (f"{count} x {what}" for what, count in shop["failed"].items())
    if began <= 0 or done / began < _KEPT_UP_SHARE * rate:
        verdict.idle.append(f"{done} errands in {began:.0f} s, at a rate of {rate:.1f} a second")
    cpu = samples[-1]["cpu_seconds"] - samples[0]["cpu_seconds"]
    verdict.figures |= {
        "errands": shop["done"],
        "errands_a_second": round(done / began, 1) if began > 0 else 0.0,
        "rate": round(rate, 1),
        "fastest_a_second": round(phase.get("fastest", 0.0), 1),
        "purged": shop["purged"],
        "cores": round(cpu / seconds, 2),
    }


def _shop(samples: Iterable[Sample]) -> Sample | None:
    told = (one["processes"]["c1"] for one in samples)
    return next((one for one in told if one.get("phase", {}).get("rate")), None)
