"""The steps there are, oldest first. Data only.

Format 1 is the first format, so there is none yet. A step gets a module of its own
(`migrations/from_1_to_2.py`), its line here, and a frozen store of the older format in
`tests/data/format-1/`, which is never made anew and which its test opens.
"""

from __future__ import annotations

from migrations.contract import Migration

REGISTRY: tuple[Migration, ...] = ()
