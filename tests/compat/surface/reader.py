"""Reads what a package offers: names, kinds, parameters, defaults. A program of its own, for any interpreter that has the package.

It takes ``{"modules": {module: [pattern, ...] or null}, "inherited": bool}`` as JSON from standard input, where patterns choose names
and ``null`` all public ones, and prints ``{"modules": {module: {name: description}}, "broken": {module: error}, "all": [module, ...]}``.
It imports nothing but the standard library and the modules that it is asked for. Libraries of Azure that are not installed, which some
of those want, have stand-ins.
"""

from __future__ import annotations

import ast
import dataclasses
import datetime as dt
import enum
import fnmatch
import importlib
import inspect
import json
import sys
import textwrap
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PACKAGE = "durabletask"
AZURE = [
    "azure",
    "azure.core",
    "azure.core.exceptions",
    "azure.storage",
    "azure.storage.blob",
    "azure.storage.blob.aio",
]
SHOWN_DUNDERS = {"__aenter__", "__aexit__", "__enter__", "__exit__"}
ORDER_DUNDERS = {"__eq__", "__lt__", "__str__"}
UNSAID_BASES = {"ABC", "Generic", "Protocol", "ReprEnum", "object"}
MORE = "..."  # a default that is no plain value


def main() -> None:
    asked = json.load(sys.stdin)
    stand_in_for(AZURE)
    broken: dict[str, str] = {}
    found: dict[str, dict[str, Any]] = {}
    for name, patterns in asked["modules"].items():
        try:
            found[name] = names_of(importlib.import_module(name), patterns)
        except Exception as error:  # noqa: BLE001 - whoever asked is told
            broken[name] = f"{type(error).__name__}: {error}"
    surface = read(found, inherited=asked["inherited"])
    json.dump({"modules": surface, "broken": broken, "all": sorted(all_modules())}, sys.stdout)


def stand_in_for(modules: list[str]) -> None:
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError:
            module = types.ModuleType(name)
            module.__path__ = []
            vars(module)["__getattr__"] = lambda wanted: type(wanted, (Exception,), {})
            sys.modules[name] = module


def all_modules() -> Iterator[str]:
    root = importlib.import_module(PACKAGE)
    yield PACKAGE
    folders = [Path(folder) for folder in root.__path__]
    for folder in folders:
        for file in folder.rglob("*.py"):
            parts = file.relative_to(folder).with_suffix("").parts
            dotted = ".".join((PACKAGE, *(part for part in parts if part != "__init__")))
            if dotted != PACKAGE:
                yield dotted


def read(found: dict[str, dict[str, Any]], inherited: bool) -> dict[str, dict[str, Any]]:
    """Describe modules. A thing that several of them offer is described in one, and is an alias in the others.

    Members that a class has from a public base are told of only with ``inherited``.
    """
    homes: dict[int, tuple[str, str]] = {}
    for module, things in found.items():
        for name, thing in things.items():
            if is_described(thing):
                known = homes.get(id(thing))
                if known is None or rank(module, thing) < rank(known[0], thing):
                    homes[id(thing)] = (module, name)
    surface: dict[str, dict[str, Any]] = {}
    for module, things in found.items():
        surface[module] = {}
        for name, thing in sorted(things.items()):
            home = homes.get(id(thing), (module, name))
            surface[module][name] = (
                describe(thing, inherited)
                if home == (module, name)
                else {"kind": "alias", "of": ":".join(home)}
            )
    return surface


def is_described(thing: Any) -> bool:
    return inspect.isclass(thing) or inspect.isfunction(thing)


def rank(module: str, thing: Any) -> tuple[bool, int, str]:
    """Order the modules that offer a thing: first the shortest one above its definition, but not the package itself."""
    defined = str(thing.__module__)
    above = defined == module or defined.startswith(f"{module}.")
    return not above or module == PACKAGE, len(module), module


# ---------------------------------------------------------------- modules


