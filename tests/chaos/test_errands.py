"""What errands check can fail: each way to lose, double or reorder a line of a scroll is told."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent))

from errands.customers import Errands
from load import Found

WRITTEN = ["a 1", "b 1", "a 2", "b 2", "a 3"]
READ = ["a 1", "b 1", "a 2"]


def compared(text: list[str], read: list[str]) -> Found:
    """Hold a text against what two senders know to have written, and one to have read."""
    client: Any = None
    errands = Errands(client, "", customers=0, seed=0)
    errands.lines["s"] = Counter(a=3, b=2)
    errands.seen["s"] = [read]
    found = Found()
    errands._compare("s", text, found)
    return found


def test_what_was_written_is_there() -> None:
    found = compared(WRITTEN, READ)
    assert (found.lost, found.doubled) == ([], [])


@pytest.mark.parametrize(
    ("text", "lost", "doubled"),
    [
        (["a 1", "b 1", "a 2", "b 2"], 1, 0),
        (["a 1", "b 1", "a 2", "b 2", "a 3", "a 3"], 0, 1),
        (["a 1", "b 1", "a 2", "a 3"], 1, 0),
        (["b 1", "a 1", "a 2", "b 2", "a 3"], 0, 1),
        (["a 1", "b 1", "a 3", "b 2", "a 2"], 0, 2),
    ],
    ids=["lost", "doubled", "of another", "not what was read", "out of order"],
)
def test_what_is_wrong_is_told(text: list[str], lost: int, doubled: int) -> None:
    found = compared(text, READ)
    assert (len(found.lost), len(found.doubled)) == (lost, doubled)
