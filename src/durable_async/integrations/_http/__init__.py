"""What the routes do, whatever framework calls them: a request as values in, an answer as values out.

Read `routes` first: the table of all routes, and what happens to one request. The operations are in `orchestrations` and `entities`,
what they say in `documents` and `problems`, and how a request is read in `query`, `bodies` and `idempotency`.
"""

from __future__ import annotations
