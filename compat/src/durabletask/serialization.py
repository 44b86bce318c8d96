"""Data converters: how a program's values become the texts that are stored, and values again.

A program that wants its own way implements `DataConverter`, or derives from `JsonDataConverter`, and gives one object to its worker and to its
clients as ``data_converter=``. Without one, `DEFAULT_DATA_CONVERTER` is used, a `DurableDataConverter`: it reads and writes all that the
Durable Task SDK's `JsonDataConverter` does, with the same texts, and also datetimes, decimals, sets and other values which that one refuses.
Give ``data_converter=JsonDataConverter()`` for exactly the SDK's behaviour.
"""

from __future__ import annotations

from ._serialization.base import DataConverter
from ._serialization.durable_converter import DurableDataConverter
from ._serialization.json_converter import JsonDataConverter
from ._serialization.records import AttributeDict, NamedRecord

__all__ = (
    "DEFAULT_DATA_CONVERTER",
    "AttributeDict",
    "DataConverter",
    "DurableDataConverter",
    "JsonDataConverter",
    "NamedRecord",
)

for _public in (
    AttributeDict,
    DataConverter,
    DurableDataConverter,
    JsonDataConverter,
    NamedRecord,
):
    _public.__module__ = __name__
del _public

DEFAULT_DATA_CONVERTER: DataConverter = DurableDataConverter()
"""The converter of every worker and client that is given none."""
