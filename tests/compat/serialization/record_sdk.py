"""Records what the Durable Task SDK's own converter does, to be run with an interpreter that has the SDK (1.12.0) installed.

``python tests/compat/serialization/record_sdk.py`` prints what ``sdk_1_12.json`` beside this file has to be.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parents[2]))
    from tests.compat.serialization import cases

    print(json.dumps(cases.everything(), indent=1, sort_keys=True))
