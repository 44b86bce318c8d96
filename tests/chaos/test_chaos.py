"""A few faults of each kind lose, double and block nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCENARIOS = [
    "sqlite --kills 2",
    "sqlite --zombies 1",
    "postgres --kills 2",
    "postgres --zombies 1",
    "postgres --cut-offs 1",
    "postgres --crashes 1",
    "postgres --storms 1",
    "postgres --lost-answers 10",
    "postgres --lost-wakeups 2",
    "postgres --promotions 1",
    "sqlite --bank 2 --transfers 60",
    "postgres --bank 2 --transfers 60",
]


PROVES_NOTHING = 2
TRIES = 4


@pytest.mark.slow
@pytest.mark.timeout(300)
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
            timeout=110,
            check=False,
        )
        if done.returncode != PROVES_NOTHING:
            break
    assert done.returncode == 0, done.stdout + done.stderr
