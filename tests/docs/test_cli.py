"""The page of the command line: each example says what the command says, and each command is there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from durable_async import DurableError
from durable_async.cli import _exits
from durable_async.cli._app import app

from .markdown import ROOT, Block, blocks, table_rows

PAGE = ROOT / "docs/reference/cli.md"
TEXT = PAGE.read_text(encoding="utf-8")

VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+\+00:00)?"), "TIME"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "WORKER"),
    (re.compile(r"(?<![\w-])\d+\.\d+(\.\d+)?(?![\w-])"), "NUMBER"),
    (re.compile(r"Process \d+"), "Process PID"),
    (re.compile(r'"host":"[^"]*","pid":\d+'), "PROCESS"),
    (re.compile(r'"commits":\d+'), "COMMITS"),
    (re.compile(r"version \d+, this release knows \d+"), "version N, this release knows N"),
    (re.compile(r"\s+"), " "),
)


def examples() -> Iterator[tuple[Block, Block]]:
    """Yield each command of the page with what it says."""
    found = list(blocks(TEXT))
    for said, answer in pairwise(found):
        if said.language == "sh" and answer.language == "text":
            yield said, answer


def steady(text: str, folder: Path) -> str:
    """Return a text without what differs each time."""
    text = text.replace(f"{folder}/", "").replace(str(folder), ".")
    for pattern, name in VARYING:
        text = pattern.sub(name, text)
    return text.strip()


def arguments(command: str) -> list[str]:
    program, *rest = shlex.split(command)
    assert program == "durable-async"
    return rest


def told(command: str) -> str:
    """Run a command in this process, and return what it says on both streams."""
    result = CliRunner().invoke(app, arguments(command))
    if isinstance(result.exception, DurableError):
        return f"durable-async: {result.exception}"
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout + result.stderr


def test_each_example_says_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_registered: None
) -> None:
    program = next(block for block in blocks(TEXT) if block.language == "python")
    (tmp_path / "shop.py").write_text(program.text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DURABLE_ASYNC_URL", "sqlite:///shop.db")
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setenv("COLUMNS", "120")
    (worker, announced), *others = examples()
    command = [sys.executable, "-m", "durable_async", *arguments(worker.text)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in announced.text.splitlines()]
            assert steady("".join(lines), tmp_path) == steady(announced.text, tmp_path)
            for said, answer in others:
                found = steady(told(said.text), tmp_path)
                assert found == steady(answer.text, tmp_path), f"line {said.line}: {said.text}"
        finally:
            process.terminate()
            sys.modules.pop("shop", None)


def test_each_command_has_its_place_on_the_page() -> None:
    headings = {
        word
        for line in TEXT.splitlines()
        if line.startswith("### ")
        for word in line.removeprefix("### ").split()
    }
    known = get_command(app).commands  # type: ignore[attr-defined]
    shown = {name for name, command in known.items() if not command.hidden}
    assert shown - headings == set()


def test_the_exit_statuses_are_those_of_the_code() -> None:
    written = [row[0] for row in table_rows(TEXT, "## Exit status")]
    code = [_exits.OK, _exits.NOT_DONE, _exits.REFUSED, _exits.NO_STORE]
    assert written == [*map(str, code), f"{_exits.INTERRUPTED}, 143"]
