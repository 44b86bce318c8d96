"""Programs written for the Durable Task SDK run as they are: worker and client in processes of their own, on one store."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from .processes import Program, Troupe

pytestmark = pytest.mark.timeout(240)

SQLITE, POSTGRES = "sqlite", "postgres"


@pytest.fixture
def environment(store: str, tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    """Where the program's store is, said as documented: by a variable."""
    if store == SQLITE:
        return {"DURABLE_ASYNC_URL": f"sqlite:///{tmp_path}/store.db"}
    return {"DURABLE_ASYNC_URL": request.getfixturevalue("postgres_database")}


ORDERS = [
    "pencils: ordered 10 x pencil, no approval needed",
    "laptops: ordered 3 x laptop, approved by Ada",
    "yacht: refused by Grace",
    "piano: cancelled, nobody answered in time",
]


@pytest.mark.parametrize("store", [SQLITE])
def test_order_approval(environment: dict[str, str], tmp_path: Path) -> None:
    assert Troupe("order_approval", tmp_path, environment).play() == ORDERS


BALANCES = [
    "opened three accounts",
    "transfers: 24 done, 1 refused",
    "balances: 10000 10000 10000",
]


@pytest.mark.parametrize("store", [POSTGRES])
def test_bank(environment: dict[str, str], tmp_path: Path) -> None:
    assert Troupe("bank", tmp_path, environment).play() == BALANCES


CHANGES = [
    "looked again and again: True",
    "{'changes': ['up', 'down', 'up'], 'stopped by': 'the client'}",
    "history of one life only: True",
]


@pytest.mark.parametrize("store", [SQLITE])
def test_site_monitor(environment: dict[str, str], tmp_path: Path) -> None:
    assert Troupe("site_monitor", tmp_path, environment).play(tmp_path / "page") == CHANGES


ROME = ["flight-Rome", "hotel-Rome"]
TRIPS = [
    f"old: {{'booked': {ROME}}}",
    f"new: {{'booked': {[*ROME, 'flight-Paris', 'hotel-Paris', 'insurance-everywhere']}}}",
    "impossible: {'booked': [], 'problem': 'no flight in Atlantis'}",
    "too-new: VersionMismatch",
]


@pytest.mark.parametrize("store", [POSTGRES])
def test_trip_saga(environment: dict[str, str], tmp_path: Path) -> None:
    troupe = Troupe("trip_saga", tmp_path, environment)
    with troupe.worker() as worker:
        with troupe.start("client") as client:
            assert client.rest() == TRIPS
        cancelled = [line for line in worker.stop() if line.startswith("cancelled")]
    assert cancelled == ["cancelled hotel-Rome", "cancelled flight-Rome"]


REGIONS = ("east", "north", "south", "west")
REPORT = ["east: 10.25", "north: 11.25", "south: 12.25", "west: 100.00", "all: 133.75"]


def figures(folder: Path) -> None:
    """Write a file for each of four regions; the last is a pipe, and whoever reads it waits."""
    folder.mkdir()
    for number, region in enumerate(REGIONS[:-1]):
        (folder / f"{region}.csv").write_text(
            f"day,amount\nmon,{number}.25\ntue,10\n", encoding="utf-8"
        )
    os.mkfifo(folder / f"{REGIONS[-1]}.csv")


def release(folder: Path) -> None:
    """Put a file where the pipe was."""
    ready = folder / "ready"
    ready.write_text("day,amount\nmon,100\n", encoding="utf-8")
    ready.replace(folder / f"{REGIONS[-1]}.csv")


@pytest.mark.parametrize("store", [SQLITE, POSTGRES])
def test_sales_report_with_its_worker_killed(environment: dict[str, str], tmp_path: Path) -> None:
    """The worker dies while one of four activities runs, and a new one finishes: what was recorded is not run again."""
    folder = tmp_path / "figures"
    figures(folder)
    troupe = Troupe("sales_report", tmp_path, environment)
    with troupe.start("client", folder) as client:
        with troupe.worker() as first:
            client.until("3 of 4 regions")
            first.kill()
        release(folder)
        with troupe.worker() as second:
            assert client.rest()[-len(REPORT) :] == REPORT
            second.stop()
    # Threads may write into each other's lines.
    printed = "".join(first.lines)
    assert [printed.count(f"reading {region}") for region in REGIONS] == [1, 1, 1, 1]
    assert [printed.count(f"read {region}") for region in REGIONS] == [1, 1, 1, 0]
    assert second.lines == ["working", "reading west", "read west", "writing the report"]


# ---------------------------------------------------------------- on the SDK itself

SIDECAR = """
import sys
from durabletask.testing import create_test_backend
backend = create_test_backend(port=int(sys.argv[1]))
print("serving", flush=True)
sys.stdin.read()
backend.stop(0)
"""


@pytest.fixture(scope="module")
def sdk() -> Path:
    from benchmarks.peer import peer_python

    try:
        return peer_python()
    except subprocess.CalledProcessError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"pip cannot install the Durable Task SDK: {error}")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("order_approval", ORDERS),
        ("bank", BALANCES),
        ("site_monitor", CHANGES),
        ("trip_saga", TRIPS),
        ("sales_report", REPORT),
    ],
)
def test_the_same_files_run_on_the_sdk(
    name: str, expected: list[str], sdk: Path, tmp_path: Path
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = {"site_monitor": [tmp_path / "page"], "sales_report": [tmp_path / "figures"]}
    figures(tmp_path / "figures")
    release(tmp_path / "figures")
    address = {"DURABLE_TASK_ADDRESS": f"localhost:{port}"}
    command = (sdk, "-c", SIDECAR, str(port))
    with Program(*command, environment={}, errors=tmp_path / "sidecar.err") as sidecar:
        sidecar.until("serving")
        printed = Troupe(name, tmp_path, address, sdk).play(*arguments.get(name, []))
    assert printed[-len(expected) :] == expected
