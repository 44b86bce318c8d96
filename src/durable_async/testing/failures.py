"""What goes wrong with a run in virtual time, as distinct from what the code under test raises.

VirtualTimeError
├── DeadlockError                            tasks wait, and nothing will ever wake one
├── VirtualTimeoutError (TimeoutError)       virtual time ran out
├── RunawayError                             too many steps
└── NoOutsideWorldError (NotImplementedError)  sockets, signals, subprocesses
"""

from __future__ import annotations

from durable_async.errors import DurableError


class VirtualTimeError(DurableError):
    """Root of errors of a run in virtual time."""


class DeadlockError(VirtualTimeError):
    """Raised when tasks wait and nothing is scheduled that could wake one.

    Attributes:
        at: Seconds of virtual time since the loop began.
    """

    def __init__(self, at: float, tasks: str) -> None:
        self.at = at
        super().__init__(
            f"deadlock at {at:g} s of virtual time: nothing is scheduled, so nobody can ever wake\n{tasks}\n"
            "A real thread cannot wake virtual time: go through env.run_in_thread and env.every."
        )


class VirtualTimeoutError(VirtualTimeError, TimeoutError):
    """Raised when the next thing to happen lies beyond the end of the run.

    Attributes:
        seconds: How much virtual time the run had.
    """

    def __init__(self, seconds: float, tasks: str) -> None:
        self.seconds = seconds
        super().__init__(f"not done after {seconds:g} s of virtual time\n{tasks}")


class RunawayError(VirtualTimeError):
    """Raised when a run takes more steps than it may.

    Attributes:
        steps: How many it took.
        at: Seconds of virtual time since the loop began.
    """

    def __init__(self, steps: int, at: float, here: int, recent: str) -> None:
        self.steps = steps
        self.at = at
        super().__init__(
            f"{steps:,} steps and no end, the last {here:,} of them at {at:g} s of virtual time; most recent:\n{recent}"
        )


class NoOutsideWorldError(VirtualTimeError, NotImplementedError):
    """Raised when code in virtual time reaches for a socket, a signal or a subprocess.

    Attributes:
        operation: The method of the event loop that was called.
    """

    def __init__(self, operation: str) -> None:
        self.operation = operation
        super().__init__(
            f"{operation} reaches outside, and virtual time cannot wait for what is there: "
            "put a fake in its place"
        )
