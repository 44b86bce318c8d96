"""The test suite on every supported Python that is on this machine: `nox`, or `./dev test-all`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nox

SUPPORTED = ("3.11", "3.12", "3.13", "3.14")


def folder_of(version: str) -> str | None:
    """Find where X.Y lives: pyenv's own first, as its shims may refuse to run."""
    own = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))
    if own:
        return str(own[-1].parent)
    found = shutil.which(f"python{version}")
    return str(Path(found).parent) if found and ".pyenv/shims" not in found else None


FOLDERS = {version: found for version in SUPPORTED if (found := folder_of(version))}
os.environ["PATH"] = os.pathsep.join([*FOLDERS.values(), os.environ["PATH"]])

nox.options.default_venv_backend = "uv|venv"
nox.options.sessions = ["tests"]


@nox.session(python=list(FOLDERS))
def tests(session: nox.Session) -> None:
    """Run pytest; arguments after `--` replace the parallel run of everything."""
    session.install("-q", "-c", "constraints.txt", "-e", ".[test]")
    session.run("pytest", *(session.posargs or ["-n", "auto", "--dist", "worksteal"]))


@nox.session(python=False)
def check(session: nox.Session) -> None:
    """Run format, lint, types and import contracts."""
    session.run("./dev", "check", external=True)
