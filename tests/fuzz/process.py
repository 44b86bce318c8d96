"""The process of one target: gives it inputs until there were enough, and writes down what came of them."""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .findings import Findings
    from .target import Target

BYTES_MAX = 4_096
INPUT_SECONDS_MAX = 60
"""What takes longer hangs."""

HERE = Path(__file__).resolve().parent
WRITTEN_EVERY_SECONDS = 1.0


def main() -> None:
    """Do as the argument says, which is JSON."""
    order: dict[str, Any] = json.loads(sys.argv[1])
    if order["guided"]:
        _guided(order)
    else:
        _unguided(order)


class Session:
    """One target's inputs, and what was found, on disk as soon as it is known: libFuzzer does not come back."""

    def __init__(self, order: dict[str, Any], target: Target, findings: Findings) -> None:
        self._order = order
        self._target = target
        self._findings = findings
        self._written_at = 0.0

    def give(self, value: Any, data: bytes) -> None:
        """Give the target an input that was made from bytes, unless there were enough."""
        if self.is_done:
            return
        place = self._findings.give(self._target, value)
        if place is not None:
            self._keep(data, place)
        now = time.monotonic()
        if self.is_done or place is not None or now - self._written_at > WRITTEN_EVERY_SECONDS:
            self._written_at = now
            self.write()

    @property
    def is_done(self) -> bool:
        """Whether there were as many inputs as were asked for."""
        return bool(self._findings.tally.inputs >= self._order["runs"] > 0)

    def write(self) -> None:
        """Write down what was found so far."""
        found = {
            "inputs": self._findings.tally.inputs,
            "answers": self._findings.tally.answers,
            "unhandled": self._findings.unhandled,
            "times": self._findings.times,
        }
        Path(self._order["result"]).write_text(json.dumps(found))

    def _keep(self, data: bytes, place: str) -> None:
        """Keep an input as a file that the tests replay."""
        kept = HERE / "crashes" / self._target.name
        kept.mkdir(parents=True, exist_ok=True)
        name = "".join(char if char.isalnum() else "-" for char in place)[:100]
        (kept / name).write_bytes(data)


def _guided(order: dict[str, Any]) -> None:
    import atheris

    with atheris.instrument_imports(include=["durable_async", "durabletask"]):
        from .targets import TARGETS
    session, give = _session(order, TARGETS[order["target"]])
    corpus = Path(order["folder"]) / "corpus"
    corpus.mkdir()
    for number, seed in enumerate([*TARGETS[order["target"]].seeds(), *_bytes_to_draw_from(order)]):
        (corpus / f"seed-{number}").write_bytes(seed)
    arguments = [
        sys.argv[0],
        str(corpus),  # what is new goes here, too, and is not kept
        f"-seed={order['seed']}",
        f"-max_len={BYTES_MAX}",
        f"-timeout={INPUT_SECONDS_MAX}",
        "-rss_limit_mb=4096",
        f"-artifact_prefix={order['folder']}/",
    ]
    # Of some bytes nothing can be drawn: more are asked for than are wanted.
    arguments += (
        [f"-runs={order['runs'] * 8}"] if order["runs"] else [f"-max_total_time={order['seconds']}"]
    )
    session.write()
    atheris.Setup(arguments, give)
    atheris.Fuzz()


def _bytes_to_draw_from(order: dict[str, Any]) -> list[bytes]:
    chance = random.Random(order["seed"])
    return [chance.randbytes(size) for size in (16, 64, 256, 1_024, BYTES_MAX)]


def _session(order: dict[str, Any], target: Target) -> tuple[Session, Callable[[bytes], None]]:
    from .findings import Findings
    from .inputs import reader_of

    session = Session(order, target, Findings())
    read = reader_of(target, session.give)
    return session, lambda data: None if session.is_done else read(data)


def _unguided(order: dict[str, Any]) -> None:
    from .targets import TARGETS

    session, give = _session(order, TARGETS[order["target"]])
    chance = random.Random(order["seed"])
    ends_at = time.monotonic() + order["seconds"]
    while not session.is_done if order["runs"] else time.monotonic() < ends_at:
        give(chance.randbytes(chance.choice([32, 256, BYTES_MAX])))
    session.write()
    os._exit(0)  # what an input left running is not waited for
