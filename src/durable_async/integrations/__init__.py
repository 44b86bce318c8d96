"""Where a hub meets other libraries: `fastapi`, `starlette` and `aiohttp`, in which it is served, `opentelemetry` and `prometheus`, to which it tells.

Each module needs the package that it is named after, and nothing here is imported by anything below. What a route does is written once, in
`_http`; the web modules only translate between that and a framework.
"""

from __future__ import annotations
