"""What type checkers infer for users: what the modules beside this one say holds under both, and every mistake in them is found."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

APIS = [
    Path(__file__).with_name(name)
    for name in ("api.py", "entities.py", "entity_code.py", "schedules.py", "durable_task.py")
]
ROOT = Path(__file__).parents[2]
SOURCES = [str(ROOT / "src"), str(ROOT / "compat" / "src")]
PYRIGHTS = ("basedpyright", "pyright")


def pyright() -> str | None:
    """Return the pyright of this environment, whichever it is called."""
    beside = str(Path(sys.executable).parent)
    return next((found for name in PYRIGHTS if (found := shutil.which(name, path=beside))), None)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")
@pytest.mark.parametrize("api", APIS, ids=lambda api: api.stem)
def test_mypy(api: Path, tmp_path: Path) -> None:
    settings = tmp_path / "mypy.ini"
    settings.write_text(
        f"[mypy]\nstrict = true\nmypy_path = {os.pathsep.join(SOURCES)}\ncache_dir = {tmp_path / 'cache'}\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", settings, api],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "Success: no issues found in 1 source file\n", done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.skipif(pyright() is None, reason="neither pyright nor basedpyright is installed")
@pytest.mark.parametrize("api", APIS, ids=lambda api: api.stem)
def test_pyright(api: Path, tmp_path: Path) -> None:
    program = pyright()
    assert program is not None
    settings = {
        "include": [api.name],
        "extraPaths": SOURCES,
        "pythonVersion": "3.11",
        "typeCheckingMode": "strict",
        "reportUnnecessaryTypeIgnoreComment": "error",
        "enableTypeIgnoreComments": False,
        "reportUnusedFunction": "none",
        "reportUnusedCoroutine": "none",
    }
    shutil.copy(api, tmp_path)  # it looks at nothing outside its project
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    done = subprocess.run(
        [program, "--project", tmp_path, "--pythonpath", sys.executable, "--outputjson"],
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(done.stdout)
    told = [
        f"{one['range']['start']['line'] + 1}: {one.get('rule')}: {one['message']}"
        for one in found["generalDiagnostics"]
    ]
    assert found["summary"]["filesAnalyzed"] == 1
    assert told == []
