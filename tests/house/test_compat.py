"""The names of the Durable Task SDK stand on what every program may use."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from .source import COMPAT, ROOT, imported_names, parse, python_files

FILES = python_files(COMPAT)


def private_imports(tree: ast.Module) -> list[str]:
    """Return what a module imports of durable_async that no program should."""
    return [
        target
        for target in imported_names(tree).values()
        if target.split(".")[0] == "durable_async"
        and any(part.startswith("_") for part in target.split("."))
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(COMPAT).as_posix())
def test_it_uses_public_names_only(path: Path) -> None:
    assert private_imports(parse(path)) == []


def test_a_private_name_would_be_found() -> None:
    tree = ast.parse("from durable_async._kernel.loop import X\nfrom durable_async import _engine")
    assert len(private_imports(tree)) == 2


def test_nothing_below_knows_it() -> None:
    text = "".join(path.read_text() for path in python_files(ROOT / "src"))
    assert "durabletask" not in text
