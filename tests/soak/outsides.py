"""What the system tells of a process: memory, files, threads, connections, time on processors."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_KIB = {"VmRSS": "rss", "RssAnon": "anonymous", "Threads": "threads"}


def outsides(pid: int) -> dict[str, int]:
    """Tell of a process; sizes are KiB.

    ``private`` is what would be free if it ended: unlike ``rss``, it does not follow what others map or let go of.
    """
    folder = _PROC / str(pid)
    told = {
        _KIB[name]: int(rest.split()[0])
        for name, _, rest in (line.partition(":") for line in _lines(folder / "status"))
        if name in _KIB
    }
    told["private"] = sum(
        int(line.split()[1])
        for line in _lines(folder / "smaps_rollup")
        if line.startswith(("Private_Clean", "Private_Dirty"))
    )
    links = [_link(one) for one in (folder / "fd").iterdir()]
    told["files"] = len(links)
    told["sockets"] = sum(link.startswith("socket:") for link in links)
    return told


def cpu_seconds(root: int) -> float:
    """Return how long a process and all below it that live have been on processors, in seconds."""
    children: dict[int, list[int]] = defaultdict(list)
    ticks: dict[int, int] = {}
    for folder in _PROC.iterdir():
        if folder.name.isdigit() and (fields := _stat(folder)):
            pid = int(folder.name)
            children[int(fields[1])].append(pid)
            # Those of children that have ended count, too.
            ticks[pid] = sum(int(one) for one in fields[11:15])
    waiting, total = [root], 0
    while waiting:
        pid = waiting.pop()
        total += ticks.get(pid, 0)
        waiting += children[pid]
    return total / _TICKS


def _stat(folder: Path) -> list[str]:
    """Return the fields after the name, which may hold anything."""
    return " ".join(_lines(folder / "stat")).rpartition(")")[2].split()


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:  # it has ended
        return []


def _link(file: Path) -> str:
    try:
        return str(file.readlink())
    except OSError:
        return ""
