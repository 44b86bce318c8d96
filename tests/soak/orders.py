"""What a process is told, and how it is begun."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

VARIABLE = "DURABLE_ASYNC_SOAK"
"""Where orders stand: not among the arguments, for DSNs hold passwords."""

HUB = "soak"
_PR_SET_PDEATHSIG = 1


@dataclass
class Orders:
    """What a process of the soak is told.

    Attributes:
        url: Of the store.
        diary: The file to which it appends a line about its insides, every so often.
        every_seconds: How often.
        kept_seconds: How long answers to requests and tombstones are kept, which is a day and a month otherwise.
        retention_seconds: After how long the client purges what has ended.
        measure_seconds: How long the client works as fast as it can at first, to see how fast that is.
        share: What share of that it does from then on.
        cores_max: How much of all processors it may use at most, with everybody else.
        rate: Errands a second, if that is not to be measured.
        leak: What is to grow on purpose: nothing, or "memory", "tasks" or "files".
    """

    url: str
    diary: str
    every_seconds: float
    kept_seconds: float
    retention_seconds: float = 20.0
    measure_seconds: float = 60.0
    share: float = 0.5
    cores_max: float = 0.6
    rate: float | None = None
    leak: str = ""

    @classmethod
    def read(cls) -> Orders:
        """Read those of this process."""
        return cls(**json.loads(os.environ[VARIABLE]))


def begin(program: str, orders: Orders, log: Path) -> subprocess.Popen[bytes]:
    """Begin a process, which ends with this one."""
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name(program))],
            env={**os.environ, VARIABLE: json.dumps(asdict(orders))},
            stdout=out,
            stderr=out,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - one system call, no Python that could hang
        )


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
