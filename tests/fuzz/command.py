"""Give every surface what nobody should send, guided by coverage, and tell how it answered.

    ./dev fuzz                          every target, 100,000 inputs in all
    ./dev fuzz client --runs 100000
    ./dev fuzz all --minutes 10         so long for each target
    ./dev fuzz all --unguided           by chance alone: where atheris is not installed
    ./dev fuzz all --markdown

The exit code is 1 if something came out that no caller can be expected to handle, 2 if a target was given fewer inputs than were asked for.
Of each kind of such an input one is kept beside the tests, which replay it. Each target has a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TOTAL = 100_000
BROKEN, IDLE = 1, 2


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one target.

    Attributes:
        target: Its name.
        inputs: How many it was given.
        accepted: How many it took.
        refused: How many it refused, by the error.
        unhandled: What came out that must not, by where it came from; how often.
        edges: How many edges of the code were met; 0 where nobody counted.
    """

    target: str
    inputs: int
    accepted: int
    refused: dict[str, int]
    unhandled: dict[str, int]
    edges: int


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="./dev fuzz",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("targets", nargs="*", default=["all"], help="names, or all")
    parser.add_argument(
        "--total",
        type=int,
        default=TOTAL,
        metavar="N",
        help="inputs in all; each target gets its share",
    )
    parser.add_argument(
        "--runs", type=int, metavar="N", help="inputs for each target, instead of --total"
    )
    parser.add_argument("--minutes", type=float, metavar="N", help="time for each target, instead")
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="of chance; 1 if it is not said"
    )
    parser.add_argument("--unguided", action="store_true", help="by chance alone, without atheris")
    parser.add_argument("--markdown", action="store_true", help="a table for a page")
    parser.add_argument("--json", action="store_true", help="one document a target")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the targets one after the other; return the exit code."""
    given = parse(arguments)
    runs = _shared_out(_names(given.targets), given)
    rows = [_run(name, number, given) for name, number in runs.items()]
    print(_written(rows, given))
    return exit_code(rows, runs)


def exit_code(rows: Iterable[Row], asked: Mapping[str, int]) -> int:
    """Return it: 1 if something came out that must not, 2 if there were too few inputs to say so."""
    if any(row.unhandled for row in rows):
        return BROKEN
    return IDLE if any(row.inputs < max(asked[row.target], 1) for row in rows) else 0


def _names(asked: list[str]) -> list[str]:
    from .targets import TARGETS

    if "all" in asked:
        return list(TARGETS)
    unknown = [name for name in asked if name not in TARGETS]
    if unknown:
        sys.exit(f"no such target: {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    return asked


def _shared_out(names: list[str], given: argparse.Namespace) -> dict[str, int]:
    """Return how many inputs each target is to get; 0 where time decides."""
    from .targets import TARGETS

    if given.minutes or given.runs:
        return dict.fromkeys(names, 0 if given.minutes else given.runs)
    shares = sum(TARGETS[name].share for name in names)
    return {name: -(-given.total * TARGETS[name].share // shares) for name in names}


def _run(name: str, runs: int, given: argparse.Namespace) -> Row:
    """Run one target in a process of its own, since libFuzzer ends the process that it runs in."""
    with tempfile.TemporaryDirectory(prefix="durable-async-fuzz-") as folder:
        result = Path(folder) / "result.json"
        order = {
            "target": name,
            "runs": runs,
            "seconds": round((given.minutes or 0) * 60),
            "seed": given.seed,
            "guided": not given.unguided,
            "result": str(result),
            "folder": folder,
        }
        code = f"import sys; sys.path.insert(0, {str(HERE.parent)!r}); from fuzz.process import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code, json.dumps(order)],
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
        )
        if not result.is_file():
            sys.stderr.write(done.stdout + done.stderr)
            return Row(name, 0, 0, {}, {f"the process ended with {done.returncode}": 1}, 0)
        return _row(name, json.loads(result.read_text()), done)


def _row(name: str, found: dict[str, Any], done: subprocess.CompletedProcess[str]) -> Row:
    answers = dict(found["answers"])
    accepted, _ = answers.pop("accepted", 0), answers.pop("unhandled", 0)
    unhandled = dict(found["times"])
    for account in found["unhandled"].values():
        print(account, file=sys.stderr)
    if done.returncode:
        sys.stderr.write(done.stderr[-4_000:])
        unhandled[f"the process ended with {done.returncode}"] = 1
    edges = done.stderr.split("cov: ")[1:]
    return Row(
        name,
        found["inputs"],
        accepted,
        answers,
        unhandled,
        int(edges[-1].split()[0]) if edges else 0,
    )


def _written(rows: list[Row], given: argparse.Namespace) -> str:
    if given.json:
        return "\n".join(json.dumps(asdict(row)) for row in rows)
    total = sum(row.inputs for row in rows)
    lines = [
        "| target | inputs | accepted | refused | unhandled | edges |",
        "|---|--:|--:|---|--:|--:|",
    ]
    for row in rows:
        refused = ", ".join(f"{name} {count:,}" for name, count in sorted(row.refused.items()))
        bad = sum(row.unhandled.values())
        edges = f"{row.edges:,}" if row.edges else ""
        lines.append(
            f"| {row.target} | {row.inputs:,} | {row.accepted:,} | {refused} | {bad:,} | {edges} |"
        )
    bad = sum(sum(row.unhandled.values()) for row in rows)
    lines.append(f"| all | {total:,} | {sum(row.accepted for row in rows):,} | | {bad:,} | |")
    if given.markdown:
        return "\n".join(lines)
    return "\n".join(" ".join(line.split("|")).strip() for line in lines if "---" not in line)
