"""Moving in and out: files with all that is known about them, as folders, attributes and a table."""
