"""How values become payload texts, and payload texts values; `durabletask.serialization` is the public face.

`base.py` has the interface that programs may implement. `json_converter.py` is the SDK's own converter with its exact wire forms,
`durable_converter.py` the wider one that workers and clients use by default. Read `base.py` first.
"""

from __future__ import annotations
