"""Finding the user's hub: ``module:hub``, as ``python`` would import it from the current folder."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from durable_async import ConfigurationError, DurableError, Registry, TaskHub
from durable_async.registry import default_registry

SHOWN_MAX = 20

_WITHIN_A_LOOP = (
    "running event loop",
    "event loop is already running",
    "another loop is running",
    "Already running asyncio",
)
"""What asyncio and anyio say who are to run a program in a thread that has one already."""


@dataclass(frozen=True, slots=True)
class Program:
    """What ``module:hub`` stands for.

    Attributes:
        spec: As it was said.
        hub: The hub that it is, or ``None`` if it is a registry.
        registry: What its workers run.
    """

    spec: str
    hub: TaskHub | None
    registry: Registry


def load(spec: str) -> Program:
    """Import a module, and return the hub or the registry that is meant.

    Args:
        spec: ``module:name``; or ``module`` alone, where the module has one hub, or else one registry, or else what its decorators registered.

    Raises:
        ConfigurationError: There is no such module, it cannot be imported, or what is meant is not there, or is something else.
    """
    name, colon, attribute = spec.partition(":")
    if not name or (colon and not attribute):
        raise ConfigurationError(f"{spec!r} is not of the form module:hub, such as shop.main:hub")
    module = _module(name)
    found = _attribute(module, attribute) if attribute else _only_one(module)
    if isinstance(found, TaskHub):
        return Program(spec, found, found.registry)
    if isinstance(found, Registry):
        return Program(spec, None, found)
    raise ConfigurationError(
        f"{spec!r} is {_article(found)}, not a TaskHub of TaskHub.at(...) or a Registry; {_what_is_there(module)}"
    )


def _module(name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        with _interrupted_at_once():
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ConfigurationError(
                f"there is no module {error.name!r} in {here!r} or where Python looks otherwise; {_modules_here()}"
            ) from error
        raise _not_imported(name, error) from error
    except DurableError as error:  # its words have the line that is meant
        raise ConfigurationError(f"the module {name!r} cannot be imported: {error}") from error
    except Exception as error:
        raise _not_imported(name, error) from error


@contextmanager
def _interrupted_at_once() -> Generator[None]:
    """Let Ctrl-C end what runs here; within an event loop it would only be noted, and heeded when the code comes back."""
    ours = signal.getsignal(signal.SIGINT)
    if ours in (signal.SIG_IGN, None) or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, ours)


def _not_imported(name: str, error: Exception) -> ConfigurationError:
    """Return the error, with the traceback from the user's own code on."""
    if isinstance(error, RuntimeError) and any(text in str(error) for text in _WITHIN_A_LOOP):
        return ConfigurationError(
            f"the module {name!r} runs a program when it is imported, {_place_of(error)}: put that under"
            ' `if __name__ == "__main__":`, so that others can import what stands beside it'
        )
    told = "".join(traceback.format_exception(type(error), error, _from_user(error.__traceback__)))
    return ConfigurationError(f"the module {name!r} cannot be imported\n{told.rstrip()}")


def _place_of(error: Exception) -> str:
    """Return the line of the user's that called what failed, which is asyncio's or anyio's."""
    lines = traceback.extract_tb(_from_user(error.__traceback__))
    line = next((line for line in reversed(lines) if line.name == "<module>"), lines[0])
    return f"in {line.filename}:{line.lineno}"


def _from_user(trace: TracebackType | None) -> TracebackType | None:
    """Leave out the frames of this file and of the import system."""
    ours = (__file__, importlib.__file__)
    while trace is not None and trace.tb_next is not None:
        file = trace.tb_frame.f_code.co_filename
        if file not in ours and not file.startswith("<frozen importlib"):
            break
        trace = trace.tb_next
    return trace


def _attribute(module: ModuleType, path: str) -> Any:
    found: Any = module
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError as error:
            raise ConfigurationError(
                f"the module {module.__name__!r} has no {path!r}; {_what_is_there(module)}"
            ) from error
    return found


def _only_one(module: ModuleType) -> Any:
    for kind in (TaskHub, Registry):
        found = _of_kind(module, kind)
        if len(found) > 1:
            names = ", ".join(f"{module.__name__}:{name}" for name in found)
            raise ConfigurationError(f"which of them is meant? {names}")
        if found:
            return next(iter(found.values()))
    return default_registry


def _of_kind(module: ModuleType, kind: type) -> dict[str, Any]:
    """Return the values of a kind by name, each once."""
    found: dict[str, Any] = {}
    for name, value in vars(module).items():
        if isinstance(value, kind) and not any(value is other for other in found.values()):
            found[name] = value
    return found


def _what_is_there(module: ModuleType) -> str:
    hubs, registries = _of_kind(module, TaskHub), _of_kind(module, Registry)
    if hubs or registries:
        there = [f"{name} (TaskHub)" for name in hubs] + [
            f"{name} (Registry)" for name in registries
        ]
        return f"what it has: {', '.join(there[:SHOWN_MAX])}"
    names = [name for name in vars(module) if not name.startswith("_")]
    has = ", ".join(names[:SHOWN_MAX]) or "nothing"
    return f"it has no TaskHub and no Registry; what it has: {has}"


def _modules_here() -> str:
    names = sorted(
        {
            Path(entry.name).stem
            for entry in os.scandir()
            if not entry.name.startswith((".", "_"))
            and (
                (entry.is_file() and entry.name.endswith(".py"))
                or (entry.is_dir() and Path(entry.path, "__init__.py").is_file())
            )
        }
    )
    if not names:
        return "there are none in this folder"
    return f"what is in this folder: {', '.join(names[:SHOWN_MAX])}"


def _article(found: object) -> str:
    kind = type(found).__name__
    if isinstance(found, type):
        return f"the class {found.__name__}"
    return f"{'an' if kind[:1].lower() in 'aeiou' else 'a'} {kind}"
