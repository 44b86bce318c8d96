"""Compares a surface that was read with the one that the table promises."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .table import BETTER, DECLINED, Entry

Surface = dict[str, dict[str, Any]]

# What an instance has as a value: a property, a field and an assignment on self are the same to who reads it.
VALUES = {"constant", "data", "field"}


@dataclass(frozen=True)
class Gap:
    """A difference that the table does not tell of."""

    entry: Entry
    text: str

    def __str__(self) -> str:
        return f"{self.entry.module}: {self.entry.name}: {self.text}"


def gaps(found: list[Entry], ours: Surface) -> Iterator[Gap]:
    missing: set[tuple[str, str]] = set()
    for entry in found:
        if (entry.module, entry.owner) in missing and entry.member:
            continue
        text = gap(entry, ours)
        if text is not None:
            if text in ("missing", "module missing") and not entry.member:
                missing.add((entry.module, entry.owner))
            yield Gap(entry, text)


def gap(entry: Entry, ours: Surface) -> str | None:
    """Return how our package differs from what the table says of a name, or ``None``."""
    if entry.module not in ours:
        return None if entry.status == DECLINED else "module missing"
    here = lookup(entry.module, entry.name, ours)
    if entry.status == DECLINED:
        return "declined, but there" if here is not None and not is_constructor(entry) else None
    if here is None:
        return "missing"
    there = entry.described
    if there["kind"] == "alias" or here["kind"] == "alias":
        return alias_gap(entry, here, ours)
    if entry.status == BETTER:
        return better_gap(there, here)
    return same_gap(there, here)


def is_constructor(entry: Entry) -> bool:
    return entry.member == "__init__"


def lookup(module: str, name: str, surface: Surface) -> dict[str, Any] | None:
    """Find what a name is, and of a class's member also where the class is at home elsewhere."""
    owner, _, member = name.partition(".")
    thing = surface[module].get(owner)
    if thing is None or not member:
        return thing
    if thing["kind"] == "alias":
        thing = resolve(thing, surface)
    if member == "__init__":
        return {"kind": "constructor", "parameters": thing.get("parameters")}
    found: dict[str, Any] | None = thing.get("members", {}).get(member)
    return found


def resolve(thing: dict[str, Any], surface: Surface) -> dict[str, Any]:
    home, name = thing["of"].split(":")
    found: dict[str, Any] = surface[home][name]
    return found


def alias_gap(entry: Entry, here: dict[str, Any], ours: Surface) -> str | None:
    """Compare where one side has a thing at another home: names must lead to the same things in the end."""
    there = entry.described
    if there["kind"] != "alias":
        return same_gap(there, resolve(here, ours)) if entry.status != BETTER else None
    home, name = there["of"].split(":")
    theirs = ours.get(home, {}).get(name)
    if theirs is None:
        return f"is not {home}.{name}, which is missing"
    return (
        None
        if ends(here, entry, ours) == ends(theirs, None, ours, (home, name))
        else (f"is not {home}.{name}")
    )


def ends(
    thing: dict[str, Any],
    entry: Entry | None,
    surface: Surface,
    at: tuple[str, str] | None = None,
) -> tuple[str, str]:
    if thing["kind"] == "alias":
        home, name = thing["of"].split(":")
        return home, name
    if at is not None:
        return at
    assert entry is not None
    return entry.module, entry.name


def same_gap(there: dict[str, Any], here: dict[str, Any]) -> str | None:
    if there["kind"] == "value" and there["value"] is None:
        return None  # an alias of a type, or an object: that it is there is all that can be said
    kinds = there["kind"], here["kind"]
    if kinds[0] != kinds[1] and kinds != ("class", "dataclass") and not set(kinds) <= VALUES:
        return f"is a {kinds[1]}, not a {kinds[0]}"
    callable_there = there.get("parameters") is not None and "members" not in there
    if callable_there and not fit(there["parameters"], here.get("parameters") or []):
        return f"takes ({written(here)}), not ({written(there)})"
    if there.get("value") is not None and there["value"] != here.get("value"):
        return f"is {here.get('value')}, not {there['value']}"
    if kinds == ("field", "field") and there["default"] != here["default"]:
        return f"has the default {here['default']}, not {there['default']}"
    if there.get("recorded") != here.get("recorded"):
        return f"is recorded as {here.get('recorded')}, not as {there.get('recorded')}"
    if lost := set(there.get("bases", ())) - set(here.get("bases", ())):
        return f"is no {', '.join(sorted(lost))}"
    if more := set(here.get("abstract", ())) - set(there.get("abstract", ())):
        return f"is abstract also in {', '.join(sorted(more))}"
    return None


def fit(there: list[str], here: list[str]) -> bool:
    """Whether parameters are the same, where one that the SDK calls ``_`` may have any name."""
    return len(there) == len(here) and all(
        one == other or (one.startswith("_=") and one[1:] == other[other.find("=") :])
        for one, other in zip(there, here, strict=True)
    )


def better_gap(there: dict[str, Any], here: dict[str, Any]) -> str | None:
    """Return what a caller of the SDK could not do here: what is better may take more, but nothing less."""
    if there.get("parameters") is None or "members" in there:
        return None  # a class's constructor is compared as a member
    extra = [one for one in here.get("parameters") or [] if one not in there["parameters"]]
    kept = [one for one in here.get("parameters") or [] if one in there["parameters"]]
    if kept != there["parameters"] or any("=" not in one and one != "*" for one in extra):
        return f"takes ({written(here)}), which is no superset of ({written(there)})"
    return None


def written(thing: dict[str, Any]) -> str:
    return ", ".join(thing.get("parameters") or ["..."])
