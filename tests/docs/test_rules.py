"""The page of rules names what is there: every rule, every file, every name and every test."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from durable_async.backends.postgres.statements import migrations_in

from .markdown import ROOT

PAGE = (ROOT / "docs/internals/rules.md").read_text(encoding="utf-8")
RULES = 43
PACKAGE = ROOT / "src/durable_async"

_ROW = re.compile(r"^\| (P\d+) \| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
_NAMED = re.compile(r"`([\w./]+\.(?:py|sql))(?:::(\w[\w.]*))?`")

ROWS = {found[1]: found.groups()[1:] for found in _ROW.finditer(PAGE)}
NAMED = sorted({found.groups() for found in _NAMED.finditer(PAGE)}, key=str)


def file_of(name: str) -> Path:
    """Return a file: tests stand below the root, code below the package."""
    return (ROOT if name.startswith("tests/") else PACKAGE) / name


@cache
def names_in(path: Path) -> frozenset[str]:
    """Return the names that a file defines, those of methods with and without their class."""
    if path.suffix == ".sql":
        text = path.read_text(encoding="utf-8")
        return frozenset(re.findall(r"(?:-- name: |\{schema\}\.)(\w+)", text))
    return frozenset(defined(ast.parse(path.read_text(encoding="utf-8")), ""))


def defined(node: ast.AST, within: str) -> set[str]:
    names: set[str] = set()
    for child in ast.iter_child_nodes(node):
        match child:
            case (
                ast.ClassDef(name=name)
                | ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
            ):
                names |= {name, f"{within}{name}"} | defined(child, f"{within}{name}.")
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case _:
                pass
    return names


def test_all_rules_are_there_in_order() -> None:
    assert list(ROWS) == [f"P{number}" for number in range(1, RULES + 1)]


@pytest.mark.parametrize("rule", ROWS)
def test_each_rule_has_a_place_and_a_test(rule: str) -> None:
    words, where, tests, seen = ROWS[rule]
    assert len(words) > 40
    assert _NAMED.search(where), "where is it kept?"
    found = [(file, name or "") for file, name in _NAMED.findall(tests)]
    assert found, "what fails without it?"
    assert all(name.startswith("test_") for _, name in found), "a test is named by its name"
    assert seen


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_what_is_named_is_there(file: str, name: str | None) -> None:
    path = file_of(file)
    assert path.is_file()
    assert name is None or name in names_in(path)


def test_what_is_not_there_would_be_found() -> None:
    assert "Committer._send" in names_in(PACKAGE / "worker/_committer.py")
    assert "nobody" not in names_in(PACKAGE / "worker/_committer.py")
    assert "commit_batch" in names_in(PACKAGE / "backends/postgres/sql/schema/0004_commits.sql")


# -- rules that are kept by what is not there


def test_no_function_of_the_schema_notifies() -> None:
    """It would be done in the transaction, where all that notify wait for each other."""
    for step in migrations_in("s"):
        assert not re.search(r"\bnotify\b|pg_notify", step.sql, re.IGNORECASE), step.name


def test_no_table_has_a_foreign_key() -> None:
    """Each would lock its parent's row once more for every row that is written. Shared locks are for a worker's own lease."""
    for step in migrations_in("s"):
        statements = re.sub(r"--[^\n]*", "", step.sql)
        assert not re.search(r"\breferences\b|foreign key", statements), step.name
        shared = re.findall(
            r'from "s"\.(\w+)[^;]*? for (?:key )?share', re.sub(r"\s+", " ", statements)
        )
        assert set(shared) <= {"leases"}, step.name
