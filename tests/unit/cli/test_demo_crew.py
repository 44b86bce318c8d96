from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from durable_async.cli._demo import crew
from durable_async.cli._demo.crew import Crew, DemoFailedError
from durable_async.cli._demo.files import in_postgres
from durable_async.cli.audit import Ledger
from durable_async.cli.audit.ledger import ProcessEnded

READY = """
import os, sys, time
from pathlib import Path
from durable_async.cli.audit import Ledger
Ledger(Path(sys.argv[sys.argv.index("--ledger") + 1])).process_ready()
assert "secret" in os.environ["DURABLE_ASYNC_DEMO_URL"]
time.sleep(60)
"""


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Run a program in place of a worker; returns what would have been run."""
    commands: list[list[str]] = []
    real = anyio.open_process

    async def run(command: list[str], **options: Any) -> Any:
        commands.append(command)
        return await real([sys.executable, "-c", READY, *command], **options)

    monkeypatch.setattr(crew.anyio, "open_process", run)
    return commands


async def test_processes_learn_of_the_url_by_their_environment(
    tmp_path: Path, commands: list[list[str]]
) -> None:
    place = in_postgres("postgresql://me:secret@db/shop", tmp_path)
    async with Crew(place, "audit-1") as crew:
        await crew.start(2, hang_at=3)
        first, second = crew.living
        assert await crew.kill(second) == -9
        assert crew.living == [first]
    assert not any("secret" in word for command in commands for word in command)
    assert [command[-2:] for command in commands] == [["--hang-at", "3"]] * 2
    ended = [one.pid for one in Ledger(place.ledger).read() if isinstance(one, ProcessEnded)]
    assert ended == [second, first]  # the other one did not outlive the block


async def test_one_that_cannot_begin_is_told_with_what_it_said(
    tmp_path: Path, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "READY", "raise SystemExit('no such thing')")
    with pytest.raises(DemoFailedError, match=r"exit status 1\nno such thing"):
        async with Crew(in_postgres("postgresql://db/shop", tmp_path), "audit-1") as crew:
            await crew.start(1)
