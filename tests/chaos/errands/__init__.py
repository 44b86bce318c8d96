"""Customers of what the others leave out: streams of events from several senders, retries, trees with detached children, workers that start
orchestrations themselves, and entities that keep a list.

`programs` and `hiring` are what workers register; `customers` is who uses it.
"""
