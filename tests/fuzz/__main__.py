"""``./dev fuzz``: see ``command.py``."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    folder = Path(__file__).resolve().parent
    sys.path[0] = str(folder.parent)
    from fuzz.command import main

    sys.exit(main())
