"""The test suite on every supported Python that is on this machine: `nox`, or `./dev test-all`."""

from __future__ import annotations

import shutil
from pathlib import Path

import nox

SUPPORTED = ("3.11", "3.12", "3.13", "3.14")


def on_this_machine(version: str) -> str | None:
    """Find the interpreter of one X.Y: pyenv's own first, as its shims may refuse to run."""
    own = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))
    if own:
        return str(own[-1])
    found = shutil.which(f"python{version}")
    return found if found and ".pyenv/shims" not in found else None


PYTHONS = [exe for version in SUPPORTED if (exe := on_this_machine(version))]

nox.options.default_venv_backend = "uv|venv"
nox.options.sessions = ["tests"]


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run pytest; arguments after `--` replace the parallel run of everything."""
    session.install("-q", "-c", "constraints.txt", "-e", ".[test]")
    session.run("pytest", *(session.posargs or ["-n", "auto", "--dist", "worksteal"]))


@nox.session(python=False)
def check(session: nox.Session) -> None:
    """Run format, lint, types and import contracts."""
    session.run("./dev", "check", external=True)
