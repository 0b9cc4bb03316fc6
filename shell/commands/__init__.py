"""The commands: module `x` holds `command`, which is `lyts x`. See `shell.root` for the table."""
