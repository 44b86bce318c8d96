"""Values become bytes here, and bytes become values again.

This floor knows the model and the errors, and nothing of stores, event loops or replay. Read
``converter.py`` first: it has the protocol that users may implement, and the JSON default.
"""

from __future__ import annotations

from .converter import DataConverter, JsonConverter
from .signatures import Signature

__all__ = ("DataConverter", "JsonConverter", "Signature")