def names_of(module: types.ModuleType, patterns: list[str] | None) -> dict[str, Any]:
    if patterns is not None:
        known = {*vars(module), *getattr(module, "__all__", ())}
        chosen = {name for pattern in patterns for name in fnmatch.filter(known, pattern)}
        return {name: getattr(module, name) for name in chosen}
    names = {*getattr(module, "__all__", ()), *defined_in(module)}
    if module.__name__ == f"{PACKAGE}.task":  # documented there too
        names |= {name for name in vars(module) if is_of_entities(vars(module)[name])}
    return {name: value for name in names if is_wanted(value := getattr(module, name))}


def is_of_entities(thing: Any) -> bool:
    return inspect.isclass(thing) and thing.__module__.startswith(f"{PACKAGE}.entities")


def is_wanted(value: Any) -> bool:
    return not isinstance(value, (typing.TypeVar, types.ModuleType)) and (
        type(value).__name__ not in ("Logger", "ParamSpec")
    )


def defined_in(module: types.ModuleType) -> Iterator[str]:
    for node in ast.parse(inspect.getsource(module)).body:
        for name in defined_by(node):
            if not name.startswith("_") and hasattr(module, name):
                yield name


def defined_by(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        yield node.name
    elif isinstance(node, ast.Assign):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id


# ---------------------------------------------------------------- things


def describe(thing: Any, inherited: bool) -> dict[str, Any]:
    if inspect.isclass(thing):
        return describe_class(thing, inherited)
    if inspect.isfunction(thing):
        kind = "async function" if inspect.iscoroutinefunction(thing) else "function"
        return {"kind": kind, "parameters": parameters(thing)}
    return {"kind": "value", "value": shown(thing)}


def describe_class(cls: type, inherited: bool) -> dict[str, Any]:
    description: dict[str, Any] = {"kind": kind_of(cls), "bases": bases_of(cls, inherited)}
    if issubclass(cls, BaseException):  # failures are recorded, and compared, by this name
        description["recorded"] = f"{cls.__module__}.{cls.__qualname__}"
    if not issubclass(cls, enum.Enum):
        description["parameters"] = constructor(cls)
    abstract = getattr(cls, "__abstractmethods__", ())
    if public := sorted(name for name in abstract if not name.startswith("_")):
        description["abstract"] = public
    description["members"] = dict(sorted(members_of(cls, inherited)))
    return description


def kind_of(cls: type) -> str:
    if issubclass(cls, enum.Enum):
        return "enum"
    if dataclasses.is_dataclass(cls):
        settings = cls.__dataclass_params__  # type: ignore[attr-defined]
        return "frozen dataclass" if settings.frozen else "dataclass"
    if getattr(cls, "_is_protocol", False):
        return "protocol"
    return "exception" if issubclass(cls, BaseException) else "class"


def bases_of(cls: type, inherited: bool) -> list[str]:
    return [
        base.__name__
        for base in cls.__mro__[1:]
        if base.__name__ not in UNSAID_BASES and (inherited or is_known_to_users(base))
    ]


def is_known_to_users(base: type) -> bool:
    home = base.__module__
    if home.startswith(PACKAGE):
        return not base.__name__.startswith("_") and not is_inner(home)
    return home.split(".", maxsplit=1)[0] in sys.stdlib_module_names


def is_inner(module: str) -> bool:
    return any(part.startswith("_") or part == "internal" for part in module.split("."))


def constructor(cls: type) -> list[str] | None:
    """Return the parameters of a class's own constructor, or ``None`` where it is inherited from outside of the package."""
    for base in cls.__mro__:
        for maker in ("__init__", "__new__"):
            function = vars(base).get(maker)
            if inspect.isfunction(function) and base.__module__.startswith(PACKAGE):
                return None if function.__module__ == "typing" else parameters(function, bound=True)
    return None


# ---------------------------------------------------------------- members


def members_of(cls: type, inherited: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what a class offers, and its bases in the package: private ones, or all."""
    if hasattr(cls, "DESCRIPTOR"):  # a protobuf message
        for name in cls.DESCRIPTOR.fields_by_name:
            yield name, {"kind": "data"}
        return
    seen: set[str] = set()
    for base in cls.__mro__:
        if not base.__module__.startswith(PACKAGE):
            continue
        for name, value in [*vars(base).items(), *assigned_in(base)]:
            if name in seen or not is_shown(name, value, base, inherited):
                continue
            seen.add(name)
            if inherited or base is cls or not is_known_to_users(base):
                yield name, describe_member(base, name, value)


def is_shown(name: str, value: Any, base: type, inherited: bool) -> bool:
    if name in SHOWN_DUNDERS:
        return True
    if name in ORDER_DUNDERS:
        return inherited or (
            not dataclasses.is_dataclass(base) and not issubclass(base, (enum.Enum, Exception))
        )
    if isinstance(value, (typing.TypeVar, type)):
        return False
    return not name.startswith("_")


def assigned_in(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield the names that a class declares or its methods assign on ``self``; an instance has them, the class does not."""
    for name in inspect.get_annotations(cls):
        yield name, MORE
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (
        OSError,
        TypeError,
        SyntaxError,
    ):  # from 3.13, also of one that bears another module's name
        return
    for node in ast.walk(tree):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        for target in targets:
            if (
                isinstance(target, ast.Attribute)
                and isinstance(target.value, ast.Name)
                and target.value.id == "self"
            ):
                yield target.attr, MORE


def describe_member(cls: type, name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, (staticmethod, classmethod)):
        kind = type(value).__name__
        return {"kind": kind, "parameters": parameters(value.__func__, kind == "classmethod")}
    if inspect.isfunction(value):
        kind = "async method" if inspect.iscoroutinefunction(value) else "method"
        return {"kind": kind, "parameters": parameters(value, bound=True)}
    if isinstance(value, enum.Enum) and isinstance(value, cls):
        return {"kind": "member", "value": shown(value.value)}
    field = getattr(cls, "__dataclass_fields__", {}).get(name)
    if field is not None and "ClassVar" not in str(field.type):
        return {"kind": "field", "default": default_of(field)}
    if not name.isupper() or shown(value) is None:
        return {"kind": "data"}
    return {"kind": "constant", "value": shown(value)}


def default_of(field: dataclasses.Field[Any]) -> str | None:
    if field.default_factory is not dataclasses.MISSING:
        return MORE
    return None if field.default is dataclasses.MISSING else shown(field.default) or MORE


# ---------------------------------------------------------------- parameters and values


def parameters(function: Any, bound: bool = False) -> list[str]:
    """Return parameters as they are written, without annotations, and without those that a caller should not know."""
    known = list(inspect.signature(function).parameters.values())[1 if bound else 0 :]
    written: list[str] = []
    keyword_only = False
    for one in known:
        if len(one.name) > 1 and one.name.startswith("_") and one.default is not one.empty:
            continue
        if one.kind is one.KEYWORD_ONLY and not keyword_only:
            written.append("*")
            keyword_only = True
        keyword_only = keyword_only or one.kind is one.VAR_POSITIONAL
        written.append(written_parameter(one))
        if one.kind is one.POSITIONAL_ONLY:
            written.append("/")
    return [text for at, text in enumerate(written) if text != "/" or "/" not in written[at + 1 :]]


def written_parameter(one: inspect.Parameter) -> str:
    if one.kind is one.VAR_POSITIONAL:
        return f"*{one.name}"
    if one.kind is one.VAR_KEYWORD:
        return f"**{one.name}"
    if one.default is one.empty:
        return one.name
    return f"{one.name}={shown(one.default) or MORE}"


def shown(value: Any) -> str | None:
    """Return how a plain value is written, or ``None`` for one that is not plain."""
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    if value is None or isinstance(value, (bool, int, float, str, bytes, dt.timedelta)):
        return repr(value)
    if isinstance(value, (list, tuple)) and all(shown(part) is not None for part in value):
        return repr(value)
    return None


if __name__ == "__main__":
    main()
