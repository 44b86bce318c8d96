"""Each example runs alone and prints what it should."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .markdown import ROOT
from .running import run_program

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
EXPECTED = Path(__file__).parent / "expected"

# Two things happen at the same time: the order of the lines is not promised.
IN_ANY_ORDER = {"cancellation"}

# A kill comes when it comes.
CRASH = re.compile(
    r"killed when (?P<begun>\d+) of 10 were begun\n"
    r"finished with the right sum: True\n"
    r"begun twice, as it ran when the process died: (?P<twice>[01])\n"
)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_prints_what_it_should(example: Path, tmp_path: Path) -> None:
    printed = run_program(example, tmp_path)
    if example.stem == "survive_a_crash":
        found = CRASH.fullmatch(printed)
        assert found is not None, printed
        assert 5 <= int(found["begun"]) <= 10
        return
    expected = (EXPECTED / f"{example.stem}.txt").read_text(encoding="utf-8")
    if example.stem in IN_ANY_ORDER:
        assert sorted(printed.splitlines()) == sorted(expected.splitlines())
    else:
        assert printed == expected


def test_examples_leave_no_files_behind(tmp_path: Path) -> None:
    run_program(ROOT / "examples" / "hello.py", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_every_expectation_has_its_example() -> None:
    assert {path.stem for path in EXPECTED.iterdir()} <= {path.stem for path in EXAMPLES}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_says_its_idea_in_its_first_line(example: Path) -> None:
    first = example.read_text(encoding="utf-8").splitlines()[0]
    assert re.match(r'"""[A-Z].{20,}[.:;]', first), first
