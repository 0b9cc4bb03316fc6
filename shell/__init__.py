"""shell: the `lyts` command and what it prints.

    main.py       where it begins: `--version` at once, everything else through `run`
    run.py        one command from its words to its exit code; errors become sentences
    root.py       the table of commands, loaded only when asked for
    command.py    how a command and its help look
    app.py        what every command is given: the store, the streams, the clock
    output.py     results to stdout, talk to stderr, progress, questions
    text.py       text for people: harmless names, sizes, dates, tables
    targets.py    from TARGET... and -q QUERY to files
    rows.py       files as lines and as JSON
    complete.py   completion by Tab
    commands/     one module a command

May import sync, migrations and tagfs. Nothing here decides what happens to files: that
is `tagfs.verbs`. A module is imported only on the way that needs it: a cold
`lyts find --count` may take 80 ms.
"""
