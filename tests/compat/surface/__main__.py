"""``./dev python -m tests.compat.surface``: the counts of the table, what differs from it, and the files that are made from it.

count      same, better and declined (without a command)
gaps       where our package is not what the table says
snapshot   compat/surface.json, read anew from the SDK in an environment of its own
page       docs/reference/durable-task-names.md
"""

from __future__ import annotations

import sys

from .compare import gaps
from .page import PAGE, page
from .surfaces import read_ours, read_sdk, write_snapshot
from .table import BETTER, DECLINED, SAME, count, entries, load_snapshot, load_table


def main(command: str = "count") -> int:
    table = load_table()
    match command:
        case "snapshot":
            from benchmarks.peer import RELEASE, peer_python

            read = read_sdk(table, peer_python())
            for module in read["unknown"]:
                print(f"{module} is neither in the table nor outside of it")
            write_snapshot(RELEASE, read["modules"])
        case "page":
            PAGE.write_text(page(table, load_snapshot()), encoding="utf-8")
        case "gaps":
            snapshot = load_snapshot()
            ours = read_ours(snapshot)
            found = list(gaps(list(entries(table, snapshot["modules"])), ours["modules"]))
            wanted = {gap.entry.module for gap in found}
            for module in sorted(wanted & set(ours["broken"])):
                print(f"{module}: {ours['broken'][module]}")
            for gap in found:
                print(gap)
            return 1 if found else 0
        case "count":
            counts = count(list(entries(table, load_snapshot()["modules"])))
            print(*(f"{status} {counts[status]}" for status in (SAME, BETTER, DECLINED)), sep="\n")
        case _:
            print(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
