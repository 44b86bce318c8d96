"""doctor: whether everything is as it should be, here, in the store, and among the workers."""

from __future__ import annotations

import anyio
import typer

from . import _documents, _render
from ._exits import NOT_DONE
from ._findings import Finding, Level, examine
from ._options import App, AsJson, Hub, Url, Where
from ._terminal import lay_out


def doctor(as_json: AsJson = False, app: App = None, url: Url = None, hub: Hub = None) -> None:
    """Look over Python, the packages, the store, its workers and what lies about in it; nothing is changed.

    Exit status: 0 nothing has failed, 1 something has.
    """
    findings = anyio.run(_examine, Where(app, url, hub))
    if as_json:
        for finding in findings:
            _documents.write(_documents.finding(finding))
    else:
        lay_out(_render.findings(findings))
    if any(finding.level is Level.FAIL for finding in findings):
        raise typer.Exit(NOT_DONE)


async def _examine(where: Where) -> list[Finding]:
    return [finding async for finding in examine(where)]
