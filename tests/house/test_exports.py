"""Every `__all__` is sorted and true, and the face only re-exports."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

from .source import PACKAGE, module_name, parse, python_files

FACE = PACKAGE / "__init__.py"


def sort_key(name: str) -> tuple[int, list[tuple[int, int, str]]]:
    """Order as ruff's RUF022 does: constants, classes, the rest; numbers by value."""
    if len(name) > 1 and name.isupper():
        kind = 0
    elif name[:1].isupper():
        kind = 1
    else:
        kind = 2
    parts = re.findall(r"\d+|\D+", name)
    return kind, [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts]


def exported(tree: ast.Module) -> ast.expr | None:
    """Find what a module assigns to `__all__`."""
    for node in tree.body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id="__all__")], value=value)
                | ast.AnnAssign(target=ast.Name(id="__all__"), value=value)
            ):
                return value
            case _:
                continue
    return None


WITH_ALL = [path for path in python_files(PACKAGE) if exported(parse(path)) is not None]


@pytest.mark.parametrize("path", WITH_ALL, ids=module_name)
def test_all_is_a_sorted_literal_without_doubles(path: Path) -> None:
    value = exported(parse(path))
    assert isinstance(value, ast.Tuple | ast.List)
    names = ast.literal_eval(value)
    assert list(names) == sorted(set(names), key=sort_key)


@pytest.mark.parametrize("path", WITH_ALL, ids=module_name)
def test_all_names_exist(path: Path) -> None:
    module = importlib.import_module(module_name(path))
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_the_face_only_reexports() -> None:
    strangers = [ast.unparse(node) for node in parse(FACE).body if not belongs_in_a_face(node)]
    assert strangers == []


def belongs_in_a_face(node: ast.stmt) -> bool:
    match node:
        case ast.Expr(value=ast.Constant(value=str())):
            return True
        case ast.ImportFrom(module="__future__"):
            return True
        case ast.ImportFrom(module=str(module), level=0):
            return module.split(".")[0] == "durable_async"
        case ast.ImportFrom(level=level):
            return level == 1
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name in {"__all__", "__version__"}
        case _:
            return False


def test_the_face_exports_all_that_it_imports() -> None:
    tree = parse(FACE)
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module != "__future__"
        for alias in node.names
    }
    value = exported(tree)
    assert value is not None
    assert imported - set(ast.literal_eval(value)) == set()
