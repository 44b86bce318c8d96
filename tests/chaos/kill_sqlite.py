"""Kills workers at random moments under load, on one SQLite file, and checks what is left.

    ./dev chaos --kills 100

One worker process is killed with SIGKILL and replaced, over and over; every third time a second one works beside it. Meanwhile a client starts
orchestrations and raises events. In the end: nothing acknowledged is lost, nothing is stuck, no outcome is recorded twice, and no
activity whose outcome was recorded ever began again.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).parent))

from hub_under_fire import Count, Plan, registry

from durable_async import Client, DurableError, Status, TaskHub
from durable_async.model.history import (
    ActivityCompleted,
    ActivityScheduled,
    HistoryEvent,
    TurnStarted,
)

SIZE = 12
PER_ROUND = 12
IN_FLIGHT_PER_KILL_MIN = 0.5
"""Fewer activities than this begun again for each kill, and the kills did not meet work: the run proves nothing."""


@dataclass
class Verdict:
    """What a run showed; all of `lost`, `stuck`, `doubled` and `repeated` must be empty."""

    kills: int = 0
    started: int = 0
    events: int = 0
    activities: int = 0
    executions: int = 0
    in_flight_again: int = 0
    seconds: float = 0.0
    lost: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether every promise was kept."""
        return not (self.lost or self.stuck or self.doubled or self.repeated)

    @property
    def proves_something(self) -> bool:
        """Whether the kills met work that was under way."""
        return self.in_flight_again >= self.kills * IN_FLIGHT_PER_KILL_MIN


class Run:
    """One run: a folder, a client, and the workers it kills."""

    def __init__(self, folder: Path, kills: int, seed: int) -> None:
        self.database = folder / "hub.db"
        self.ledger = folder / "ledger"
        self.log = folder / "workers.log"
        self.kills = kills
        self.random = random.Random(seed)
        self.expected: dict[str, object] = {}
        self.verdict = Verdict()

    async def run(self) -> Verdict:
        """Load, kill, heal, check."""
        begin = time.monotonic()
        async with TaskHub.open(f"sqlite:///{self.database}", registry=registry) as hub:
            workers = [self._spawn()]
            try:
                for number in range(self.kills):
                    await self._round(hub.client, workers, number)
                await self._check(hub)
            finally:
                for worker in workers:
                    worker.kill()
                    worker.wait()
        self.verdict.seconds = time.monotonic() - begin
        return self.verdict

    def _spawn(self) -> subprocess.Popen[bytes]:
        program = Path(__file__).with_name("hub_under_fire.py")
        return subprocess.Popen(
            [sys.executable, str(program), str(self.database)], stderr=self.log.open("ab")
        )

    async def _round(
        self, client: Client, workers: list[subprocess.Popen[bytes]], number: int
    ) -> None:
        load = asyncio.create_task(self._load(client, number))
        await asyncio.sleep(
            self.random.uniform(0.2, 0.8)
        )  # a process needs a quarter second to begin
        victim = workers.pop(0)
        victim.kill()
        victim.wait()
        self.verdict.kills += 1
        while len(workers) < (2 if number % 3 == 0 else 1):
            workers.append(self._spawn())
        await load

    async def _until_busy(self) -> None:
        """Wait until the workers that are there have begun to work."""
        size = self._ledger_bytes()
        for _ in range(1_000):
            if self._ledger_bytes() > size:
                return
            await asyncio.sleep(0.01)
        raise RuntimeError(f"no activity began for 10 s; see {self.log}")

    def _ledger_bytes(self) -> int:
        return self.ledger.stat().st_size if self.ledger.exists() else 0

    async def _load(self, client: Client, number: int) -> None:
        plan = Plan(str(self.ledger), SIZE)
        for position in range(PER_ROUND):
            name = ("chain", "fan", "family")[position % 3]
            instance = f"{name}-{number}-{position}"
            await client.start(name, plan, instance_id=instance)
            self.expected[instance] = SIZE
            await asyncio.sleep(self.random.uniform(0.0, 0.05))
        counter = f"count-{number}"
        await client.start("count", Count([], SIZE), instance_id=counter)
        for value in range(SIZE):
            assert await client.raise_event(counter, "number", value)
            self.verdict.events += 1
        self.expected[counter] = list(range(SIZE))

    async def _check(self, hub: TaskHub) -> None:
        verdict = self.verdict
        verdict.started = len(self.expected)
        for instance, expected in self.expected.items():
            try:
                result = await hub.client.wait(instance, timeout=60)
            except DurableError as error:
                verdict.stuck.append(f"{instance}: {error!r}")
                continue
            if result != expected:
                verdict.lost.append(f"{instance}: {result!r} instead of {expected!r}")
        began = self._read_ledger()
        async for state in hub.client.query():
            if state.status is Status.COMPLETED:
                self._check_history(await hub.client.history(state.instance_id), began)
            elif state.instance_id not in self.expected:
                verdict.stuck.append(f"{state.instance_id}: {state.status}")
        verdict.activities = len(began)
        verdict.executions = sum(len(times) for times in began.values())
        verdict.in_flight_again = verdict.executions - verdict.activities
        statistics = await hub.statistics()
        if statistics.parked or statistics.letters:
            verdict.stuck.append(f"left over: {statistics}")

    def _read_ledger(self) -> dict[str, list[int]]:
        began: dict[str, list[int]] = collections.defaultdict(list)
        for line in self.ledger.read_text().splitlines():
            key, at_us, _ = line.split()
            began[key].append(int(at_us))
        return began

    def _check_history(self, history: list[HistoryEvent], began: dict[str, list[int]]) -> None:
        at_us = 0
        keys: dict[int, str] = {}
        for event in history:
            match event:
                case TurnStarted():
                    at_us = event.at_us
                case ActivityScheduled():
                    keys[event.seq] = json.loads(event.input)["key"]
                case ActivityCompleted():
                    self._check_completion(keys.get(event.seq), at_us, began)
                    keys.pop(event.seq, None)
                case _:
                    pass

    def _check_completion(
        self, key: str | None, recorded_us: int, began: dict[str, list[int]]
    ) -> None:
        if key is None:
            self.verdict.doubled.append(f"an outcome recorded twice, at {recorded_us}")
        elif key not in began:
            self.verdict.lost.append(f"{key}: recorded, and never run")
        elif max(began[key]) > recorded_us:
            self.verdict.repeated.append(f"{key}: began again after its outcome was recorded")


def run(kills: int, seed: int, folder: Path) -> Verdict:
    """Do a whole run in a folder."""
    return asyncio.run(Run(folder, kills, seed).run())


def main() -> None:
    """Run from the command line; the exit code tells whether every promise was kept."""
    parser = argparse.ArgumentParser(prog="./dev chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}")
    folder = Path(tempfile.mkdtemp(prefix="durable-async-chaos-"))
    verdict = run(chosen.kills, chosen.seed, folder)
    print(json.dumps(asdict(verdict), indent=2))
    if not verdict.is_clean:
        sys.exit(f"promises were broken; everything is kept in {folder}")
    shutil.rmtree(folder)
    if not verdict.proves_something:
        sys.exit("the kills met too little work: the run proves nothing")


if __name__ == "__main__":
    main()
