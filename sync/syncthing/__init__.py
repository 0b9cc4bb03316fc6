"""Syncthing as lyts uses it: it moves every byte between devices, we say which folder a file is in.

    client.py     its REST interface, typed          records.py, config.py: what goes over it
    folders.py    how our folders and devices are set up (pure)
    program.py    finding a Syncthing that is new enough
    managed.py    the instance of a store's own: made, started, ended; home.py: its settings
    attached.py   a person's running one instead

httpx is imported by `client.py` alone, so nothing here that a quick command needs loads it.
"""
