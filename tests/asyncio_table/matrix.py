"""The table of asyncio and anyio programs x Python x outer loop: spawns the processes, collects their verdicts.

    python matrix.py [PYTHON ...]     prints the table as Markdown; without arguments, for every Python that can be found

What is recorded in one process is replayed in another one, with another seed for the hashes of strings, inside another outer
loop, from the other kind of place in it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
LOOPS = ("asyncio", "uvloop")
PLACES = ("task", "callback")
OTHER = {"asyncio": "uvloop", "uvloop": "asyncio", "task": "callback", "callback": "task"}

Verdicts = dict[str, str]


# -- finding and making interpreters


def interpreter(version: str) -> Path | None:
    """Find a Python X.Y that has the dependencies; in CI, give one that lacks them a virtual environment that has.

    Looked at in turn: the one that runs this, those that ``DURABLE_ASYNC_PYTHONS`` lists, and what ``./dev test-all`` made.
    """
    listed = os.environ.get("DURABLE_ASYNC_PYTHONS", "")
    ready = [
        Path(sys.executable),
        *(Path(entry) for entry in listed.split(os.pathsep) if entry),
        *sorted(ROOT.glob(".venvs/*/bin/python")),
    ]
    for python in ready:
        if is_ready(python, version):
            return python
    if not os.environ.get("CI"):
        return None
    base = next(
        (python for python in bare_interpreters(version) if is_version(python, version)), None
    )
    return None if base is None else equipped(base, version)


def is_ready(python: Path, version: str) -> bool:
    return answers(
        python,
        f"import sys, anyio, msgspec, orjson; assert '%d.%d' % sys.version_info[:2] == {version!r}",
    )


def is_version(python: Path, version: str) -> bool:
    return answers(
        python, f"import sys, venv, ensurepip; assert '%d.%d' % sys.version_info[:2] == {version!r}"
    )


def answers(python: Path, code: str) -> bool:
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


def bare_interpreters(version: str) -> Iterator[Path]:
    root = os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv"
    yield from sorted(Path(root).glob(f"versions/{version}.*/bin/python3"))
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        for name in (f"python{version}", "python3", "python"):
            if (found := Path(folder, name)).is_file():
                yield found


def equipped(base: Path, version: str) -> Path:
    """Make a virtual environment with the dependencies, once; another process that needs it meanwhile waits."""
    folder = ROOT / ".venvs" / f"table-{version}"
    python = folder / "bin" / "python"
    with locked(folder):
        if not is_ready(python, version):
            subprocess.run([base, "-m", "venv", "--clear", folder], check=True, capture_output=True)
            constraints = ("-c", str(ROOT / "constraints.txt"))
            pip = [
                python,
                "-m",
                "pip",
                "install",
                "-q",
                "--disable-pip-version-check",
                *constraints,
            ]
            subprocess.run([*pip, *requirements()], check=True, capture_output=True)
    return python


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(exist_ok=True)
    with Path(f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def requirements() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["uvloop"]]


def has_uvloop(python: Path) -> bool:
    return answers(python, "import uvloop")


# -- recording and replaying


class ProcessFailedError(AssertionError):
    """A process that should have answered did not."""


def run(python: Path, what: str, loop: str, place: str, file: Path, hash_seed: int) -> str:
    done = subprocess.run(
        [python, HERE / "process.py", what, loop, place, file],
        env=os.environ | {"PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ProcessFailedError(
            f"{what} by {python} on {loop}, in a {place}:\n{done.stderr[-4_000:]}"
        )
    return done.stdout


def record(python: Path, loop: str, place: str, folder: Path) -> Path:
    file = folder / f"{loop}-{place}.json"
    run(python, "record", loop, place, file, hash_seed=1)
    return file


def replay(python: Path, loop: str, place: str, file: Path) -> Verdicts:
    verdicts: Verdicts = json.loads(run(python, "replay", loop, place, file, hash_seed=2))
    return verdicts


def there_and_back(python: Path, loop: str, place: str, folder: Path) -> Verdicts:
    """Record on one loop, replay on the other, if there is another."""
    file = record(python, loop, place, folder)
    other = OTHER[loop] if has_uvloop(python) else loop
    return replay(python, other, OTHER[place], file)


# -- the table


def table(pythons: dict[str, Path]) -> Iterator[str]:
    """Go through the lines of the table: a row a program, a column a Python and what it was recorded on."""
    columns: dict[str, Verdicts] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for version, python in pythons.items():
            for loop in LOOPS if has_uvloop(python) else LOOPS[:1]:
                for place in PLACES:
                    columns[f"{version} {loop} {place}"] = there_and_back(
                        python, loop, place, folder
                    )
            file = folder / "asyncio-task.json"
            for other, replayer in pythons.items():
                if other != version:
                    columns[f"{version} to {other}"] = replay(replayer, "asyncio", "task", file)
    yield "| program | " + " | ".join(columns) + " |"
    yield "|---" * (1 + len(columns)) + "|"
    for program in next(iter(columns.values())):
        cells = (verdicts[program].partition(":")[0] for verdicts in columns.values())
        yield f"| {program} | " + " | ".join(cells) + " |"


def main(listed: list[str]) -> None:
    found = {version: interpreter(version) for version in VERSIONS}
    pythons = {version: python for version, python in found.items() if python is not None}
    if listed:
        pythons = {v: Path(p) for p in listed for v in VERSIONS if is_ready(Path(p), v)}
    for line in table(pythons):
        print(line)


if __name__ == "__main__":
    main(sys.argv[1:])
