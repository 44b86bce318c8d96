"""Give every surface what nobody should send, guided by coverage, and tell how it answered.

    ./dev fuzz                          every target, 100,000 inputs in all
    ./dev fuzz client --runs 100000
    ./dev fuzz all --minutes 10         so many for each target
    ./dev fuzz all --unguided           by chance alone: where atheris is not installed
    ./dev fuzz all --markdown

The exit code is 1 if something came out that no caller can be expected to handle. Each such input is kept beside the tests, which replay it.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    folder = Path(__file__).resolve().parent
    sys.path[0] = str(folder.parent)
    from fuzz.command import main

    sys.exit(main())
