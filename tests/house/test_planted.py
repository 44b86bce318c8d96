"""Faults that are planted stay in the harness: nothing that ships can reach them."""

from __future__ import annotations

import ast

import pytest

from .source import COMPAT, PACKAGE, ROOT, module_name, parse, python_files

GREENHOUSE = "durable_async.testing.simulation.planted"
GARDENERS = {
    "durable_async.testing.simulation.hunting",
    "durable_async.testing.simulation.play",
}
"""Who may put one in."""


def names_it(tree: ast.Module) -> bool:
    """Tell whether a module speaks of the faults, by import or by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            path = f"{node.module or ''}.{' '.join(alias.name for alias in node.names)}"
        elif isinstance(node, ast.Import):
            path = " ".join(alias.name for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            path = node.value if node.value.startswith("durable_async.") else ""
        else:
            continue
        if "planted" in path:
            return True
    return False


def test_only_the_harness_knows_of_them() -> None:
    folders = [PACKAGE, COMPAT, ROOT / "examples", ROOT / "benchmarks"]
    intruders = [
        path.relative_to(ROOT).as_posix()
        for path in python_files(*folders)
        if GREENHOUSE.replace(".", "/") not in path.as_posix()
        and names_it(parse(path))
        and not (path.is_relative_to(PACKAGE) and module_name(path) in GARDENERS)
    ]
    assert intruders == []


def test_nothing_below_imports_the_harness() -> None:
    intruders = [
        path.relative_to(ROOT).as_posix()
        for path in python_files(PACKAGE, COMPAT)
        if "durable_async/testing/" not in path.as_posix()
        and "durable_async.testing.simulation" in path.read_text(encoding="utf-8")
    ]
    assert intruders == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from durable_async.testing.simulation.planted import planted", True),
        ("from durable_async.testing.simulation import planted as p", True),
        ("import durable_async.testing.simulation.planted.store", True),
        ("import_module('durable_async.testing.simulation.planted')", True),
        ("from durable_async.testing import simulation", False),
    ],
)
def test_an_intruder_is_seen(source: str, found: bool) -> None:
    assert names_it(ast.parse(source)) is found
