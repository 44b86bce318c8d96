"""The demo as a stranger runs it: real processes, a real file or server, a real kill -9."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import durable_async
from durable_async.testing.postgres import ThrowawayPostgres

COPIED = ("anyio", "idna", "iniconfig", "packaging", "pluggy", "pytest", "typing_extensions")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Copy some of the packages that run this test."""
    site = tmp_path / "site-packages"
    for name in COPIED:
        files = metadata.files(name)
        assert files is not None
        for file in files:
            if ".." not in file.parts and file.suffix != ".pyc":
                copy = site / file
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.locate(), copy)
    record_without(site, "..")
    return site


def record_without(site: Path, part: str) -> None:
    """Take lines about files that were not copied, such as ../../bin, out of each RECORD."""
    for record in site.glob("*.dist-info/RECORD"):
        lines = record.read_text().splitlines(keepends=True)
        record.write_text(
            "".join(line for line in lines if part not in Path(line.split(",")[0]).parts)
        )


def demo(tmp_path: Path, *arguments: str) -> tuple[int, str]:
    package = Path(durable_async.__file__).parents[1]
    environment = {
        "HOME": str(tmp_path / "home"),
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": str(package),
        "COLUMNS": "200",
    }
    outcome = subprocess.run(
        [sys.executable, "-m", "durable_async", "demo", *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    warned = "fsync is off"  # of the tests' own server
    assert [line for line in outcome.stderr.splitlines() if warned not in line] == []
    return outcome.returncode, outcome.stdout


OPTION = "--postgres"


@pytest.fixture(params=["given", "its own"])
def postgres(request: pytest.FixtureRequest, fresh_name: str) -> tuple[str, ...]:
    """The option for a schema of this test's own in a server that is there, and for the demo's own server."""
    if request.param == "its own":
        return (OPTION,)
    server: ThrowawayPostgres = request.getfixturevalue("postgres_server")
    return (OPTION, f"{server.dsn}?schema={fresh_name}")


def number(pattern: str, said: str) -> int:
    found = re.search(pattern, said)
    assert found is not None, said
    return int(found[1].replace(",", ""))


def test_the_whole_story(tmp_path: Path, site: Path) -> None:
    status, said = demo(tmp_path, "--target", str(site))

    assert status == 0, said
    assert "exit status -9: killed by signal 9, SIGKILL" in said
    total = number(r"sub-orchestrations, (\d+) activities", said)
    recorded = number(r"(\d+) of \d+ activities recorded", said)
    assert recorded == number(r"(\d+)  activities were not done again", said)
    assert recorded + number(r"(\d+)  activities were done after", said) == total
    assert number(r"(\d+)  recorded results were computed a second time", said) == 0
    assert number(r"([\d,]+)  files are as they were installed", said) > 100
    assert number(r"(\d+)  files were changed", said) == 0
    assert said.count("✖") == 2  # the process that was killed, and the legend
    assert (tmp_path / "home").is_dir()


def test_the_same_command_again_goes_on(tmp_path: Path, site: Path) -> None:
    command = ("--crash", "--target", str(site), "--db", str(tmp_path / "demo.db"))

    status, said = demo(tmp_path, *command)
    assert status == 137, said
    assert "SIGKILL" in said
    recorded = number(r"(\d+) of \d+ activities recorded", said)

    status, said = demo(tmp_path, *command)
    assert status == 0, said
    assert number(r"unfinished audit in .*: (\d+) of", said) == recorded
    assert number(r"(\d+)  activities were not done again", said) == recorded
    assert number(r"(\d+)  recorded results were computed a second time", said) == 0

    status, said = demo(tmp_path, "--resume", "--db", str(tmp_path / "demo.db"))
    assert status == 2
    assert "Nothing to resume" in said


def test_a_flipped_byte_is_found_across_the_crash(tmp_path: Path, site: Path) -> None:
    victim = site / "packaging" / "version.py"
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)

    status, said = demo(tmp_path, "--target", str(site))

    assert status == 1, said
    assert number(r"(\d+)  files were changed", said) == 1
    assert f"changed  {victim}" in said
    assert "SIGKILL" in said


def test_without_a_crash(tmp_path: Path, site: Path) -> None:
    (site / "idna" / "core.py").unlink()

    status, said = demo(tmp_path, "--no-crash", "--target", str(site))

    assert status == 1, said
    assert f"missing  {site / 'idna' / 'core.py'}" in said
    assert "SIGKILL" not in said


def test_an_unfinished_audit_of_something_else_is_not_touched(tmp_path: Path, site: Path) -> None:
    database = str(tmp_path / "demo.db")
    assert demo(tmp_path, "--crash", "--target", str(site), "--db", database)[0] == 137
    other = tmp_path / "other"
    shutil.copytree(site, other)

    refused = subprocess.run(
        [sys.executable, "-m", "durable_async", "demo", "--target", str(other), "--db", database],
        env=os.environ | {"PYTHONPATH": str(Path(durable_async.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )

    assert refused.returncode == 2
    assert "unfinished audit of something else" in refused.stderr
    assert demo(tmp_path, "--resume", "--db", database)[0] == 0


def test_in_postgres_the_other_process_takes_over(
    tmp_path: Path, site: Path, postgres: tuple[str, ...]
) -> None:
    status, said = demo(tmp_path, *postgres, "--target", str(site))

    assert status == 0, said
    assert len(re.findall(r"Process \d+ is dead", said)) == 1
    assert "exit status -9: killed by signal 9, SIGKILL" in said
    total = number(r"sub-orchestrations, (\d+) activities", said)
    kept = number(r"(\d+)  activities were not done again", said)
    assert kept == number(r"(\d+) of \d+ activities recorded", said)
    assert number(r"(\d+)  activities were done after the kill", said) > 0
    undisturbed = re.search(r"(\d+)  were under way elsewhere", said)
    begun = int(undisturbed[1]) if undisturbed else 0
    assert kept + begun + number(r"(\d+)  activities were done after the kill", said) == total
    assert number(r"(\d+)  had begun before", said) > 0
    assert number(r"(\d+)  recorded results were computed a second time", said) == 0
    assert re.search(r"\d\.\d\d s  from the kill to the moment", said)
    assert (
        len(re.findall(r"process \d+ ", said)) == 2
    )  # rows of the timeline: nobody was started anew
    assert number(r"([\d,]+)  files are as they were installed", said) > 100


def test_in_postgres_the_same_command_again_goes_on(
    tmp_path: Path, site: Path, postgres: tuple[str, ...]
) -> None:
    status, said = demo(tmp_path, *postgres, "--crash", "--target", str(site))
    assert status == 137, said
    assert len(re.findall(r"Process \d+ is dead", said)) == 2

    status, said = demo(tmp_path, *postgres, "--resume")
    assert status == 0, said
    assert number(r"(\d+)  activities were done after the restart", said) > 0
    assert number(r"(\d+)  recorded results were computed a second time", said) == 0

    status, said = demo(tmp_path, *postgres, "--resume")
    assert status == 2
    assert "Nothing to resume" in said


def test_in_postgres_without_a_crash_and_without_a_password_in_sight(
    tmp_path: Path, site: Path, postgres_server: ThrowawayPostgres, fresh_name: str
) -> None:
    url = f"{postgres_server.dsn}?schema={fresh_name}"
    status, said = demo(tmp_path, OPTION, url, "--no-crash", "--target", str(site))
    assert status == 0, said
    assert "is dead" not in said
    assert "What did the crash cost" not in said
    assert f"schema={fresh_name}" in said
    password = postgres_server.server.password
    assert password not in said
    files = [file for file in (tmp_path / "home").rglob("*") if file.is_file()]
    assert files
    assert not any(password in file.read_text() for file in files)
