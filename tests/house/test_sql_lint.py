"""SQL is never put together from strings where it is executed."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from .source import PACKAGE, parse, python_files

EXECUTES = {"execute", "executemany", "executescript", "fetch", "fetchrow", "fetchval", "prepare"}

# (file below src/durable_async, line of code) -> why this string cannot carry anybody's input.
ALLOWED: dict[tuple[str, str], str] = {
    (
        "backends/postgres/connecting.py",
        "connection.execute(f'select where pg_backend_pid() = {own}', timeout=None)",
    ): "an int of the driver's; the simple protocol, which leaves nothing in a shared session, has no parameters",
}


def assembled(node: ast.expr) -> bool:
    """Tell whether an expression builds a string out of parts."""
    match node:
        case ast.JoinedStr(values=values):
            return any(isinstance(value, ast.FormattedValue) for value in values)
        case ast.BinOp(op=ast.Add() | ast.Mod()):
            return True
        case ast.Call(func=ast.Attribute(attr="format" | "join")):
            return True
        case _:
            return False


def assembled_statements(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and source of each call that executes a string built on the spot."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=verb), args=[statement, *_]) if (
                verb in EXECUTES and assembled(statement)
            ):
                yield node.lineno, ast.unparse(node)
            case _:
                continue


def test_no_statement_is_assembled_where_it_runs() -> None:
    hits = [
        (path.relative_to(PACKAGE).as_posix(), line, source)
        for path in python_files(PACKAGE)
        for line, source in assembled_statements(parse(path))
    ]
    assert [hit for hit in hits if (hit[0], hit[2]) not in ALLOWED] == []


@pytest.mark.parametrize(
    ("source", "hits"),
    [
        ("c.execute(f'select {x}')", 1),
        ("c.execute('select ' + x)", 1),
        ("c.executemany('insert %s' % x, rows)", 1),
        ("await c.fetch('select {}'.format(x))", 1),
        ("c.execute(sql.load_instance, (x,))", 0),
        ("c.execute('select ?', (x,))", 0),
    ],
)
def test_the_lint_tells_assembled_from_given(source: str, hits: int) -> None:
    assert len(list(assembled_statements(ast.parse(source)))) == hits
