"""The stores behind the port, one package or module each.

A backend knows the port and the model, and never another backend. Read ``durable_async/backend.py`` first, then
``memory.py``: it is the reference that the others are measured against.
"""

from __future__ import annotations
