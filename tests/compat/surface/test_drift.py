"""The snapshot is what the SDK offers: the SDK itself, from the package index, in an environment of its own."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import pytest
from benchmarks.peer import RELEASE, peer_python

from .surfaces import read_sdk
from .table import Table

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def sdk(table: Table) -> dict[str, Any]:
    try:
        python = peer_python()
    except subprocess.CalledProcessError as error:
        if os.environ.get("CI"):
            raise  # there it must not go unseen
        pytest.skip(f"pip cannot install the Durable Task SDK {RELEASE}: {error}")
    return read_sdk(table, python)


def test_the_snapshot_is_what_the_sdk_offers(sdk: dict[str, Any], snapshot: dict[str, Any]) -> None:
    assert snapshot["release"] == RELEASE
    assert sorted(sdk["modules"]) == sorted(snapshot["modules"])
    for module, things in sdk["modules"].items():
        assert things == snapshot["modules"][module], module


def test_every_module_of_the_sdk_is_in_the_table_or_outside_of_it(sdk: dict[str, Any]) -> None:
    assert sdk["unknown"] == []
