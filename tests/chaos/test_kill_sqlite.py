"""Workers killed at random moments lose, double and block nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

KILLS = 6


@pytest.mark.slow
def test_a_killed_worker_loses_doubles_and_blocks_nothing() -> None:
    """A short run in a process of its own, so that nothing here shares its event loop."""
    program = Path(__file__).with_name("kill_sqlite.py")
    done = subprocess.run(
        [sys.executable, str(program), "--kills", str(KILLS)],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f'"kills": {KILLS}' in done.stdout
