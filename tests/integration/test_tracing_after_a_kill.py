"""The tracing test: real processes, a real store, SIGKILL; all spans of all processes are one trace, and none is there twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import durable_async
import durabletask

from .tracing import Span, check_one_trace, tree
from .worlds import POSTGRES, SQLITE

PROGRAMS = ["tracing_program.py", "tracing_program_durabletask.py"]
SOURCES = [str(Path(one.__file__).parents[1]) for one in (durable_async, durabletask)]
SECONDS_MAX = 60

WHOLE = """\
create_orchestration:checkout
  orchestration:checkout
    activity:reserve
      of the code's own
    orchestration:checkout:timer
    activity:charge
      of the code's own
    create_orchestration:shipping
      orchestration:shipping
        activity:reserve
          of the code's own
""".splitlines()


def begin(program: str, url: str, folder: Path, job: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            sys.executable,
            "-W",
            "error",
            str(Path(__file__).with_name(program)),
            url,
            str(folder),
            job,
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(SOURCES)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def spans_of(folder: Path, job: str) -> list[Span]:
    lines = (folder / f"spans-{job}.jsonl").read_text(encoding="utf-8").splitlines()
    return [Span(**json.loads(line)) for line in lines]


@pytest.fixture(params=[SQLITE, POSTGRES])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == SQLITE:
        return f"sqlite:///{tmp_path / 'hub.db'}"
    return str(request.getfixturevalue("postgres_database"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills by signal")
@pytest.mark.parametrize("program", PROGRAMS)
def test_one_trace_and_no_doubles_after_a_kill(program: str, url: str, tmp_path: Path) -> None:
    first = begin(program, url, tmp_path, "start")
    end = time.monotonic() + SECONDS_MAX
    while not (tmp_path / "charging").exists():
        assert first.poll() is None, first.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)
    first.kill()
    first.communicate()
    second = begin(program, url, tmp_path, "work")
    out, err = second.communicate(timeout=SECONDS_MAX)
    assert (second.returncode, out) == (0, "ORDER-1 for 5\n"), err
    assert [line for line in err.splitlines() if "fsync is off" not in line] == []

    before, after = spans_of(tmp_path, "start"), spans_of(tmp_path, "work")
    assert {"create_orchestration:checkout", "activity:reserve"} <= {one.name for one in before}
    assert {"orchestration:checkout", "activity:charge"} <= {one.name for one in after}
    spans = before + after
    check_one_trace(spans)
    turns = [one for one in spans if one.name.startswith("turn:")]
    assert tree(one for one in spans if one not in turns) == WHOLE
    places = [
        (one.attributes["durable_async.instance_id"], one.attributes["durable_async.turn"])
        for one in turns
    ]
    assert len(places) == len(set(places))
