"""What many workers and many instances ask of one Postgres server, calculated from measured constants; pure functions of values."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

US = 1e-6
PAGE_BYTES = 8192


@dataclass(frozen=True, kw_only=True)
class Constants:
    """What things cost, as ``measure`` found it; CPU in microseconds of one core of the machine it ran on.

    Attributes:
        worker_us_per_step: CPU of the worker's process for a step of an orchestration, among many.
        worker_us_per_instance: The same for a start and an end, its client's included.
        server_us_per_commit: CPU of the server for a commit, whatever is in it.
        server_us_per_step: CPU of the server for one more step in a commit.
        server_us_per_instance: The same for a start and an end.
        look_us: For a look for work that finds nothing.
        renewal_us: For the renewal of a lease.
        sweep_us: For a look for dead workers, with none there.
        sweep_us_per_worker: And for each worker there is.
        wake_up_us: For a notification, for each process that listens in its database, on whatever channel.
        wal_bytes_per_step: In the server's log.
        wal_bytes_per_instance: For a start and an end.
        wal_bytes_per_commit: For a commit's own record and the worker's row.
        instance_bytes: On disk, of an instance that has ended: its row and its entries in indexes.
        history_row_bytes: The same, of one row of history, that holds one turn of small values.
        request_bytes: The same, of a start's request, which is kept for a day.
        cached_bytes: In a worker's memory, of an instance that waits.
    """

    worker_us_per_step: float
    worker_us_per_instance: float
    server_us_per_commit: float
    server_us_per_step: float
    server_us_per_instance: float
    look_us: float
    renewal_us: float
    sweep_us: float
    sweep_us_per_worker: float
    wake_up_us: float
    wal_bytes_per_step: float
    wal_bytes_per_instance: float
    wal_bytes_per_commit: float
    instance_bytes: float
    history_row_bytes: float
    request_bytes: float
    cached_bytes: float


@dataclass(frozen=True, kw_only=True)
class Habits:
    """What workers do whether there is work or not, a second; and what a worker holds.

    Attributes:
        looks: Looks for work, of each worker.
        renewals: Renewals of a lease, of each worker.
        sweeps: Looks for dead workers, of a worker that is alone; several take turns.
        sweepers: As many workers look as often as they would alone.
        pings: Notifications to hear whether any arrive, of all processes together.
        connections: Each worker process keeps these.
        own_connections: Of these, such as cannot go through a pooler: they hold a lock, or listen.
    """

    looks: float
    renewals: float
    sweeps: float
    sweepers: int
    pings: float
    connections: int
    own_connections: int


@dataclass(frozen=True, kw_only=True)
class Server:
    """A Postgres server.

    Attributes:
        name: What the table calls it.
        cores: Each as fast as that of the constants.
        sync_seconds: What a commit takes, most of it the sync of the disk.
        notify_seconds: What a notification takes while it keeps all others out: it is a commit under a lock of the whole server,
            though one that does not wait for the disk.
        commits: Commits a second that it can do for many connections at once.
        wal_bytes: Log that it can write a second.
        connections: Such as it can hold.
        scan_bytes: What a vacuum or a backup reads a second.
    """

    name: str
    cores: float
    sync_seconds: float
    notify_seconds: float
    commits: float
    wal_bytes: float
    connections: int
    scan_bytes: float


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is done.

    Attributes:
        workers: Worker processes.
        starts: Orchestrations started a second, in all, and as many ended.
        steps: Activities of each, one after the other, run where the orchestration is.
        notifications: Of each orchestration, to other processes, if none of them went out together.
        calls_to_work: Those of them that tell of work, upon which each worker looks.
    """

    workers: int
    starts: float
    steps: float
    notifications: float
    calls_to_work: float


@dataclass(frozen=True)
class Use:
    """What part of something is used up: above 1 is a wall.

    Attributes:
        what: The name of it.
        part: The part.
    """

    what: str
    part: float


NOTIFICATIONS_PER_PROCESS = 250.0
"""A process that always has something to say says it so often a second."""


def commits_wanted(load: Load, server: Server) -> float:
    """Each worker has one commit under way, and puts into the next one what has come meanwhile."""
    turns = load.starts * (load.steps + 1) / load.workers
    return load.workers * min(turns, 1 / server.sync_seconds)


def commits_per_second(load: Load, server: Server) -> float:
    """Return how many there are: where they have to wait for each other, each becomes larger."""
    return min(commits_wanted(load, server), server.commits)


def said_per_second(each: float, load: Load, server: Server) -> float:
    """Return notifications of what was committed, if each orchestration has so many; what many commits have to tell goes out together."""
    said = load.workers * min(load.starts * each / load.workers, NOTIFICATIONS_PER_PROCESS)
    return min(said, commits_per_second(load, server))


def notifications_wanted(load: Load, habits: Habits, server: Server) -> float:
    """Return all notifications, those of a process to itself included."""
    return said_per_second(load.notifications, load, server) + habits.pings


def notifications_per_second(load: Load, habits: Habits, server: Server) -> float:
    """Return how many there are: where they have to wait for each other, each says more, and later."""
    return min(notifications_wanted(load, habits, server), 1 / server.notify_seconds)


