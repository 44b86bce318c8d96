"""module:hub: what it finds, and what it says where that is not there."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from durable_async import ConfigurationError, Registry, TaskHub
from durable_async.cli._modules import load

SHOP = """
from durable_async import Registry, TaskHub
registry = Registry()
hub = TaskHub.at("memory://", registry=registry)
number = 3
class Inner:
    hub = hub
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    before = set(sys.modules)
    (tmp_path / "shop_of_tests.py").write_text(SHOP)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize("spec", ["shop_of_tests:hub", "shop_of_tests", "shop_of_tests:Inner.hub"])
def test_a_hub_is_found(spec: str) -> None:
    program = load(spec)
    assert isinstance(program.hub, TaskHub)
    assert program.registry is program.hub.registry


def test_a_registry_is_found() -> None:
    program = load("shop_of_tests:registry")
    assert (program.hub, isinstance(program.registry, Registry)) == (None, True)


def test_decorators_of_a_module_are_found(folder: Path) -> None:
    (folder / "plain_of_tests.py").write_text("import durable_async\n")
    from durable_async.registry import default_registry

    assert load("plain_of_tests").registry is default_registry


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("shop_of_tests:", "not of the form module:hub"),
        (":hub", "not of the form module:hub"),
        ("nothing_of_tests:hub", "no module 'nothing_of_tests'.*shop_of_tests"),
        (
            "shop_of_tests:hubb",
            r"has no 'hubb'; what it has: hub \(TaskHub\), registry \(Registry\)",
        ),
        ("shop_of_tests:number", "is an int, not a TaskHub"),
        ("shop_of_tests:Inner", "is the class Inner, not a TaskHub"),
        ("shop_of_tests.deeper:hub", "cannot be imported|no module"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(spec: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        load(spec)


def test_an_error_of_the_module_is_shown_from_its_own_line_on(folder: Path) -> None:
    (folder / "wrong_of_tests.py").write_text("import no_such_package_of_tests\n")
    with pytest.raises(ConfigurationError) as caught:
        load("wrong_of_tests:hub")
    told = str(caught.value)
    assert "cannot be imported" in told
    assert "wrong_of_tests.py" in told
    assert "importlib" not in told


def test_what_the_library_refuses_needs_no_traceback(folder: Path) -> None:
    (folder / "refused_of_tests.py").write_text(
        "from durable_async import TaskHub\nhub = TaskHub.at('nonsense://')\n"
    )
    with pytest.raises(ConfigurationError) as caught:
        load("refused_of_tests:hub")
    assert "no backend for the scheme 'nonsense'" in str(caught.value)
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize(
    "runs",
    [
        "asyncio.run(program)",
        "asyncio.get_event_loop().run_until_complete(program)",
        "anyio.run(main)",
    ],
)
async def test_a_module_that_runs_a_program_when_it_is_imported_is_told_what_to_do(
    folder: Path, runs: str
) -> None:
    (folder / "running_of_tests.py").write_text(
        f"""import anyio, asyncio
async def main(): ...
program = main()
try:
    {runs}
finally:
    program.close()
"""
    )
    (folder / "around_of_tests.py").write_text("import running_of_tests\n")
    with pytest.raises(
        ConfigurationError, match=r'running_of_tests\.py:5.*if __name__ == "__main__":'
    ) as caught:
        load("around_of_tests")
    assert "Traceback" not in str(caught.value)


def test_two_hubs_have_to_be_told_apart(folder: Path) -> None:
    (folder / "two_of_tests.py").write_text(
        "from durable_async import TaskHub\na = TaskHub.at('memory://')\nb = TaskHub.at('memory://')\n"
    )
    with pytest.raises(ConfigurationError, match=r"two_of_tests:a, two_of_tests:b"):
        load("two_of_tests")


def test_an_import_within_an_event_loop_ends_at_the_first_interrupt(folder: Path) -> None:
    (folder / "slow_of_tests.py").write_text(
        "import pathlib, signal\nsignal.raise_signal(signal.SIGINT)\npathlib.Path('went on').touch()\n"
    )

    async def within() -> None:
        load("slow_of_tests")

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
    try:
        with pytest.raises(KeyboardInterrupt):
            anyio.run(within)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not (folder / "went on").exists()
