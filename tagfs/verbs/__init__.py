"""What a person can do with files: one module a verb, or a few that belong together.

Each function takes an open `Store`, decides with pure helpers what to state, states it
in one action, and returns named fields for whoever shows them. None of them prints,
asks or reads a clock of its own.
"""
