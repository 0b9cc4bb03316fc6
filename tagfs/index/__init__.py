"""The index: LMDB, derived from the ledgers, deletable at any time.

`schema` is the layout, `env` opens the database, `blocks` and `codec` say how values
are packed, `read` answers, `apply` joins facts into it. Only `env` does I/O of its own.
"""
