"""What a client asks of entities: `calling` lets them do something, `reading` looks at them, `upkeep` keeps them in order."""

from __future__ import annotations
