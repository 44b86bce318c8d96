"""Nothing is left: of a hub and its worker that are closed, and in a store whose time to forget has come."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from durable_async.testing import VirtualEnvironment, virtual_time

sys.path.append(str(Path(__file__).parent))

from cycles import Left, Remains, run_cycles
from month import Month


@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_nothing_is_left_of_a_hub_and_its_worker(store: str, tmp_path: Path) -> None:
    url = "memory://" if store == "memory" else f"sqlite:///{tmp_path / 'hub.db'}"
    remains = await run_cycles(url, 8, warm=1)
    assert remains.complaints() == []


async def test_nothing_is_left_of_those_on_a_server(postgres_database: str) -> None:
    remains = await run_cycles(postgres_database, 4, warm=1)
    assert remains.complaints() == []


def test_what_is_left_is_told() -> None:
    before = Left(tasks=1, threads=("MainThread",), files=9, sockets=2, blocks=1)
    after = Left(tasks=2, threads=("MainThread", "lease"), files=10, sockets=3, blocks=1)
    complaints = Remains(before, after, 5.0).complaints()
    assert [one.partition(":")[0] for one in complaints] == [
        "tasks",
        "threads",
        "files",
        "sockets",
        "5.0 blocks of memory are left by each",
    ]


@pytest.mark.parametrize("store", ["memory", "sqlite"])
@virtual_time
async def test_every_table_comes_back_to_its_size(
    store: str, tmp_path: Path, env: VirtualEnvironment
) -> None:
    rows = await Month(env, tmp_path if store == "sqlite" else None, days=2, daily=2).run()
    assert rows.left() == {}
    tables = ("instances", "history", "requests", "answers", "tombstones")
    used = tables if store == "sqlite" else ("HubState.instances", "Remembered._answers")
    assert all(rows.most[name] > rows.before.get(name, 0) for name in used), rows.most
