"""What a person can do about where files are: one module a verb, or a few that belong together.

As `tagfs.verbs`: each takes an open `Store`, decides with pure helpers, states in one action,
and returns named fields for whoever shows them.
"""
