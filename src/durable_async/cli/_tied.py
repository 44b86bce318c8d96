"""The command ``durable-async`` as a child that does not outlive its parent, however that ends; what `_reload` runs.

Standard input is a pipe of which the parent holds the other end. Nothing is ever written to it: it ends with the parent, on every system, even by a
kill -9. Then this process is told to stop as by SIGTERM, and so drains; if that takes too long, it ends at once.
"""

from __future__ import annotations

import os
import signal
import threading

from . import main
from ._serving import DRAIN_SECONDS, OF_SIGNALS


def tie() -> None:
    """End with the parent; what reads standard input from here on finds nothing there."""
    pipe = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=_end_with, args=(pipe,), name="durable-async-tie", daemon=True).start()


def _end_with(pipe: int) -> None:
    os.read(pipe, 1)
    signal.raise_signal(signal.SIGTERM)
    threading.Event().wait(DRAIN_SECONDS)
    os._exit(OF_SIGNALS + signal.SIGTERM)


if __name__ == "__main__":
    tie()
    main()
