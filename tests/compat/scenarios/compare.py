"""Compare outcomes with what the Durable Task SDK gave, and with where we mean to differ.

From the root of the repository, ``python -m tests.compat.scenarios.compare``:

(no option)  play all on a store of ours (``--backend``) and list what is not expected
--live       play all on the SDK itself, in an environment of its own, and list what ``upstream.json`` does not say
--record     the same, and write ``upstream.json`` anew
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
FACTS = HERE / "upstream.json"
DIFFERENCES = HERE / "differences.toml"
RUNNER = "tests.compat.scenarios.run_scenarios"

TRIES = 3

Outcomes = dict[str, Any]


@dataclass(frozen=True)
class Difference:
    """Where we mean to differ from the SDK.

    Attributes:
        scenario: Its name.
        upstream: What the SDK does, in a few words; ``upstream.json`` says it exactly.
        ours: The outcome that we want.
        why: In a sentence.
    """

    scenario: str
    upstream: str
    ours: Any
    why: str


def load_facts() -> Outcomes:
    """Return the outcomes on the SDK, by scenario."""
    facts: Outcomes = json.loads(FACTS.read_text(encoding="utf-8"))["outcomes"]
    return facts


def load_differences() -> dict[str, Difference]:
    """Return the intended differences, by scenario."""
    rows = tomllib.loads(DIFFERENCES.read_text(encoding="utf-8"))["difference"]
    found = [Difference(**{**row, "ours": json.loads(row["ours"])}) for row in rows]
    by_name = {one.scenario: one for one in found}
    if len(by_name) != len(found):
        raise ValueError("a scenario has two differences")
    return by_name


def expected(facts: Outcomes, differences: dict[str, Difference]) -> Outcomes:
    """Return the outcomes that we want, by scenario."""
    wanted = {name: differences[name].ours for name in differences if name in facts}
    return {**facts, **wanted}


def stale(facts: Outcomes, differences: dict[str, Difference]) -> Iterator[str]:
    """Say which differences are none, or are of no scenario."""
    for name, difference in differences.items():
        if name not in facts:
            yield f"{name}: no such scenario"
        elif facts[name] == difference.ours:
            yield f"{name}: the SDK does the same"


def run(
    python: Path | str,
    backend: str,
    only: Sequence[str] = (),
    *,
    jobs: int | None = None,
    restless: bool = False,
) -> Outcomes:
    """Play scenarios with an interpreter, in a process of their own, and return their outcomes.

    Raises:
        subprocess.CalledProcessError: A topic could not be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "outcomes.json")
        command = [str(python), "-m", RUNNER, "--backend", backend, "--json", str(target)]
        command += ["--jobs", str(jobs)] if jobs else []
        command += ["--restless"] if restless else []
        for name in only:
            command += ["--only", name]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if ended.returncode:
            sys.stderr.write(ended.stderr)
            raise subprocess.CalledProcessError(ended.returncode, command, stderr=ended.stderr)
        outcomes: Outcomes = json.loads(target.read_text(encoding="utf-8"))
        return outcomes


def run_sdk(only: Sequence[str] = (), jobs: int | None = None) -> Outcomes:
    """Play scenarios on the SDK, in an environment of its own."""
    from benchmarks.peer import peer_python

    return run(peer_python(), "testing", only, jobs=jobs)


def verify_on_sdk(facts: Outcomes, only: Sequence[str] = ()) -> Outcomes:
    """Play scenarios on the SDK, and again, one by one, what came out otherwise.

    Some of what the SDK does is a matter of time, and differs on a busy machine. A fact that comes out in any of a few tries is confirmed.
    """
    outcomes = run_sdk(only)
    for _try in range(TRIES):
        odd = [name for name, outcome in outcomes.items() if facts.get(name) != outcome]
        if not odd:
            break
        outcomes |= run_sdk(odd, jobs=1)
    return outcomes


def record(outcomes: Outcomes) -> None:
    """Write the facts anew."""
    from benchmarks.peer import RELEASE

    facts = {"release": RELEASE, "outcomes": outcomes}
    FACTS.write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def unexpected(outcomes: Outcomes, wanted: Outcomes) -> Iterator[str]:
    """Say what came out otherwise."""
    for name in sorted(outcomes.keys() | wanted.keys()):
        if outcomes.get(name) != wanted.get(name):
            got, want = (json.dumps(one.get(name)) for one in (outcomes, wanted))
            yield f"{name}\n    want {want}\n    got  {got}"


def main() -> int:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description="Compare outcomes of the scenarios.")
    parser.add_argument("--live", action="store_true", help="play on the SDK")
    parser.add_argument("--record", action="store_true", help="play on the SDK and keep the facts")
    parser.add_argument("--backend", default="testing", help="of ours: testing, sqlite, or a URL")
    parser.add_argument("--restless", action="store_true", help="workers come and go")
    parser.add_argument("--only", action="append", default=[], help="names or patterns")
    asked = parser.parse_args()
    if asked.record:
        record(run_sdk())
        return 0
    facts, differences = load_facts(), load_differences()
    if asked.live:
        outcomes, wanted = verify_on_sdk(facts, asked.only), facts
    else:
        outcomes = run(sys.executable, asked.backend, asked.only, restless=asked.restless)
        wanted = expected(facts, differences)
    if asked.only:
        wanted = {name: wanted[name] for name in outcomes if name in wanted}
    complaints = [*unexpected(outcomes, wanted), *stale(facts, differences)]
    print(*complaints, sep="\n")
    print(f"{len(outcomes)} scenarios, {len(differences)} intended differences")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
