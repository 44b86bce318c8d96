"""What to do with one piece of work; no loops, no SQL.

Knows the kernel, the registry and the port's records. Read `fold` first: how a turn's events become a commit and its effects.
"""
