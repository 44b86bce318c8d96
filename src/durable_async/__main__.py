"""``python -m durable_async`` is the command ``durable-async``."""

from __future__ import annotations

from durable_async.cli import main

if __name__ == "__main__":
    main()
