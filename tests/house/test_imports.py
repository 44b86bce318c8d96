"""The import contracts of pyproject.toml hold, and few doors lead into the inner rooms."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .source import PACKAGE, ROOT, imported_names, module_name, parse, python_files

INNER_ROOMS = ("_engine", "_kernel")
# The empty name is the face.
DOORS = {"", "_engine", "_kernel", "client", "grpc", "hub", "registry", "testing", "worker"}

LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


@pytest.mark.skipif(
    not LINT_IMPORTS.exists(), reason="import-linter comes with the dev extra, not with test"
)
def test_import_contracts_hold() -> None:
    outcome = subprocess.run(
        [LINT_IMPORTS, "--no-cache"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(PACKAGE.parent), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def floor_of(module: str) -> str:
    """Say which child of the package a module belongs to; the face itself belongs to none."""
    return [*module.split("."), ""][1]


def inner_rooms_named_in(tree: ast.Module) -> set[str]:
    plain = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    paths = {
        p for p in plain.union(imported_names(tree).values()) if p.startswith("durable_async.")
    }
    return {floor for path in paths if (floor := floor_of(path)) in INNER_ROOMS}


def test_few_doors_lead_into_the_inner_rooms() -> None:
    intruders = {
        module_name(path): sorted(rooms)
        for path in python_files(PACKAGE)
        if floor_of(module_name(path)) not in DOORS and (rooms := inner_rooms_named_in(parse(path)))
    }
    assert intruders == {}


@pytest.mark.parametrize(
    ("source", "rooms"),
    [
        ("from durable_async._kernel.loop import Loop", {"_kernel"}),
        ("from durable_async import _engine", {"_engine"}),
        ("import durable_async._kernel.loop as loop", {"_kernel"}),
        ("import durable_async._engine.turns", {"_engine"}),
        ("from durable_async.model import history", set()),
    ],
)
def test_a_door_is_seen(source: str, rooms: set[str]) -> None:
    assert inner_rooms_named_in(ast.parse(source)) == rooms
