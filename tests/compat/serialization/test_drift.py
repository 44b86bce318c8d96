"""The record is what the Durable Task SDK does: the SDK itself, from the package index, in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from benchmarks.peer import RELEASE, peer_python

from .test_json_converter import OF_ITS_TIME, SDK

HERE = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_record_is_what_the_sdk_does() -> None:
    try:
        python = peer_python()
    except subprocess.CalledProcessError as error:
        if os.environ.get("CI"):
            raise  # there it must not go unseen
        pytest.skip(f"pip cannot install the Durable Task SDK {RELEASE}: {error}")
    script = [python, HERE / "record_sdk.py"]
    printed = subprocess.run(script, check=True, capture_output=True, text=True).stdout
    assert RELEASE.startswith("1.12")
    found = json.loads(printed)
    for name in OF_ITS_TIME:
        found["reads"][name] = SDK["reads"][name]
    assert found == SDK
