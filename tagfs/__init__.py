"""tagfs: the truth and what is derived from it.

Facts, ledgers, merge, the index, queries and what a person can do with files.
Nothing in here knows of Syncthing or of a terminal; it imports none of the
other packages (`tests/unit/test_imports.py` keeps that).
"""
