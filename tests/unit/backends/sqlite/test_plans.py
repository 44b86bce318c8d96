"""What the planner makes of the statements: an index wherever a table may be large."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from durable_async.backends.sqlite.transaction import STATEMENTS

from .support import opened

FRAGMENTS = {
    "entity_columns",
    "few_instances",
    "in_order_of_completion",
    "latest_first",
    "newest_first",
    "in_order_of_creation",
    "instance_columns",
    "instance_conditions",
}

# Statement -> why it may look at everything.
SCANS = {
    "count_rows": "asked for by people, seldom",
    "hub_names": "asked for by people, seldom, and there are few",
}

SMALL = r"SCAN (json_each|wanted|chosen|kinds|names|t VIRTUAL|CONSTANT ROW|sqlite_master|sqlite_sequence|few|\(subquery)"


@pytest.fixture
async def schema(tmp_path: Path) -> sqlite3.Connection:
    async with opened(tmp_path / "hub.db"):
        pass
    return sqlite3.connect(tmp_path / "hub.db")


def plan(schema: sqlite3.Connection, name: str) -> list[str]:
    sql = STATEMENTS[name]
    names = set(re.findall(r":(\w+)", sql))
    values: dict[str, None] | list[None] = (
        dict.fromkeys(names) if names else [None] * sql.count("?")
    )
    rows = schema.execute("explain query plan " + sql, values).fetchall()
    return [row[3] for row in rows]


@pytest.mark.parametrize("name", sorted(set(STATEMENTS) - FRAGMENTS))
def test_no_statement_reads_a_whole_table(schema: sqlite3.Connection, name: str) -> None:
    scans = [
        step for step in plan(schema, name) if step.startswith("SCAN") and not re.match(SMALL, step)
    ]
    assert bool(scans) == (name in SCANS), scans
    schema.close()


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("ready_of_any", "USING COVERING INDEX instances_ready (hub=? AND ready_at_us<?)"),
        ("ready_kinds", "USING INDEX instances_ready_by_kind (hub=? AND name=?)"),
        ("ready_kinds", "USING INDEX instances_ready_by_kind (hub=? AND name=? AND <expr>>?)"),
        (
            "ready_kinds",
            "USING INDEX instances_ready_by_kind (hub=? AND name=? AND <expr>=? AND ready_at_us<?)",
        ),
        (
            "ready_of_kind",
            "USING INDEX instances_ready_by_kind (hub=? AND name=? AND <expr>=? AND ready_at_us<?)",
        ),
        ("ready_to_end", "USING INDEX instances_ready_to_end (hub=? AND ready_at_us<?)"),
        ("probe", "USING COVERING INDEX instances_ready (hub=? AND ready_at_us<?)"),
        ("probe", "USING COVERING INDEX instances_ready (hub=? AND ready_at_us>?)"),
        ("load_final_letters", "USING INDEX letters_final (key=?)"),
        ("unread_instances", "USING INDEX instances_unread (hub=? AND owner=?)"),
        ("mark_read", "INDEX instances_unread (hub=? AND owner=?)"),
        ("letters_of", "USING INDEX letters_by_instance (key=? AND id>?)"),
        ("history_after", "USING PRIMARY KEY (key=? AND execution=? AND turn>?)"),
        ("free_instances", "USING INDEX instances_owned (hub=? AND owner=?)"),
        ("load_instances", "USING INDEX instances_by_id (hub=? AND id=?)"),
        ("probe", "USING INDEX queued_activities_free"),
        ("free_names", "USING INDEX queued_activities_free_by_name (hub=? AND name=?)"),
        ("free_of_name", "USING INDEX queued_activities_free_by_name (hub=? AND name=?)"),
        ("free_of_any", "USING INDEX queued_activities_free (hub=?)"),
        (
            "query_instances",
            "USING INDEX instances_by_creation (hub=? AND created_at_us>? AND created_at_us<?)",
        ),
        (
            "query_ended",
            "USING INDEX instances_by_completion (hub=? AND completed_at_us>? AND completed_at_us<?)",
        ),
        (
            "expired_instances",
            "USING INDEX instances_by_completion (hub=? AND completed_at_us>? AND completed_at_us<?)",
        ),
        ("expired_instances", "SEARCH p USING INDEX instances_by_id (hub=? AND id=?)"),
        ("take_children_along", "USING INDEX instances_by_parent (hub=? AND parent_id=?)"),
        ("query_few_ended", "USING COVERING INDEX instances_by_parent (hub=? AND parent_id=?)"),
        (
            "query_newest",
            "USING INDEX instances_by_creation (hub=? AND created_at_us>? AND created_at_us<?)",
        ),
        (
            "query_latest",
            "USING INDEX instances_by_completion (hub=? AND completed_at_us>? AND completed_at_us<?)",
        ),
        ("query_few_newest", "USING COVERING INDEX instances_by_parent (hub=? AND parent_id=?)"),
        ("query_entities", "USING INDEX instances_by_id (hub=? AND id>? AND id<?)"),
        ("query_entities", "SEARCH l USING COVERING INDEX letters_by_instance (key=?)"),
        ("read_entities", "USING INDEX instances_by_id (hub=? AND id=?)"),
        ("empty_entities", "USING INDEX instances_by_id (hub=? AND id=?)"),
        ("first_letters", "USING INDEX letters_by_instance (key=?)"),
        ("read_queued", "USING INDEX queued_activities_by_instance (key=?)"),
        ("save_snapshots", "USING INTEGER PRIMARY KEY (rowid=?)"),
        ("read_answers", "USING PRIMARY KEY (hub=? AND id=?)"),
        ("sweep_answers", "USING COVERING INDEX answers_by_age (hub=? AND answered_at_us<?)"),
        ("query_few_instances", "USING COVERING INDEX instances_by_parent (hub=? AND parent_id=?)"),
        ("query_few_instances", "SEARCH t USING PRIMARY KEY (hub=? AND tag=? AND value=?)"),
    ],
)
def test_the_index_meant_for_it_is_used(schema: sqlite3.Connection, name: str, step: str) -> None:
    assert any(step in one for one in plan(schema, name)), plan(schema, name)
    schema.close()


@pytest.mark.parametrize(
    "name",
    [
        "ready_of_any",
        "ready_of_kind",
        "ready_kinds",
        "ready_to_end",
        "history_after",
        "free_of_name",
        "free_of_any",
        "query_instances",
        "query_entities",
        "expired_instances",
        "first_letters",
    ],
)
def test_the_index_gives_the_order(schema: sqlite3.Connection, name: str) -> None:
    """Otherwise the search would not end after the quota."""
    assert not any("TEMP B-TREE FOR ORDER BY" in step for step in plan(schema, name))
    schema.close()


def test_a_turn_of_an_entity_touches_no_index(schema: sqlite3.Connection) -> None:
    opened = [
        row
        for row in schema.execute("explain " + STATEMENTS["save_snapshots"], [None] * 3)
        if row[1] == "OpenWrite"
    ]
    assert len(opened) == 1  # the table
    schema.close()


def test_every_statement_is_used_and_exists() -> None:
    import durable_async.backends.sqlite as package

    folder = Path(package.__file__).parent
    source = "\n".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    queries = "\n".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.sql"))
    unused = {
        name
        for name in STATEMENTS
        if f'"{name}"' not in source and f"-- include: {name}" not in queries
    }
    assert unused == set()
