"""The counts as text, a line for each, and the comparison of what was counted with what is written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from .meter import Cost
from .stores import Tally

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "costs" / "expected"

Lines = dict[str, str]
"""What one workload costs: the name of a count, and what it is."""

BOUNDS = {"python calls": 0.02, "WAL bytes": 0.25}
"""Counts that depend a little on the release of Python or of the server, or on what lies beside a row: their sums are bounds, kept to within a part of them."""

HEAD = """\
What workloads cost on {store}, as ``./dev bench costs --accept`` counted it. A test holds these counts: exactly, but that {bounds}
are bounds. benchmarks/costs/workloads.py says what each workload is, stores.py and meter.py what is counted.
"""


def lines_of(cost: Cost) -> Lines:
    """Return what a workload cost, without what it had no use for."""
    store = cost.store
    lines = {
        "statements": str(store.statements),
        "commits": str(store.commits),
        "rows": _by_table(store.rows),
        "functions": str(store.functions),
        "notifications": str(store.notifications),
        "calls to work": str(store.calls_to_work),
        "kernel callbacks": str(cost.callbacks),
        "kernel tasks": str(cost.kernel_tasks),
        "tasks": str(cost.tasks),
        "python calls": str(cost.calls),
        "WAL bytes": str(store.wal_bytes),
    }
    return {name: told for name, told in lines.items() if told not in ("", "0")}


def _by_table(rows: Tally) -> str:
    tables: dict[str, str] = {}
    for name, count in sorted(rows.items()):
        table, _, sign = name.partition(" ")
        if count:
            tables[table] = f"{tables.get(table, table)} {sign}{count}"
    return ", ".join(tables.values())


def differences(expected: Lines, counted: Lines) -> list[str]:
    """Return what is not as expected, a line for each."""
    return [
        f"{name}: {expected.get(name, '0')}  ->  {counted.get(name, '0')}"
        for name in {**expected, **counted}
        if not _fits(name, expected.get(name, "0"), counted.get(name, "0"))
    ]


def _fits(name: str, expected: str, counted: str) -> bool:
    if name not in BOUNDS:
        return expected == counted
    allowed, count = (sum(numbers(told).values()) for told in (expected, counted))
    return count <= allowed * (1 + BOUNDS[name])


def numbers(told: str) -> dict[str, int]:
    """Return the counts that a line holds, by what they are of: a table with a sign, a name, or nothing."""
    counts: dict[str, int] = {}
    for part in told.split(", "):
        name = " ".join(re.findall(r"[a-z]\w*", part))
        for sign, count in re.findall(r"(?:^|(?<=\s))([+~-]?)(\d+)", part):
            counts[f"{name} {sign}".strip()] = int(count)
    return counts


def accepted(known: Lines, counted: Lines) -> Lines:
    """Return what to write down: what was counted, but bounds stay that are still good ones, lest they change each time."""
    return {
        name: known[name] if name in BOUNDS and _is_close(known, counted, name) else told
        for name, told in counted.items()
    }


def _is_close(known: Lines, counted: Lines, name: str) -> bool:
    one, other = known.get(name, ""), counted[name]
    return _fits(name, one, other) and _fits(name, other, one)


def render(store: str, costs: Mapping[str, Lines]) -> str:
    """Return the text of a file."""
    parts = [HEAD.format(store=store, bounds=" and ".join(BOUNDS))]
    width = max(len(name) for lines in costs.values() for name in lines)
    for workload, lines in costs.items():
        rows = [f"    {name:{width}}  {told}" for name, told in lines.items()]
        parts.append("\n".join([workload, *rows]) + "\n")
    return "\n".join(parts)


def read(store: str) -> dict[str, Lines]:
    """Return what is written of a store."""
    costs: dict[str, Lines] = {}
    path = FOLDER / f"{store}.txt"
    if not path.exists():
        return costs
    for line in _entries(path.read_text(encoding="utf-8")):
        if line.startswith("    "):
            name, told = re.split(r"\s{2,}", line.strip(), maxsplit=1)
            next(reversed(costs.values()))[name] = told
        else:
            costs[line] = {}
    return costs


def _entries(text: str) -> Iterable[str]:
    _, _, entries = text.partition("\n\n")
    return [line for line in entries.splitlines() if line]


def write(store: str, costs: Mapping[str, Lines]) -> None:
    """Accept what was counted."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{store}.txt").write_text(render(store, costs), encoding="utf-8")
