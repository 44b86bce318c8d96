"""Plan: all that happens to a system in one run, as data.

It says what clients do, what strikes when, and how the ways to the store misbehave. The same plan gives the same run, in any
process. Any of its actions, strikes and losses may be taken out, and what is left must still hold: so a failing plan can be
shrunk. It is written as JSON and read back.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

StoreKind = Literal["memory", "sqlite"]

StrikeKind = Literal[
    "kill",
    "stop",
    "cancel",
    "freeze",
    "stall",
    "skew",
    "outage",
    "partition",
    "deafness",
    "evict",
    "clock",
]

LossKind = Literal["before", "after", "reset", "late", "kill_before", "kill_after", "freeze"]

EVERYWHERE = "*"
"""Instead of the name of a node: every one."""


class Action(msgspec.Struct, frozen=True):
    """One thing that a client does.

    Attributes:
        at: When, in seconds of virtual time.
        client: Which client process does it, from 1.
        workload: Name of the workload that knows what it is.
        kind: What it is, in the words of the workload.
        args: JSON values.
    """

    at: float
    client: int
    workload: str
    kind: str
    args: dict[str, Any] = {}


class Strike(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that happens to a process, or to the store, at a moment.

    - ``kill``: the process is gone, in the midst of anything; a new one begins after ``seconds``. With an ``amount``, the store does not
      notice that it is gone, until its lease is over.
    - ``stop``: a worker is asked to stop; a new one begins ``seconds`` after it has.
    - ``cancel``: a worker is cancelled wherever it is, as by a signal; a new one begins after ``seconds``.
    - ``freeze``: the process does nothing for ``seconds``, then goes on as if nothing had been.
    - ``stall``: its event loop is blocked for ``seconds``, while its threads go on, so that its lease is renewed.
    - ``skew``: its clock is wrong by ``amount`` seconds from now on.
    - ``partition``: the process does not reach the store for ``seconds``.
    - ``outage``: nobody does.
    - ``deafness``: the process hears no hint for ``seconds``.
    - ``evict``: a worker forgets what it keeps warm.
    - ``clock``: the store's own clock jumps ahead by ``amount`` seconds.

    Attributes:
        at: When, in seconds of virtual time.
        kind: What.
        node: To whom, as ``"w1"`` or ``"c2"``, or `EVERYWHERE`.
        seconds: For how long.
        amount: By how much.
    """

    at: float
    kind: StrikeKind
    node: str = EVERYWHERE
    seconds: float = 0.0
    amount: float = 0.0


class Loss(msgspec.Struct, frozen=True, omit_defaults=True):
    """What becomes of one call on its way to the store.

    - ``before``: it does not arrive.
    - ``after``: it is carried out, but the answer is lost.
    - ``reset``: as ``before``, and at once.
    - ``late``: the caller hears that nobody answers; ``seconds`` later it is carried out all the same.
    - ``kill_before``, ``kill_after``: the process is gone in the moment before, or after, it is carried out.
    - ``freeze``: the process does nothing for ``seconds`` from the moment when it is carried out, so that it hears of it late.

    Attributes:
        node: Who calls.
        call: Which of its calls, from 1; a process that begins anew under the same name counts on.
        kind: What becomes of it.
        seconds: See above.
    """

    node: str
    call: int
    kind: LossKind
    seconds: float = 0.0


class Profile(msgspec.Struct, frozen=True, omit_defaults=True):
    """How often what goes wrong on the ways to the store, as shares of calls and hints between 0 and 1.

    Attributes:
        before: Calls that do not arrive.
        after: Calls whose answers are lost.
        reset: Calls that are refused at once, as by a connection that breaks.
        late: Calls that are carried out after the caller gave up.
        latency: Seconds that a call is on its way, at most, and again an answer.
        tail: Calls, and again answers, that take up to ``tail_seconds``.
        tail_seconds: See there.
        hints_lost: Hints that are lost.
        hints_doubled: Hints that come twice.
        hints_late: Hints that come up to ``hints_late_seconds`` later, and after others that way.
        hints_late_seconds: See there.
    """

    before: float = 0.0
    after: float = 0.0
    reset: float = 0.0
    late: float = 0.0
    latency: float = 0.0
    tail: float = 0.0
    tail_seconds: float = 0.0
    hints_lost: float = 0.0
    hints_doubled: float = 0.0
    hints_late: float = 0.0
    hints_late_seconds: float = 0.0


class Plan(msgspec.Struct, frozen=True, omit_defaults=True):
    """A whole run.

    Attributes:
        seed: Draws what no plan can list: the order of what can run at the same moment, latencies, what workloads ask chance for.
        store: What everything is kept in.
        workers: How many worker processes there are, named ``w1`` and so on.
        clients: How many client processes there are, named ``c1`` and so on.
        residents: How many of the clients, the first ones, live in processes of workers instead.
        workloads: Whose actions are among ``actions``.
        is_trusting: Whether workers take plain operations of entities for quick, once they have been.
        settings: Of the workers, where they differ from those of the simulation.
        profile: How often what goes wrong.
        actions: What clients do.
        strikes: What happens to processes.
        losses: What becomes of single calls; if given, no call is lost by ``profile``.
    """

    seed: int
    store: StoreKind = "memory"
    workers: int = 2
    clients: int = 2
    residents: int = 0
    workloads: tuple[str, ...] = ()
    is_trusting: bool = True
    settings: dict[str, Any] = {}
    profile: Profile = Profile()
    actions: tuple[Action, ...] = ()
    strikes: tuple[Strike, ...] = ()
    losses: tuple[Loss, ...] | None = None

    def to_json(self) -> bytes:
        """Write it down."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1)

    @classmethod
    def from_json(cls, text: bytes | str) -> Plan:
        """Read what ``to_json`` wrote.

        Raises:
            msgspec.DecodeError: It is no plan.
        """
        return msgspec.json.decode(text, type=cls)
