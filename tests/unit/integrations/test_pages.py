"""The page about HTTP agrees with the table of routes."""

from __future__ import annotations

from pathlib import Path

from durable_async.integrations._http.links import NAMES
from durable_async.integrations._http.problems import STATUS_CODES
from durable_async.integrations._http.routes import ROUTES

PAGE = (Path(__file__).parents[3] / "docs/reference/http.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its head."""
    section = PAGE.split(f"\n{heading}\n", 1)[1]
    lines = [line for line in section.split("\n## ")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_route_is_in_the_table() -> None:
    written = [(row[0], row[1], row[2]) for row in rows("## Routes")]
    actual = [
        (
            f"`{route.operation}`",
            f"`{route.method} {route.path}`",
            ", ".join(str(code) for code in route.answers),
        )
        for route in ROUTES
    ]
    assert written == actual


def test_every_query_parameter_is_mentioned() -> None:
    names = {parameter.name for route in ROUTES for parameter in route.parameters}
    assert {name for name in names if f"`{name}" not in PAGE} == set()


def test_every_address_is_mentioned() -> None:
    assert {name for name in NAMES if f"`{name}`" not in PAGE} == set()


def test_every_status_code_of_an_error_is_explained() -> None:
    explained = {row[0] for row in rows("## Problems")}
    assert {str(code) for code in STATUS_CODES.values()} - {"500"} <= explained
