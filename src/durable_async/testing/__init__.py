"""What tests of applications and of backends are built from.

It stands on the top floor and may use everything below; nothing in the library imports it. `conformance` is the suite that
makes a backend right, `clock` is time under control. Begin with ``conformance/__init__.py`` to write a backend.
"""

from __future__ import annotations