def server_cpu(load: Load, habits: Habits, server: Server, costs: Constants) -> dict[str, float]:
    """Return the cores that are busy, by what keeps them busy."""
    workers = load.workers
    return {
        "looking for work": workers * habits.looks * costs.look_us * US,
        "leases": workers * habits.renewals * costs.renewal_us * US,
        "looking for dead workers": min(workers, habits.sweepers)
        * habits.sweeps
        * (costs.sweep_us + costs.sweep_us_per_worker * workers)
        * US,
        "waking others up": notifications_per_second(load, habits, server)
        * workers
        * costs.wake_up_us
        * US,
        "their looks": min(
            said_per_second(load.calls_to_work, load, server), 1 / server.notify_seconds
        )
        * workers
        * costs.look_us
        * US,
        "commits": commits_per_second(load, server) * costs.server_us_per_commit * US,
        "rows": load.starts
        * (costs.server_us_per_instance + load.steps * costs.server_us_per_step)
        * US,
    }


def wal_per_second(load: Load, server: Server, costs: Constants) -> float:
    """Return bytes of log a second."""
    rows = costs.wal_bytes_per_instance + load.steps * costs.wal_bytes_per_step
    return load.starts * rows + commits_per_second(load, server) * costs.wal_bytes_per_commit


def worker_cpu(load: Load, costs: Constants) -> float:
    """Return the cores that each worker keeps busy; one of Python's processes has one."""
    each = costs.worker_us_per_instance + load.steps * costs.worker_us_per_step
    return load.starts * each * US / load.workers


COMMITS = "commits (beyond, each holds more)"
NOTIFICATIONS = "notifications (beyond, they come late)"


def uses(load: Load, habits: Habits, server: Server, costs: Constants) -> list[Use]:
    """Return what is used of everything that can be used up."""
    cpu = server_cpu(load, habits, server, costs)
    renewals = load.workers * habits.renewals
    return [
        Use("a worker's CPU", worker_cpu(load, costs)),
        *(Use(f"server CPU: {name}", cores / server.cores) for name, cores in cpu.items()),
        Use("server CPU in all", sum(cpu.values()) / server.cores),
        Use(COMMITS, (commits_wanted(load, server) + renewals) / server.commits),
        Use(NOTIFICATIONS, notifications_wanted(load, habits, server) * server.notify_seconds),
        Use("log", wal_per_second(load, server, costs) / server.wal_bytes),
        Use("connections", load.workers * habits.connections / server.connections),
        Use(
            "connections that no pooler can share",
            load.workers * habits.own_connections / server.connections,
        ),
    ]


def largest(fits: Callable[[int], bool], most: int = 10_000_000) -> int:
    """Return the largest number that fits, where all smaller ones do; 0 if none does."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def workers_max(
    load_of: Callable[[int], Load], habits: Habits, server: Server, costs: Constants
) -> dict[str, int]:
    """Return how many workers each thing is enough for, if they come with a load that grows with them."""
    names = [use.what for use in uses(load_of(1), habits, server, costs)]

    def fits(place: int, workers: int) -> bool:
        return workers == 0 or uses(load_of(workers), habits, server, costs)[place].part <= 1

    return {
        name: largest(lambda workers, place=place: fits(place, workers), 1_000_000)  # type: ignore[misc]
        for place, name in enumerate(names)
    }


def steps_per_second(workers: int, steps: float, cores: float, costs: Constants) -> float:
    """Return how many steps so many workers do that have nothing else to do, where they share the cores with the server.

    Commits are large then, and their fixed part is small.
    """
    load = Load(workers=1, starts=1.0, steps=steps, notifications=0, calls_to_work=0)
    by_worker = worker_cpu(load, costs) / steps
    by_server = (costs.server_us_per_step + costs.server_us_per_instance / steps) * US
    return min(workers / by_worker, cores / (by_worker + by_server))


# -- what is kept


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What a number of instances amounts to.

    Attributes:
        bytes: On disk, with indexes.
        index_levels: Pages from the root to a leaf of the index that an instance is found by.
        read_seconds: To read all of it once, as a backup does, and a vacuum of what it has not seen yet.
        drain_seconds: Until all have ended that were pending, with all workers at it.
    """

    bytes: float
    index_levels: int
    read_seconds: float
    drain_seconds: float


NO_HABITS = Habits(
    looks=0, renewals=0, sweeps=0, sweepers=0, pings=0, connections=0, own_connections=0
)
INDEX_ENTRY_BYTES = 64
"""Of the index by id: the hub, 32 characters, and what the server adds."""


def kept(instances: float, steps: float, workers: int, server: Server, costs: Constants) -> Kept:
    """Return what so many orchestrations that have ended amount to, and how long it takes to get through them."""
    each = costs.instance_bytes + (steps + 2) * costs.history_row_bytes
    every = instances * each
    load = Load(workers=workers, starts=1.0, steps=steps, notifications=0, calls_to_work=0)
    rows = server_cpu(
        load,
        NO_HABITS,
        server,
        costs,
    )["rows"]
    by_workers = worker_cpu(load, costs)
    by_log = wal_per_second(load, server, costs) / server.wal_bytes
    return Kept(
        bytes=every,
        index_levels=max(
            1, math.ceil(math.log(max(instances, 2), PAGE_BYTES * 0.7 / INDEX_ENTRY_BYTES))
        ),
        read_seconds=every / server.scan_bytes,
        drain_seconds=instances * max(rows / server.cores, by_workers, by_log),
    )
