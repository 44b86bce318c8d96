"""A bank under attack: transfers between accounts under lock, audits of all of them, and small talk with the same accounts beside.

Its registered code is imported by ``worker``, so every worker process knows it.
"""
