"""Where the dashboard is mounted: addresses of pages begin with it, and what is asked for stands behind it."""

from __future__ import annotations

from urllib.parse import quote

from starlette.types import Scope


def mounted(scope: Scope) -> Scope:
    """Return a request whose path begins with its root, also where a proxy took the prefix off that the server knows as the root."""
    root = scope.get("root_path", "").rstrip("/")
    return {**scope, "root_path": root, "path": root + _below(root, scope)}


def _below(root: str, scope: Scope) -> str:
    """Return the path below where the dashboard is mounted."""
    path: str = scope["path"]
    for prefix in (root, root.removeprefix(scope.get("app_root_path", "").rstrip("/"))):
        if path == prefix or path.startswith(f"{prefix}/"):
            return path[len(prefix) :]
    return path


def root_of(scope: Scope) -> str:
    """Return the root as browsers write it: nothing in it ends a path, an attribute of a cookie or a header."""
    return quote(scope.get("root_path", "").rstrip("/"), errors="replace")
