"""Where a scenario is played: a store of its own, workers and clients on it, and outcomes without ids and times.

Only documented names are used here, so that a stage can be put up wherever the import name ``durabletask`` exists.
"""

from __future__ import annotations

import logging
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from durabletask import client as clients, task, testing, worker as workers

QUIET = logging.getLogger("scenarios.quiet")
QUIET.setLevel(logging.CRITICAL + 1)

PATIENCE_SECONDS = 20.0
"""How long a scenario waits for what should come at once."""

RESTLESS_SECONDS = 0.03
"""How long a restless worker works in its first life."""

LONGER = 1.05
"""How much longer each life is than the one before: on a busy machine, too, one is long enough to come to something."""

TESTING, SQLITE = "testing", "sqlite"

_HEX = re.compile(r"[0-9a-f]{32}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OBJECT = re.compile(r" at 0x[0-9a-f]+")
_ports = threading.Lock()
_taken: set[int] = set()


def free_port() -> int:
    """Return a port that nobody has, and that no other stage of this process gets."""
    with _ports:
        while True:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port: int = probe.getsockname()[1]
            if port not in _taken:
                _taken.add(port)
                return port


def plain(value: Any) -> Any:
    """Return a value in JSON's types, without the ids that chance gives."""
    match value:
        case str():
            text = _OBJECT.sub("", _UUID.sub("<uuid>", _HEX.sub("<hex>", value)))
            return re.sub(r"\w+\.<locals>\.", "", text)
        case bool() | int() | float() | None:
            return value
        case dict():
            return {str(plain(key)): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case set() | frozenset():
            return sorted((plain(item) for item in value), key=repr)
        case _:
            return f"<{type(value).__name__}>"


def told(details: task.FailureDetails | None) -> Any:
    """Return what failed: type and message of it and of what is inside."""
    if details is None:
        return None
    story: dict[str, Any] = {"type": short(details.error_type), "message": details.message}
    if details.inner_failure is not None:
        story["inner"] = told(details.inner_failure)
    if details.properties:
        story["properties"] = details.properties
    return story


def short(error_type: str) -> str:
    """Return a qualified type without the module of the scenario, which depends on how it was started."""
    return re.sub(r"^.*\.about_\w+\.(\w+\.<locals>\.)?", "here.", error_type)


def attempt(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what a call gives, or how it fails."""
    try:
        return {"returned": call(*args, **kwargs)}
    except Exception as error:  # noqa: BLE001 - any failure is an outcome
        return failure(error)


def failure(error: BaseException) -> Any:
    """Return a failure as an outcome; of an error of the transport only the code counts."""
    code = getattr(error, "code", None)
    if callable(code):
        return {"refused": code().name}
    if isinstance(error, task.TaskFailedError):
        return {
            "raised": "TaskFailedError",
            "message": str(error),
            "details": told(error.details),
        }
    return {"raised": documented(type(error)), "message": str(error)}


def documented(kind: type[BaseException]) -> str:
    """Return the name that a program can catch a failure by: of its nearest type that is documented."""
    for one in kind.__mro__:
        module = one.__module__
        if module == "builtins" or module.split(".")[0] == "durabletask" or "about_" in module:
            return one.__name__
    return kind.__name__


class Stage:
    """A store of a scenario's own, and who works on it.

    Attributes:
        name: Of the scenario.
        log: What activities and entities noted, in order; any thread may write.
    """

    def __init__(self, name: str, backend: str, folder: Path, restless: bool = False) -> None:
        """Put up a stage.

        Args:
            name: Of the scenario.
            backend: ``testing`` for the SDK's own backend for tests; ``sqlite`` for a file; or the URL of a store.
            folder: For files.
            restless: Whether workers stop and start again all the time.
        """
        self.name = name
        self.folder = folder
        self.log: list[Any] = []
        self._restless = restless
        self._ends: list[Callable[[], Any]] = []
        self._client: clients.TaskHubGrpcClient | None = None
        self._port = 0
        if backend == TESTING:
            self._port = free_port()
            store = testing.create_test_backend(port=self._port)
            self._ends.append(lambda: store.stop(0))
            self.where: dict[str, Any] = {"host_address": f"localhost:{self._port}"}
        elif backend == SQLITE:
            self.where = {"host_address": f"sqlite:///{folder}/{name}.db"}
        else:
            hub = f"s{uuid.uuid4().hex[:12]}"
            self.where = {"host_address": backend, "metadata": [("taskhub", hub)]}

    def close(self) -> None:
        """Stop whatever the scenario left."""
        for end in reversed(self._ends):
            with suppress(Exception):
                end()

    # ------------------------------------------------------------ who works here

    def worker(
        self,
        orchestrators: Sequence[Callable[..., Any]] = (),
        activities: Sequence[Callable[..., Any]] = (),
        entities: Sequence[Any] = (),
        *,
        start: bool = True,
        versioning: workers.VersioningOptions | None = None,
        **options: Any,
    ) -> workers.TaskHubGrpcWorker:
        """Return a worker that is stopped at the end; started unless said otherwise."""
        it = workers.TaskHubGrpcWorker(logger=QUIET, **self.where, **options)
        for orchestrator in orchestrators:
            it.add_orchestrator(orchestrator)
        for activity in activities:
            it.add_activity(activity)
        for entity in entities:
            it.add_entity(entity)
        if versioning is not None:
            it.use_versioning(versioning)
        self._ends.append(it.stop)
        if start:
            it.start()
            if self._restless:
                self._stir(it)
        return it

    def _stir(self, worker: workers.TaskHubGrpcWorker) -> None:
        """Let a worker stop and start again until the end."""
        over = threading.Event()

        def stir() -> None:
            seconds = RESTLESS_SECONDS
            while not over.wait(seconds):
                worker.stop()
                worker.start()
                seconds *= LONGER

        thread = threading.Thread(target=stir, name=f"{self.name}-stirring")
        thread.start()
        self._ends.append(thread.join)
        self._ends.append(over.set)

    def new_client(self, **options: Any) -> clients.TaskHubGrpcClient:
        """Return a further client, closed at the end."""
        it = clients.TaskHubGrpcClient(logger=QUIET, **self.where, **options)
        self._ends.append(it.close)
        return it

    def async_client(self, **options: Any) -> clients.AsyncTaskHubGrpcClient:
        """Return a client for ``async with``."""
        return clients.AsyncTaskHubGrpcClient(logger=QUIET, **self.where, **options)

    @property
    def client(self) -> clients.TaskHubGrpcClient:
        """The client that most scenarios need."""
        if self._client is None:
            self._client = self.new_client()
        return self._client

    # ------------------------------------------------------------ what happens

    def note(self, *what: Any) -> None:
        """Write into the log."""
        self.log.append(what[0] if len(what) == 1 else list(what))

    def start(
        self, orchestrator: Any, input: Any = None, *, id: str = "one", **options: Any
    ) -> str:
        """Schedule an orchestration and return its id."""
        return self.client.schedule_new_orchestration(
            orchestrator, input=input, instance_id=id, **options
        )

    def finish(self, id: str = "one", *, timeout: float = PATIENCE_SECONDS) -> Any:
        """Return how an orchestration ends, or what it is doing when patience ends."""
        try:
            state = self.client.wait_for_orchestration_completion(id, timeout=timeout)
        except TimeoutError:
            state = self.client.get_orchestration_state(id)
            return {"still": "absent" if state is None else state.runtime_status.name}
        return self.outcome(state)

    def run(
        self,
        orchestrator: Any,
        input: Any = None,
        *,
        id: str = "one",
        timeout: float = PATIENCE_SECONDS,
        **options: Any,
    ) -> Any:
        """Schedule an orchestration and return how it ends."""
        self.start(orchestrator, input, id=id, **options)
        return self.finish(id, timeout=timeout)

    def outcome(self, state: clients.OrchestrationState | None) -> Any:
        """Return what a client sees of an orchestration."""
        if state is None:
            return None
        story: dict[str, Any] = {"status": state.runtime_status.name}
        if state.serialized_output is not None and state.failure_details is None:
            story["output"] = state.get_output()
        if state.serialized_custom_status is not None:
            story["custom_status"] = state.get_custom_status()
        if state.failure_details is not None:
            story["failure"] = told(state.failure_details)
        return story

    def outcome_of(self, id: str = "one") -> Any:
        """Return what a client sees of an orchestration now."""
        return self.outcome(self.client.get_orchestration_state(id))

    def status(self, id: str = "one") -> str | None:
        """Return the name of an orchestration's status now."""
        state = self.client.get_orchestration_state(id)
        return None if state is None else state.runtime_status.name

    def custom_status(self, id: str = "one") -> Any:
        """Return an orchestration's own status now."""
        state = self.client.get_orchestration_state(id)
        return None if state is None else state.get_custom_status()

    def until(self, true: Callable[[], Any], timeout: float = PATIENCE_SECONDS) -> Any:
        """Return the first true value of a question asked again and again; the last answer when patience ends."""
        end = time.monotonic() + timeout
        while not (answer := true()) and time.monotonic() < end:
            threading.Event().wait(0.01)
        return answer

    def until_status(self, status: str, id: str = "one", timeout: float = PATIENCE_SECONDS) -> bool:
        """Wait until an orchestration has a status."""
        return bool(self.until(lambda: self.status(id) == status, timeout))

    def pause(self, seconds: float) -> None:
        """Let real time pass, to see that nothing happens."""
        threading.Event().wait(seconds)

    def history(self, id: str = "one") -> list[str]:
        """Return the kinds of an orchestration's history, without where turns begin and end."""
        kinds = [type(event).__name__ for event in self.client.get_orchestration_history(id)]
        return [kind.removesuffix("Event") for kind in kinds if not kind.startswith("Orchestrator")]

    def state_of(self, entity: Any) -> Any:
        """Return an entity's state now, ``None`` when there is none."""
        found = self.client.get_entity(entity)
        return None if found is None else found.get_typed_state()
