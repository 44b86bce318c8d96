"""``./dev bench profile``: where the CPU of a step goes, floor by floor, from samples of the stack while S2 runs.

./dev bench profile                      on Postgres
./dev bench profile sqlite
./dev bench profile --svg flames.svg     and a flame graph

The samples are py-spy's, from an environment of its own; what runs is this module in another process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from benchmarks.floors import ELSEWHERE, floor_of
from benchmarks.ours.meter import FOLDER_VARIABLE, measured_hub
from benchmarks.samples import ROOT, emit, table
from benchmarks.server import DSN_VARIABLE, server
from benchmarks.suite.environments import interpreter
from benchmarks.workload import ORCHESTRATIONS, STEPS, registry, run
from durable_async import TaskHub

ROUNDS = 3
SAMPLES_A_SECOND = 400
SYSTEM = "system calls"

_LIBRARIES = {
    "asyncpg": "driver",
    "orjson": "values",
    "msgspec": "values",
    "_asyncio": "asyncio and anyio",
    "uvloop": "asyncio and anyio",
    "sqlite3": "driver",
}
"""Floors of code that is not Python, by what the name of its library holds."""

_SYSTEM_CALLS = re.compile(
    r"^(__)?(libc_)?(send|recv|read|write|epoll\w*|poll|clock_\w+|fsync|fdatasync|pwrite\w*|pread\w*|syscall)\b"
)
_FRAME = re.compile(r"(?P<function>.*) \((?P<file>.*?)(:\d+)?\)")


# -- what is sampled


def workload(store: str) -> None:
    """Run S2: once to get warm, and then in a function that samples can be told by."""
    with asyncio.Runner() as runner:
        place = Place(store)
        hub = runner.run(place.open())
        runner.run(run(hub))
        cpu = time.process_time()
        profiled(runner, hub)
        cpu = time.process_time() - cpu
        runner.run(place.close())
    emit({"cpu_us": cpu / (ROUNDS * ORCHESTRATIONS * STEPS) * 1e6})


class Place:
    """An open hub, in a task of its own, for what is open has to be closed by the task that opened it."""

    def __init__(self, store: str) -> None:
        self._store = store
        self._is_open: asyncio.Future[TaskHub]
        self._ends = asyncio.Event()

    async def open(self) -> TaskHub:
        """Open it, with a worker."""
        self._is_open = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._stay())
        return await self._is_open

    async def close(self) -> None:
        """Close it."""
        self._ends.set()
        await self._task

    async def _stay(self) -> None:
        async with measured_hub(self._store, registry) as (hub, _):
            self._is_open.set_result(hub)
            await self._ends.wait()


def profiled(runner: asyncio.Runner, hub: TaskHub) -> None:
    """Run what is looked at; its name is at the bottom of every stack."""
    for _ in range(ROUNDS):
        runner.run(run(hub))


# -- what is made of the samples


def shares(stacks: Iterable[str]) -> Counter[str]:
    """Return samples by floor, of lines such as ``main (a.py:1);work (b.py:7) 12``."""
    floors: Counter[str] = Counter()
    for line in stacks:
        frames, _, count = line.rstrip("\n").rpartition(" ")
        if "profiled (" in frames:
            floors[_floor(frames.split(";"))] += int(count)
    return floors


def _floor(frames: list[str]) -> str:
    """Return the floor of the innermost frame that has one; the interpreter's own code belongs to what it interprets."""
    for frame in reversed(frames):
        found = _FRAME.fullmatch(frame)
        function, file = (found["function"], found["file"]) if found else (frame, "")
        if file.endswith(".py"):
            return floor_of(file)
        if _SYSTEM_CALLS.match(function):
            return SYSTEM
        for part, floor in _LIBRARIES.items():
            if part in file:
                return floor
    return ELSEWHERE


def report(floors: Counter[str], step_us: float) -> str:
    """Return the table."""
    every = sum(floors.values())
    rows = [
        [floor, f"{count / every * step_us:.1f}", f"{count / every:.0%}"]
        for floor, count in floors.most_common()
    ]
    rows.append(["in all", f"{step_us:.1f}", ""])
    return table(("", "microseconds a step", "part"), rows)


_BOX = re.compile(
    r'<g><title>[^<]*</title><rect [^>]*\bwidth="(?P<percent>[\d.]+)%".*?</g>', re.DOTALL
)
_TITLE = re.compile(r'(?<=<text id="title")([^>]*>)[^<]*')
NARROWEST_PERCENT = 1.0


def pruned(flames: str) -> str:
    """Return a flame graph without boxes that are too narrow to be seen, which are most of it, and without the sampler's command as its title."""
    boxes = _BOX.sub(
        lambda box: box[0] if float(box["percent"]) >= NARROWEST_PERCENT else "", flames
    )
    return _TITLE.sub(r"\1Where the time goes", boxes)


# -- the tool

RUN = (sys.executable, "-m", "benchmarks.profile", "run")


def cpu_us(store: str) -> float:
    """Return the CPU of a step where nobody takes samples, which costs some itself: the less of two runs."""
    found = []
    for _ in range(2):
        done = subprocess.run([*RUN, store], cwd=ROOT, capture_output=True, text=True, check=True)
        found.append(float(json.loads(done.stdout.splitlines()[-1])["cpu_us"]))
    return min(found)


def record(store: str, form: str, *options: str) -> str:
    """Run the workload under py-spy, and return what that wrote."""
    spy = interpreter("py-spy").with_name("py-spy")
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "samples"
        sampler = [str(spy), "record", "--rate", str(SAMPLES_A_SECOND), "--format", form, *options]
        done = subprocess.run(
            [*sampler, "--output", str(output), "--", *RUN, store],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if not output.exists():
            raise RuntimeError(f"py-spy has written nothing: {done.stderr[-2000:]}")
        return output.read_text(encoding="utf-8")


@contextmanager
def _place(store: str, disk: str) -> Generator[None]:
    """Have a server or a folder for the process that is looked at."""
    with tempfile.TemporaryDirectory(dir=disk) as folder:
        os.environ[FOLDER_VARIABLE] = folder
        if store == "sqlite" or DSN_VARIABLE in os.environ:
            yield
            return
        with server(disk) as postgres:
            os.environ[DSN_VARIABLE] = postgres.dsn
            yield


def main(arguments: list[str] | None = None) -> None:
    """Take samples and print the table."""
    parser = argparse.ArgumentParser(prog="./dev bench profile", description=__doc__)
    parser.add_argument("store", nargs="?", choices=("postgres", "sqlite"), default="postgres")
    parser.add_argument("--svg", type=Path, help="write a flame graph to this file")
    parser.add_argument("--disk", default=tempfile.gettempdir(), help="a folder on the disk")
    chosen = parser.parse_args(arguments)
    with _place(chosen.store, chosen.disk):
        stacks = record(chosen.store, "raw", "--native", "--full-filenames")
        print(report(shares(stacks.splitlines()), cpu_us(chosen.store)))
        if chosen.svg:
            flames = record(chosen.store, "flamegraph", "--function")
            chosen.svg.write_text(pruned(flames), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        workload(sys.argv[2])
    else:
        main()
