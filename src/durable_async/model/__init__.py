"""The vocabulary: frozen values without behaviour, which every other floor speaks.

Knows nothing but the errors below it. Read `history` first: an orchestration is its history.
"""
