"""The comparison sees what it is for: each kind of difference, in a package that was changed on purpose."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from .compare import fit, gaps
from .table import BETTER, DECLINED, SAME, Entry, parts

SDK: dict[str, dict[str, Any]] = {
    "package.task": {
        "wait": {"kind": "async function", "parameters": ["seconds", "*", "reason=None"]},
        "LIMIT": {"kind": "value", "value": "3"},
        "Base": {"kind": "class", "bases": [], "parameters": [], "members": {}},
        "Job": {
            "kind": "class",
            "bases": ["Base"],
            "parameters": ["name", "version=None"],
            "abstract": ["run"],
            "members": {
                "run": {"kind": "method", "parameters": ["input=None"]},
                "name": {"kind": "data"},
                "parse": {"kind": "staticmethod", "parameters": ["text"]},
            },
        },
        "State": {
            "kind": "enum",
            "bases": ["Enum"],
            "members": {"RUNNING": {"kind": "member", "value": "0"}},
        },
        "Options": {
            "kind": "frozen dataclass",
            "bases": [],
            "parameters": ["size=1"],
            "members": {"size": {"kind": "field", "default": "1"}},
        },
        "Error": {
            "kind": "exception",
            "bases": ["ValueError"],
            "recorded": "package.task.Error",
            "parameters": None,
            "members": {},
        },
    },
    "package": {"Job": {"kind": "alias", "of": "package.task:Job"}},
}


def seen(ours: dict[str, Any], **statuses: str) -> list[str]:
    names = [
        Entry(module, inner, what, statuses.get(inner.replace(".", "__"), SAME), "")
        for module, things in SDK.items()
        for name, described in things.items()
        for inner, what in parts(name, described)
    ]
    return [f"{gap.entry.name} {gap.text}" for gap in gaps(names, ours)]


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return our package with one thing changed, or taken away by ``None``."""
    ours = copy.deepcopy(SDK)
    *way, last = path.split("/")
    place: Any = ours
    for step in way:
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return ours


def test_an_equal_package_has_no_gaps() -> None:
    assert seen(copy.deepcopy(SDK)) == []


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("package.task/wait", None, "wait missing"),
        ("package.task/wait/kind", "function", "wait is a function, not a async function"),
        (
            "package.task/wait/parameters",
            ["seconds", "reason=None"],
            "wait takes (seconds, reason=None), not (seconds, *, reason=None)",
        ),
        ("package.task/LIMIT/value", "4", "LIMIT is 4, not 3"),
        ("package.task/Job/bases", [], "Job is no Base"),
        ("package.task/Job/abstract", ["parse", "run"], "Job is abstract also in parse"),
        (
            "package.task/Job/parameters",
            ["name", "version"],
            "Job.__init__ takes (name, version), not (name, version=None)",
        ),
        ("package.task/Job/members/run", None, "Job.run missing"),
        ("package.task/Job/members/run/parameters", [], "Job.run takes (...), not (input=None)"),
        (
            "package.task/Job/members/parse/kind",
            "method",
            "Job.parse is a method, not a staticmethod",
        ),
        ("package.task/State/members/RUNNING/value", "1", "State.RUNNING is 1, not 0"),
        (
            "package.task/Options/kind",
            "dataclass",
            "Options is a dataclass, not a frozen dataclass",
        ),
        (
            "package.task/Options/members/size/default",
            "2",
            "Options.size has the default 2, not 1",
        ),
        (
            "package/Job",
            {"kind": "alias", "of": "package.task:Base"},
            "Job is not package.task.Job",
        ),
    ],
)
def test_a_difference_is_seen(path: str, value: Any, said: str) -> None:
    assert said in seen(changed(path, value))


def test_a_value_may_be_a_property_a_field_or_assigned() -> None:
    ours = changed("package.task/Job/members/name", {"kind": "field", "default": None})
    assert seen(ours) == []


def test_a_class_may_be_at_home_in_another_module() -> None:
    ours = copy.deepcopy(SDK)
    ours["package"]["Job"] = ours["package.task"]["Job"]
    ours["package.task"]["Job"] = {"kind": "alias", "of": "package:Job"}
    assert seen(ours) == []


def test_a_parameter_without_a_name_may_have_one() -> None:
    assert fit(["_=None"], ["input=None"])
    assert fit(["text", "_=None"], ["text", "_=None"])
    for other in ([], ["input"], ["input=0"], ["input=None", "more=None"]):
        assert not fit(["_=None"], other)


def test_what_is_better_takes_more_but_nothing_less() -> None:
    parameters = "package.task/wait/parameters"
    more = changed(parameters, ["seconds", "*", "reason=None", "until=None"])
    assert seen(more, wait=BETTER) == []
    assert len(seen(more, wait=SAME)) == 1
    for less in (["seconds"], ["seconds", "*", "reason=None", "until"], ["*", "reason=None"]):
        assert len(seen(changed(parameters, less), wait=BETTER)) == 1


def test_what_is_declined_is_not_there() -> None:
    assert seen(copy.deepcopy(SDK), LIMIT=DECLINED) == ["LIMIT declined, but there"]
    assert seen(changed("package.task/LIMIT", None), LIMIT=DECLINED) == []


def test_a_missing_module_is_said_of_each_of_its_names() -> None:
    ours = copy.deepcopy(SDK)
    del ours["package"]
    assert seen(ours) == ["Job module missing"]
