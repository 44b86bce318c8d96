"""``./dev bench costs``: counts what each workload costs, and shows what has changed since it was written down.

./dev bench costs                            all workloads, on Postgres and SQLite
./dev bench costs fan-out --store sqlite     those whose name holds a word
./dev bench costs --accept                   write it down, for the test and for the page that tells it
"""

from __future__ import annotations

import argparse

from .counting import STORES, count, workloads_on
from .ledger import accepted, differences, read, render, write


def main(arguments: list[str] | None = None) -> None:
    """Count what was asked for."""
    parser = argparse.ArgumentParser(prog="./dev bench costs", description=__doc__)
    parser.add_argument("words", nargs="*", help="parts of workloads' names; by default all")
    parser.add_argument("--store", choices=STORES)
    parser.add_argument("--accept", action="store_true", help="write it down")
    chosen = parser.parse_args(arguments)
    for store in [chosen.store] if chosen.store else STORES:
        every = workloads_on(store)
        names = [name for name in every if all(word in name for word in chosen.words)]
        counted, known = dict(count(store, names)), read(store)
        print(render(store, counted))
        for name, lines in counted.items():
            for line in differences(known.get(name, {}), lines):
                print(f"changed: {store}: {name}: {line}")
        if chosen.accept:
            both = known | {
                name: accepted(known.get(name, {}), lines) for name, lines in counted.items()
            }
            write(store, {name: both[name] for name in every if name in both})


if __name__ == "__main__":
    main()
