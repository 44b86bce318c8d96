"""Makes the reference page from the table."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from typing import Any

from .table import BETTER, DECLINED, ROOT, SAME, Entry, Section, Table, count, entries

SCENARIOS = ROOT / "tests" / "compat" / "scenarios"
FEW = 8
BAR = "\\|"  # in a table
PAGE = ROOT / "docs" / "reference" / "durable-task-names.md"

HEAD = """# The names of the Durable Task SDK

<!-- Made from compat/surface.toml and compat/surface.json by `./dev python -m tests.compat.surface page`. -->

The distribution `durable-async-compat` has the names of the Durable Task Python SDK {release}, and durable_async under them. [How to
move a program](../howto/from-durable-task.md) tells the rest.

| | names | |
| --- | --- | --- |
| same | {same:,} | of the same kind, with the same parameters, defaults, values and fields |
| better | {better:,} | the same, and it does more, or does right what the SDK does not |
| declined | {declined:,} | not there, with the reason |

Names are modules' names, members of classes, constructors with their parameters, members of enumerations and fields of dataclasses; what a
class inherits is counted once. A test compares them with this package, and another one with the SDK as it comes from the package index.
Whatever is not named below is the same. Names that a module of the SDK only imports for its own use are not counted, nor are its inner
modules, except for what programs are known to touch.
"""

BEHAVIOUR = """## What they do

{total:,} scenarios are played on this package, on each kind of store, and were played on the SDK with its backend for tests. The outcomes are
equal but for {different:,}, all meant:

| here | in the SDK | scenarios |
| --- | --- | --- |
"""

WORKINGS = """## What is not counted

| modules | why |
| --- | --- |
"""


def page(table: Table, snapshot: dict[str, Any]) -> str:
    """Return the whole page."""
    found = list(entries(table, snapshot["modules"]))
    counts = count(found)
    parts = [
        HEAD.format(
            release=snapshot["release"],
            same=counts[SAME],
            better=counts[BETTER],
            declined=counts[DECLINED],
        )
    ]
    for section in table.sections:
        own = [entry for entry in found if table.section(entry.module) is section]
        parts.append("\n".join(chapter(section, own)) + "\n")
    parts.append("".join(behaviour()))
    parts.append(WORKINGS + "".join(row(f"`{name}`", why) for name, why in table.outside.items()))
    return "\n".join(parts)


def chapter(section: Section, own: list[Entry]) -> Iterator[str]:
    """Yield the lines of one section: its numbers, then what is better, then what is declined."""
    counts = count(own)
    said = ", ".join(
        f"{counts[status]:,} {status}" for status in (SAME, BETTER, DECLINED) if counts[status]
    )
    yield f"## `{section.pattern}`\n"
    yield f"{section.about} {said[0].upper() + said[1:] + '.' if said else ''}".rstrip()
    for status in (BETTER, DECLINED):
        reasons = section.reasons[status]
        if reasons:
            yield f"\n| {status} | {'how' if status == BETTER else 'why'} |\n| --- | --- |"
            for reason in dict.fromkeys(reasons.values()):
                lines = [line for line, why in reasons.items() if why == reason]
                yield row(", ".join(named(section, lines, own)), reason).rstrip("\n")


def named(section: Section, lines: list[str], own: list[Entry]) -> Iterator[str]:
    """Yield the names that lines of the table mean; where a pattern means many, the pattern."""
    for line in lines:
        meant = [entry.name for entry in own if section.verdict(entry.name)[2] == line]
        if line == "*":
            yield "all"
        elif "*" not in line:
            yield f"`{line}`"
        elif len(meant) <= FEW:
            yield from (f"`{name}`" for name in meant)
        else:
            yield f"`{line}` ({len(meant)} names)"


def behaviour() -> Iterator[str]:
    """Yield the lines on scenarios that end otherwise than with the SDK, those of one reason together."""
    told = tomllib.loads((SCENARIOS / "differences.toml").read_text(encoding="utf-8"))
    played = json.loads((SCENARIOS / "upstream.json").read_text(encoding="utf-8"))["outcomes"]
    differences = told["difference"]
    yield BEHAVIOUR.format(total=len(played), different=len(differences))
    for reason in dict.fromkeys(one["why"] for one in differences):
        alike = [one for one in differences if one["why"] == reason]
        sdk = "; ".join(dict.fromkeys(one["upstream"] for one in alike))
        sdk = sdk.replace("__init__", "`__init__`")
        yield row(reason, sdk, ", ".join(f"`{one['scenario']}`" for one in alike))


def row(*cells: str) -> str:
    return "".join(f"| {cell.replace('|', BAR)} " for cell in cells) + "|\n"
