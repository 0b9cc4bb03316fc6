"""The shell one lives in: `lyts` alone on a terminal, and `lyts shell` for scripts.

Pure, and tested without a terminal:

    line.py       a line of text -> commands and words, with their quotes
    numbers.py    `3-7`, `2,4`, `5-`: numbers of a listing
    place.py      where one stands: a query, and what `cd` makes of it
    shape.py      what a command takes, read from click once (the one that is asked about)
    roles.py      which word of a command is what
    state.py      where one stands, what was listed last
    offers.py     what Tab offers
    touched.py    the line below the prompt: what a line would do

Edges:

    answers.py    what the pure part asks of the index, in a thread of its own
    session.py    one line after the other: a click command, a child, a program
    own.py        the commands that only the shell has: cd, ls, open, ...
    programs.py   programs: `!`, `open`, pipes, the pager
    settings.py   config.toml;  history.py  what was typed
    looks.py      colours;  terminal.py  prompt_toolkit, which nothing else imports

Rules:

- A command behaves as it does outside: it is run by `shell.run` in this process with a
  store opened and closed for it, or as a child (`session.CHILDREN`).
- The thread that answers while a person types and the commands never have the store open
  at the same time: LMDB allows one environment a path in a process.
- Nothing that is typed raises; what cannot be understood is a sentence.
"""
