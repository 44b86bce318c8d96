"""What once came out of a surface and should not have is given to it again."""

from __future__ import annotations

from pathlib import Path

import pytest

from .inputs import reader_of
from .target import answer_of
from .targets import TARGETS

KEPT = sorted((Path(__file__).parent / "crashes").glob("*/*"))


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_is_answered(path: Path) -> None:
    target = TARGETS[path.parent.name]
    reader_of(target, lambda value, _: answer_of(target, value))(path.read_bytes())


@pytest.mark.parametrize("name", [name for name, target in TARGETS.items() if target.is_raw])
def test_the_seeds_are_accepted(name: str) -> None:
    target = TARGETS[name]
    assert {answer_of(target, seed) for seed in target.seeds()} <= {"accepted"}
