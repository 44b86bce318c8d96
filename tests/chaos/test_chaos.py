"""A few faults of each kind lose, double and block nothing, one kind at a time and all in one run of a minute."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCENARIOS = [
    "sqlite --kills 2",
    "sqlite --zombies 1",
    "sqlite --bank 2 --transfers 60",
    "postgres --promotions 1",
    "postgres --everything 1",
]


PROVES_NOTHING = 2
TRIES = 3


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_faults_lose_double_and_block_nothing(scenario: str) -> None:
    """In a process of its own, so that nothing here shares its event loop. Times are not judged: they measure the machine.

    Two kills may both hit nothing by chance: then it is played again.
    """
    for _ in range(TRIES):
        done = subprocess.run(
            [sys.executable, str(Path(__file__).parent), *scenario.split()],
            capture_output=True,
            text=True,
            timeout=250,
            check=False,
        )
        if done.returncode != PROVES_NOTHING:
            break
    assert done.returncode == 0, done.stdout + done.stderr
