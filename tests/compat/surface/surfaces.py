"""Where surfaces come from: our package and the SDK, each read in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from .table import SNAPSHOT, Table

READER = Path(__file__).with_name("reader.py")


def ask(
    python: str | Path, modules: dict[str, list[str] | None], *, inherited: bool
) -> dict[str, Any]:
    done = subprocess.run(
        [str(python), "-W", "ignore", str(READER)],
        input=json.dumps({"modules": modules, "inherited": inherited}),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def read_ours(snapshot: dict[str, Any]) -> dict[str, Any]:
    """Read of our package what the snapshot names, with all that a class inherits."""
    wanted = {module: list(things) for module, things in snapshot["modules"].items()}
    return ask(sys.executable, wanted, inherited=True)


def read_sdk(table: Table, python: str | Path) -> dict[str, Any]:
    """Read the SDK: all its modules that the table speaks of."""
    modules = ask(python, {}, inherited=False)["all"]
    wanted = {module: only(table, module) for module in modules if table.section(module)}
    surface = ask(python, wanted, inherited=False)
    assert not surface["broken"], surface["broken"]
    unknown = [
        module for module in modules if not table.section(module) and not table.is_outside(module)
    ]
    return {"unknown": unknown, "modules": surface["modules"]}


def only(table: Table, module: str) -> list[str] | None:
    section = table.section(module)
    assert section is not None, module
    return section.only


def write_snapshot(release: str, modules: dict[str, Any]) -> None:
    """Write one line a name, so that a change can be read."""
    lines = [f'{{"release": {json.dumps(release)}, "modules": {{']
    for at, (module, things) in enumerate(sorted(modules.items())):
        lines.append(f" {json.dumps(module)}: {{")
        lines += [
            line
            for number, (name, described) in enumerate(things.items())
            for line in written(name, described, last=number == len(things) - 1)
        ]
        lines.append(" }" + ("" if at == len(modules) - 1 else ","))
    lines.append("}}")
    SNAPSHOT.write_text("\n".join(lines) + "\n", encoding="utf-8")


def written(name: str, described: dict[str, Any], *, last: bool) -> list[str]:
    members = described.get("members")
    end = "" if last else ","
    if not members:
        return [f"  {json.dumps(name)}: {json.dumps(described)}{end}"]
    head = json.dumps({key: value for key, value in described.items() if key != "members"})
    inner = [f"    {json.dumps(key)}: {json.dumps(value)}" for key, value in members.items()]
    return [
        f'  {json.dumps(name)}: {head[:-1]}, "members": {{',
        *[f"{line}," for line in inner[:-1]],
        f"{inner[-1]}}}}}{end}",
    ]
