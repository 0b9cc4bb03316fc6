"""migrations: the steps that bring a store from one format to the next.

    contract.py   what a step is, and the rules it lives by
    registry.py   the list of steps, oldest first
    runner.py     `plan` looks, `run` does: check, copy, step by step, switch
    switch.py     old and new change places; what a crash left is finished or taken back
    disk.py       the few things done to files, each durable when it returns

What it promises (style.md, item 10): a failure leaves the old version whole; after a
crash at any point the store is the old one or the new one, and running again finishes;
running again after that does nothing; a store of a newer format is not touched at all.
The original ledgers are kept as a backup, with a page that says how to put them back.
Bytes of a person's files are never copied, moved or opened.

May import tagfs, never sync or shell.
"""
