"""The dashboard: an ASGI application that looks into a hub and, for those who may, puts things right.

    app.mount("/durable", Dashboard(hub, auth=operator_of))

Knows the hub and its client. Read `_dashboard` first: which pages there are. Then `_access`, who may come in, and `_csrf`, whose clicks
count; each page is a module in `pages`, each thing to do one in `actions`, and `timeline` draws histories.
"""

from __future__ import annotations

from durable_async.errors import MissingExtraError

try:
    from ._access import Operator
    from ._audit import AuditRecord
    from ._dashboard import Dashboard
except ModuleNotFoundError as error:
    package = (error.name or "").partition(".")[0]
    if package not in ("jinja2", "starlette"):
        raise
    raise MissingExtraError(package, "dashboard", "the dashboard") from error

__all__ = ("AuditRecord", "Dashboard", "Operator")
