"""Runs what a reader would run: a page block by block, or a file as a program of its own."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import os
import subprocess
import sys
import types
from pathlib import Path

import durable_async

from .markdown import blocks, name_of

SECONDS_MAX = 60
AS_A_PROGRAM = 'if __name__ == "__main__":'


def run_page(page: Path) -> None:
    """Run a page's Python blocks, one after the other in one namespace, as ``python -m asyncio`` would.

    What a block has for when it is run as a program of its own is run, too. An ``output`` block says what the Python block before it prints.
    """
    module = types.ModuleType("page_" + "".join(filter(str.isalnum, name_of(page))))
    sys.modules[module.__name__] = module
    printed = ""
    try:
        with asyncio.Runner() as runner:
            for block in blocks(page.read_text(encoding="utf-8")):
                if block.language == "python":
                    printed = _run_block(block.text, block.line, page, module, runner)
                elif block.language == "output":
                    assert printed == block.text, f"{name_of(page)}:{block.line}"
    finally:
        del sys.modules[module.__name__]


def _run_block(
    text: str, line: int, page: Path, module: types.ModuleType, runner: asyncio.Runner
) -> str:
    code = compile(
        "\n" * (line - 1) + text.replace(AS_A_PROGRAM, "if True:"),
        str(page),
        "exec",
        flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
        dont_inherit=True,
    )
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        if code.co_flags & inspect.CO_COROUTINE:
            runner.run(_evaluate(code, module))
        else:
            exec(code, vars(module))
    return printed.getvalue()


async def _evaluate(code: types.CodeType, module: types.ModuleType) -> None:
    await eval(code, vars(module))


def run_program(path: Path, folder: Path) -> str:
    """Run a file in an empty folder, every warning an error; return what it printed."""
    source = str(Path(durable_async.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout
