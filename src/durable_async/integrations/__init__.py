"""Orchestrations and entities over HTTP, inside the application that you have: FastAPI, Starlette, aiohttp.

Each module needs the package that it is named after, and nothing here is imported by anything below. What a route does is written once,
in `_http`; the modules beside it only translate between that and a framework.
"""

from __future__ import annotations
