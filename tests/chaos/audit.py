"""What the server's own ledger proves: no zombie wrote, and no commit whose answer was lost was sent again."""

from __future__ import annotations

import bisect
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from faults import Fault

DDL = Path(__file__).with_name("audit.sql")


@dataclass
class Audit:
    """What the server saw.

    Attributes:
        commits: Batches that were committed.
        turns: When each turn was written: of an instance, an execution, by its number.
        resumed: How often a worker went on with the next number of its fence on a new connection, without a new identity.
        broken: What must not be: a number of a fence that was used twice or left out, a turn that a zombie wrote.
        commits_of: What each process committed, in order.
    """

    commits: int = 0
    turns: dict[tuple[str, int, int], int] = field(default_factory=dict)
    resumed: int = 0
    broken: list[str] = field(default_factory=list)
    commits_of: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))

    def has_landed(self, process: int, lost_us: int) -> bool:
        """Tell whether a process committed something, got no answer, and went on with the next number of its fence on another connection."""
        commits = self.commits_of[str(process)]
        after = bisect.bisect_right(commits, lost_us, key=lambda row: row["at_us"])
        # It may have been noted a little late.
        pairs = pairwise(commits[max(after - 2, 0) : after + 1])
        return any(
            one["session"] != two["session"]
            and (one["worker"], one["epoch"], one["seq"] + 1)
            == (two["worker"], two["epoch"], two["seq"])
            for one, two in pairs
        )


def read_audit(rows: list[Any], faults: list[Fault]) -> Audit:
    """Go through the server's ledger, in order."""
    audit = Audit()
    sessions: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
    gone: dict[str, int] = {}
    for row in rows:
        match row["kind"]:
            case "turn":
                turn = (row["instance"], row["execution"], row["turn"])
                if turn in audit.turns:
                    audit.broken.append(f"turn {turn} was recorded twice")
                audit.turns[turn] = row["at_us"]
            case "commit":
                audit.commits += 1
                audit.commits_of[row["process"]].append(row)
                sessions[row["worker"], row["epoch"]].append((row["seq"], row["session"]))
                if row["worker"] in gone:
                    audit.broken.append(f"{row['worker']} committed after it was gone")
            case "gone":
                gone[row["worker"]] = row["at_us"]
            case _:
                pass
    for identity, steps in sessions.items():
        if [seq for seq, _ in steps] != list(range(1, len(steps) + 1)):
            audit.broken.append(f"{identity}: its fence did not move by one: {steps}")
        audit.resumed += sum(one[1] != two[1] for one, two in pairwise(steps))
    for fault in faults if rows else ():
        _check_zombie(audit, fault, rows)
    return audit


def _check_zombie(audit: Audit, fault: Fault, rows: list[Any]) -> None:
    """From the moment at which it was taken over to its next registration, a process writes nothing."""
    if fault.process is None or fault.identity is None:
        return
    taken_us = [
        row["at_us"] for row in rows if row["kind"] == "gone" and row["worker"] == fault.identity
    ]
    if taken_us and taken_us[0] < fault.at_us:
        return  # another fault was faster
    came_us = [
        row["at_us"]
        for row in rows
        if row["kind"] == "came"
        and row["process"] == str(fault.process)
        and row["at_us"] > fault.at_us
    ]
    if not taken_us or not came_us:
        audit.broken.append(f"{fault.identity} was not taken over, or did not come back")
        return
    audit.broken += (
        f"{row['kind']} by {fault.identity} at {row['at_us']}, when it was a zombie"
        for row in rows
        if row["process"] == str(fault.process)
        and row["kind"] in ("commit", "turn")
        and taken_us[0] < row["at_us"] < came_us[0]
    )
