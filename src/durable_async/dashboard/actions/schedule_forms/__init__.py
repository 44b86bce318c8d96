"""Forms of schedules: `form` creates and edits them, `backfill` starts what they missed. Each is looked at before it is done.

The form has `fields`; their `words` become options of the library and back, and what is `wrong` with them is said beside them.
"""
