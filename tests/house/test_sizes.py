"""Small rooms: a file fits in 600 lines, a function body in 60."""

from __future__ import annotations

import ast

import pytest

from .source import COMPAT, PACKAGE, ROOT, functions, parse, python_files

FILE_LINES = 600
BODY_LINES = 60

# Path from the repository's root -> why it may be longer.
LONG_FILES: dict[str, str] = {}

# "path::function" -> why it may be longer.
LONG_FUNCTIONS: dict[str, str] = {}


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body
    if ast.get_docstring(function, clean=False) is not None:
        body = body[1:]
    if not body:
        return 0
    return (body[-1].end_lineno or body[-1].lineno) - body[0].lineno + 1


def long_files() -> dict[str, int]:
    folders = [ROOT / name for name in ("src", "compat", "tests", "examples", "benchmarks")]
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in python_files(*folders)
    }
    return {name: length for name, length in lengths.items() if length > FILE_LINES}


def long_functions() -> dict[str, int]:
    return {
        f"{path.relative_to(ROOT).as_posix()}::{function.name}": length
        for path in python_files(PACKAGE, COMPAT)
        for function in functions(parse(path))
        if (length := body_lines(function)) > BODY_LINES
    }


def test_files_fit() -> None:
    assert {k: v for k, v in long_files().items() if k not in LONG_FILES} == {}


def test_function_bodies_fit() -> None:
    assert {k: v for k, v in long_functions().items() if k not in LONG_FUNCTIONS} == {}


def test_exemptions_are_still_needed() -> None:
    assert set(LONG_FILES) - set(long_files()) == set()
    assert set(LONG_FUNCTIONS) - set(long_functions()) == set()


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("def f():\n    pass\n", 1),
        ('def f():\n    """Say\n    much."""\n', 0),
        ('def f():\n    """Say\n    much."""\n    a = 1\n    return (\n        a\n    )\n', 4),
    ],
)
def test_docstrings_do_not_count(source: str, lines: int) -> None:
    (function,) = functions(ast.parse(source))
    assert body_lines(function) == lines
