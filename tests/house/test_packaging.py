"""What a user installs works: alone, and with any of its extras."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from typing import Any

import pytest

from .source import PACKAGE, ROOT, module_name, python_files

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# Where the name that is imported is not that of the distribution.
IMPORTED_AS = {"opentelemetry-api": "opentelemetry"}

# What needs an extra, and which one is to be named.
NEEDS = {
    "durable_async.dashboard": "dashboard",
    "durable_async.integrations.aiohttp": "aiohttp",
    "durable_async.integrations.fastapi": "fastapi",
    "durable_async.integrations.opentelemetry": "opentelemetry",
    "durable_async.integrations.prometheus": "prometheus",
    "durable_async.integrations.starlette": "starlette",
    "durable_async.testing.conformance": "test",
}

BARE = """
import importlib, sys
optional, names = (text.split(",") for text in sys.argv[1:])
sys.modules.update(dict.fromkeys(optional))  # none of them can be imported
for name in names:
    try:
        importlib.import_module(name)
    except ImportError as error:
        print(name, getattr(error, "extra", repr(error)))
"""


def optional_packages() -> set[str]:
    """Say what is imported under which name of all that is not installed without an extra."""
    requirements = [one for extra in PROJECT["optional-dependencies"].values() for one in extra]
    names = {re.match(r"[\w-]+", one).group() for one in requirements}  # type: ignore[union-attr]
    names -= {PROJECT["name"]}
    return {IMPORTED_AS.get(name, name.replace("-", "_")) for name in names}


def python(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def public_modules() -> list[str]:
    names = [module_name(path) for path in python_files(PACKAGE)]
    return [name for name in names if not any(part.startswith("_") for part in name.split("."))]


def test_each_module_works_without_extras_or_names_the_one_it_needs() -> None:
    out = python("-c", BARE, ",".join(optional_packages()), ",".join(public_modules()))
    refused = dict(line.split(" ", 1) for line in out.splitlines())
    expected = {
        name: extra
        for name in public_modules()
        for package, extra in NEEDS.items()
        if f"{name}.".startswith(f"{package}.")
    }
    assert refused == expected


def test_to_import_it_brings_nothing_that_is_optional() -> None:
    loaded = python("-c", "import sys, durable_async; print(*sys.modules)").split()
    assert optional_packages().intersection(loaded) == set()


@pytest.mark.parametrize("extra", sorted(set(NEEDS.values())))
def test_each_extra_that_is_named_exists(extra: str) -> None:
    assert extra in PROJECT["optional-dependencies"]


def test_each_licence_is_in_the_wheel() -> None:
    licences = {path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*LICENSE*")}
    assert set(PROJECT["license-files"]) == {"LICENSE", *licences}
    assert (ROOT / "compat/LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_no_file_of_the_package_is_one_that_the_build_leaves_out() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: nothing says which files are the project's")
    ignored = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard", "src", "compat"]
    done = subprocess.run(ignored, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == ""  # the build leaves out what .gitignore names
