"""Orchestrators may use asyncio and anyio: on every Python, on any outer loop, and after an upgrade of Python.

Every row is recorded in one process and replayed in another one; see ``matrix.py``, which also prints the table.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .matrix import (
    LOOPS,
    OTHER,
    PLACES,
    VERSIONS,
    has_uvloop,
    interpreter,
    record,
    replay,
)

# In CI the first test may have to wait until virtual environments are made.
pytestmark = pytest.mark.timeout(600)

# A row that another version of Python does otherwise -> the first version that does, and why.
CHANGED_BY_PYTHON = {
    "Condition, with a timeout": ("3.13", "notify() no longer counts a waiter that was cancelled"),
}


def minor(version: str) -> int:
    return int(version.partition(".")[2])


@pytest.fixture(scope="session")
def pythons() -> dict[str, Path]:
    found = {version: interpreter(version) for version in VERSIONS}
    return {version: python for version, python in found.items() if python is not None}


@pytest.fixture(scope="session")
def recordings(
    pythons: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """What each version recorded on its own loop."""
    return {
        version: record(python, "asyncio", "task", tmp_path_factory.mktemp(version))
        for version, python in pythons.items()
    }


def chosen(pythons: dict[str, Path], version: str) -> Path:
    if version not in pythons:
        pytest.skip(f"no Python {version} with the dependencies here")
    return pythons[version]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("version", VERSIONS)
def test_another_process_does_the_same_in_the_same_order(
    version: str, loop: str, place: str, pythons: dict[str, Path], tmp_path: Path
) -> None:
    python = chosen(pythons, version)
    both = has_uvloop(python)
    if loop == "uvloop" and not both:
        pytest.skip(f"no uvloop for Python {version} here")
    file = record(python, loop, place, tmp_path)
    verdicts = replay(python, OTHER[loop] if both else loop, OTHER[place], file)
    assert len(verdicts) > 50
    assert {row: verdict for row, verdict in verdicts.items() if verdict != "same"} == {}


@pytest.mark.parametrize("new", VERSIONS)
@pytest.mark.parametrize("old", VERSIONS)
def test_another_python_accepts_the_history(
    old: str, new: str, pythons: dict[str, Path], recordings: dict[str, Path]
) -> None:
    if old == new:
        pytest.skip("the same")
    chosen(pythons, old)
    verdicts = replay(chosen(pythons, new), "asyncio", "task", recordings[old])
    refused = {row for row, verdict in verdicts.items() if verdict not in ("same", "reordered")}
    expected = {
        row
        for row, (since, _) in CHANGED_BY_PYTHON.items()
        if (minor(old) < minor(since)) != (minor(new) < minor(since))
    }
    assert {row: verdicts[row] for row in refused - expected} == {}
    for row in refused:
        assert "recorded by Python" in verdicts[row]
