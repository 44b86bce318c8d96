"""The browser itself, and the way to serve something to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page
from serving import serve

PROGRAM = """
import uvicorn, sys
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
    await send({"type": "http.response.body", "body": b"<title>It works</title><script>" + scope["query_string"] + b"</script>"})
uvicorn.run(app, fd=int(sys.argv[1]), lifespan="off")
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    folder: Path = tmp_path_factory.mktemp("served")
    (folder / "app.py").write_text(PROGRAM)
    with serve(["app.py", "{fd}"], cwd=folder) as address:
        yield address


def test_a_page_is_shown(page: Page, address: str) -> None:
    page.goto(address)
    assert page.title() == "It works"


def test_a_page_that_complains_is_noticed(page: Page, address: str, complaints: list[str]) -> None:
    page.goto(f"{address}/?nobody()")
    assert page.title() == "It works"
    assert complaints == ["nobody is not defined"]
    complaints.clear()
