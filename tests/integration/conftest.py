"""Fixtures of the stories: backend and style; and the table pattern x style x backend, with ``--table``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .worlds import ASYNC, GENERATOR, MEMORY, POSTGRES, SQLITE, World, ran

PATTERN = "pattern"
BACKENDS = (MEMORY, SQLITE, POSTGRES)
COLUMNS = [(style, backend) for style in (ASYNC, GENERATOR) for backend in BACKENDS]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--table", action="store_true", help="show pattern x style x backend")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "pattern(name): the row of the table that a test counts for")


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Every story is told on all three stores, also one about the engine alone: in virtual time Postgres costs a tenth of a second more."""
    return str(request.param)


@pytest.fixture(params=[ASYNC, GENERATOR])
def style(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def world(backend: str, tmp_path: Path, fresh_name: str, request: pytest.FixtureRequest) -> World:
    lab = request.getfixturevalue("postgres_lab") if backend == POSTGRES else None
    return World(backend, tmp_path, fresh_name, lab)


@pytest.fixture(autouse=True)
def nothing_ran() -> Iterator[None]:
    ran.clear()
    yield
    ran.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report: Any = yield
    marker = item.get_closest_marker(PATTERN)
    params = getattr(getattr(item, "callspec", None), "params", {})
    if marker is not None and {"style", "backend"} <= params.keys():
        cell = [marker.args[0], params["style"], params["backend"]]
        report.user_properties.append((PATTERN, cell))
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if not config.getoption("--table", default=False):
        return
    cells: dict[tuple[str, str, str], Counter[str]] = {}
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, []):
            if outcome == "passed" and report.when != "call":
                continue
            for name, cell in report.user_properties:
                if name == PATTERN:
                    cells.setdefault(tuple(cell), Counter())[outcome] += 1
    _show(terminalreporter, cells)


def _show(reporter: Any, cells: dict[tuple[str, str, str], Counter[str]]) -> None:
    reporter.section("pattern x style x backend")
    heads = [f"{style}/{backend}" for style, backend in COLUMNS]
    reporter.write_line(f"{'pattern':24}" + "".join(f"{head:>20}" for head in heads))
    for row in dict.fromkeys(pattern for pattern, _, _ in cells):
        texts = [_cell(cells.get((row, *column), Counter())) for column in COLUMNS]
        reporter.write_line(f"{row:24}" + "".join(f"{text:>20}" for text in texts))


def _cell(counts: Counter[str]) -> str:
    bad = counts["failed"] + counts["error"]
    if bad:
        return f"{bad} FAILED"
    return f"ok ({counts['passed']})" if counts["passed"] else "-"
