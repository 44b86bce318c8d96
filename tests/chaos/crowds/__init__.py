"""Many who do small things, in batches: numbered signals to entities that keep count, and orchestrations that are over at once.

Its registered code is imported by ``worker``, so every worker process knows it.
"""
