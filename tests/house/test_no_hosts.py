"""Lock files and pins install from wherever the reader gets packages: no host stands in them."""

from __future__ import annotations

import re
import subprocess

import pytest

from .source import ROOT

SUFFIXES = {".txt", ".toml", ".lock", ".json"}
HOST = re.compile(r'resolved"|index-url|find-links|(?:registry|index|url) *= *"http')


def hosts_in(text: str) -> list[str]:
    return [line for line in text.splitlines() if HOST.search(line)]


def test_no_pin_names_a_host() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: nothing says which files are the project's")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    pins = [path for path in paths if path.suffix in SUFFIXES and path.is_file()]
    assert ROOT / "constraints.txt" in pins
    found = {path.name: hosts_in(path.read_text(encoding="utf-8")) for path in pins}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_constraints_hold_pins_only() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    assert [line for line in pins if not re.match(r"[a-z0-9._-]+==\S+( ; .+)?$", line)] == []


@pytest.mark.parametrize(
    "line",
    [
        '"resolved": "https://host/pkg.tgz",',
        "--index-url https://host/simple",
        "--find-links /somewhere",
        'source = { registry = "https://host/simple" }',
    ],
)
def test_each_way_to_name_a_host_is_seen(line: str) -> None:
    assert hosts_in(f"anyio==4.0\n{line}\n") == [line]
