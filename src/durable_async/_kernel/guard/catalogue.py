"""What orchestrator code may not call, and what to use instead. Data only.

A replay runs the code again and must get the same answers. So whatever asks the world (clocks, chance, ids, the process and its
surroundings) or acts on it (files, sockets, threads, processes) is listed here by module and name. Names that a Python version
or an absent package does not have are passed over.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Severity(enum.Enum):
    """How bad it is."""

    HARD = "hard"
    """The replay would differ, or the event loop would stand still: always an error."""
    SOFT = "soft"
    """Mostly the same at each replay: the policy decides."""


class Condition(enum.Enum):
    """Which calls are meant."""

    ALWAYS = "always"
    WITHOUT_ARGUMENT = "without argument"
    """Only a call that passes nothing, or ``None`` first: ``random.Random()``, ``time.localtime()``."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One forbidden operation.

    Attributes:
        name: What users call it, such as ``time.time``.
        instead: What to use.
        severity: How bad it is.
        condition: Which calls of it are meant.
    """

    name: str
    instead: str
    severity: Severity = Severity.HARD
    condition: Condition = Condition.ALWAYS


@dataclass(frozen=True, slots=True)
class Group:
    """Operations of one module that share their advice.

    Attributes:
        module: Where they are found.
        names: Their names there, between spaces; a dot leads into a class.
        shown: What users see before the last part of a name, if not the module.
    """

    module: str
    names: str
    instead: str
    severity: Severity = Severity.HARD
    condition: Condition = Condition.ALWAYS
    shown: str | None = None

    def operation(self, name: str) -> Operation:
        """Return the entry of one of the names."""
        shown = f"{self.module}.{name}"
        if self.shown is not None:
            shown = f"{self.shown}.{name.rpartition('.')[2]}".lstrip(".")
        return Operation(shown, self.instead, self.severity, self.condition)


CLOCK = "use ctx.now(), which history remembers"
SLEEP = "use await asyncio.sleep(...), which is a durable timer here"
CHANCE = "use ctx.random('name'), a stream seeded by the instance"
SEED = "pass a seed, or use ctx.random('name')"
SECRECY = "draw it in an activity, so that it is drawn once"
IDENTIFIER = "use ctx.uuid4()"
PROCESS = "pass it in as input, or read it in an activity"
FILES = "do it in an activity"
NETWORK = "do it in an activity"
COMMAND = "run it in an activity"
THREAD = "do it in an activity: a plain def activity runs in a thread of its own"
LOOP = "await it; the worker runs the loop"

_SOFT = Severity.SOFT
_BARE = Condition.WITHOUT_ARGUMENT

TIME = (
    Group(
        "time",
        "time time_ns monotonic monotonic_ns perf_counter perf_counter_ns process_time "
        "process_time_ns thread_time thread_time_ns clock_gettime clock_gettime_ns",
        CLOCK,
    ),
    Group("time", "localtime gmtime ctime asctime", CLOCK, condition=_BARE),
    Group("time", "sleep", SLEEP),
    Group("django.utils.timezone", "now localdate localtime", CLOCK),
    Group("pendulum", "now today tomorrow yesterday", CLOCK),
    Group("arrow", "now utcnow", CLOCK),
)

CHANCES = (
    Group(
        "random",
        "betavariate binomialvariate choice choices expovariate gammavariate gauss "
        "getrandbits getstate lognormvariate normalvariate paretovariate randbytes "
        "randint random randrange sample seed setstate shuffle triangular uniform "
        "vonmisesvariate weibullvariate",
        CHANCE,
    ),
    Group("random", "Random", SEED, condition=_BARE),
    Group("random", "SystemRandom", SECRECY),
    Group(
        "secrets",
        "choice randbelow randbits token_bytes token_hex token_urlsafe",
        SECRECY,
    ),
    Group("os", "urandom getrandom", SECRECY),
    Group("uuid", "uuid1 uuid4 uuid6 uuid7", IDENTIFIER),
    Group("uuid", "getnode", PROCESS, _SOFT),
    Group(
        "numpy.random",
        "choice normal permutation rand randint randn random random_sample seed shuffle uniform",
        CHANCE,
    ),
    Group("numpy.random", "default_rng", SEED, condition=_BARE),
)

SURROUNDINGS = (
    Group(
        "os",
        "cpu_count getcwd getenv getenvb getloadavg getlogin getpid getppid uname",
        PROCESS,
        _SOFT,
    ),
    Group("os.path", "exists getmtime getsize isdir isfile", FILES, _SOFT),
    Group("os", "stat", FILES, _SOFT),
    Group("platform", "node uname", PROCESS, _SOFT),
    Group("socket", "gethostname getfqdn", PROCESS, _SOFT),
    Group("getpass", "getuser", PROCESS, _SOFT),
)

STORAGE = (
    Group("builtins", "open input", FILES, shown=""),
    Group("io", "FileIO open_code", FILES),
    Group(
        "os",
        "listdir makedirs mkdir open remove removedirs rename replace rmdir scandir "
        "truncate unlink walk",
        FILES,
    ),
    Group(
        "pathlib",
        "Path.glob Path.iterdir Path.mkdir Path.open Path.read_bytes Path.read_text "
        "Path.rename Path.replace Path.rglob Path.rmdir Path.touch Path.unlink "
        "Path.write_bytes Path.write_text",
        FILES,
    ),
    Group("pathlib", "Path.exists Path.is_dir Path.is_file Path.stat", FILES, _SOFT),
    Group("pathlib", "Path.cwd Path.home", PROCESS, _SOFT),
    Group("glob", "glob iglob", FILES),
    Group("shutil", "copy copy2 copyfile copytree move rmtree", FILES),
    Group(
        "tempfile",
        "NamedTemporaryFile SpooledTemporaryFile TemporaryDirectory TemporaryFile mkdtemp mkstemp",
        FILES,
    ),
    Group("sqlite3", "connect", FILES),
    Group("anyio", "open_file", FILES),
)

NETWORKING = (
    Group(
        "socket",
        "create_connection create_server getaddrinfo gethostbyaddr gethostbyname "
        "gethostbyname_ex getnameinfo socket socketpair",
        NETWORK,
    ),
    Group("urllib.request", "urlopen urlretrieve", NETWORK),
    Group("http.client", "HTTPConnection.connect HTTPSConnection.connect", NETWORK),
    Group(
        "asyncio",
        "open_connection open_unix_connection start_server start_unix_server",
        NETWORK,
    ),
    Group(
        "asyncio",
        "AbstractEventLoop.create_connection AbstractEventLoop.create_datagram_endpoint "
        "AbstractEventLoop.create_server AbstractEventLoop.create_unix_connection "
        "AbstractEventLoop.create_unix_server AbstractEventLoop.getaddrinfo "
        "AbstractEventLoop.getnameinfo AbstractEventLoop.sock_connect",
        NETWORK,
        shown="loop",
    ),
    Group(
        "anyio",
        "connect_tcp connect_unix create_connected_udp_socket create_tcp_listener "
        "create_udp_socket create_unix_listener getaddrinfo getnameinfo",
        NETWORK,
    ),
)

PROCESSES = (
    Group(
        "subprocess",
        "Popen call check_call check_output getoutput getstatusoutput run",
        COMMAND,
    ),
    Group(
        "os",
        "execv execve fork forkpty popen posix_spawn posix_spawnp spawnv spawnve startfile system",
        COMMAND,
    ),
    Group("multiprocessing.process", "BaseProcess.start", COMMAND, shown="Process"),
    Group(
        "multiprocessing.context",
        "BaseContext.Manager BaseContext.Pool",
        COMMAND,
        shown="multiprocessing",
    ),
    Group("asyncio", "create_subprocess_exec create_subprocess_shell", COMMAND),
    Group(
        "asyncio",
        "AbstractEventLoop.subprocess_exec AbstractEventLoop.subprocess_shell",
        COMMAND,
        shown="loop",
    ),
    Group("anyio", "open_process run_process", COMMAND),
    Group("anyio.to_process", "run_sync", COMMAND),
)

THREADS = (
    Group("threading", "Thread.start", THREAD),
    Group("_thread", "start_joinable_thread start_new_thread", THREAD),
    Group(
        "concurrent.futures.thread", "ThreadPoolExecutor.submit", THREAD, shown="ThreadPoolExecutor"
    ),
    Group(
        "concurrent.futures.process",
        "ProcessPoolExecutor.submit",
        COMMAND,
        shown="ProcessPoolExecutor",
    ),
    Group("concurrent.futures", "Executor.map", THREAD, shown="Executor"),
    Group("asyncio", "to_thread", THREAD),
    Group("asyncio", "AbstractEventLoop.run_in_executor", THREAD, shown="loop"),
    Group("anyio.to_thread", "run_sync", THREAD),
    Group("anyio.to_interpreter", "run_sync", THREAD),
    Group("anyio.from_thread", "run run_sync start_blocking_portal", LOOP),
    Group("asyncio", "Runner.run new_event_loop run run_coroutine_threadsafe", LOOP),
    Group("anyio", "run", LOOP),
)

GROUPS = (*TIME, *CHANCES, *SURROUNDINGS, *STORAGE, *NETWORKING, *PROCESSES, *THREADS)
"""Everything forbidden that is called by name."""

READS = (
    Group("os", "environ", PROCESS, _SOFT),
    Group("os", "environb", PROCESS, _SOFT),
)
"""Objects that need no call: to look at them is enough."""

CLOCK_CLASSMETHODS = {
    "now": Operation("datetime.now", CLOCK),
    "utcnow": Operation("datetime.utcnow", CLOCK),
    "today": Operation("datetime.today", CLOCK),
}
"""Class methods of ``date``, ``datetime`` and what is derived from them."""


def _events(names: str, instead: str) -> dict[str, Operation]:
    return {name: Operation(name, instead) for name in names.split()}


EVENTS: dict[str, Operation] = {
    "open": Operation("opening a file", FILES),
    "sqlite3.connect": Operation("sqlite3.connect", FILES),
    "_thread.start_new_thread": Operation("starting a thread", THREAD),
    "_thread.start_joinable_thread": Operation("starting a thread", THREAD),
    "time.sleep": Operation("time.sleep", SLEEP),
    **_events(
        "glob.glob os.listdir os.mkdir os.remove os.rename os.rmdir os.scandir "
        "os.truncate shutil.copyfile shutil.move shutil.rmtree tempfile.mkdtemp "
        "tempfile.mkstemp",
        FILES,
    ),
    **_events(
        "http.client.connect socket.__new__ socket.bind socket.connect "
        "socket.getaddrinfo socket.gethostbyaddr socket.gethostbyname "
        "socket.getnameinfo socket.sendmsg socket.sendto urllib.Request",
        NETWORK,
    ),
    **_events(
        "os.exec os.fork os.forkpty os.posix_spawn os.spawn os.startfile os.system "
        "pty.spawn subprocess.Popen",
        COMMAND,
    ),
    "socket.gethostname": Operation("socket.gethostname", PROCESS, _SOFT),
}
"""Audit events, which come from C and so see what no call site shows."""
