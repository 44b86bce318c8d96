"""``durable-async demo``: a real job that is killed in the middle, goes on, and shows that nothing was lost or done twice.

Read `story` first. The job, an audit of the packages that are installed, is `durable_async.cli.audit`.
"""

from __future__ import annotations
