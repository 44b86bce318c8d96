"""``./dev bench model``: what many workers and many instances ask of a server, and where the walls are."""

from __future__ import annotations

import argparse

from benchmarks.costs.ledger import read

from .tables import amounts, used, walls


def main(arguments: list[str] | None = None) -> None:
    """Print the tables."""
    argparse.ArgumentParser(prog="./dev bench model", description=__doc__).parse_args(arguments)
    ledger = read("postgres")
    print("\n\n".join(table(ledger) for table in (used, walls, amounts)))


if __name__ == "__main__":
    main()
