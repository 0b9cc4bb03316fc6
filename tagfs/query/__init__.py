"""Queries: text to tree (`grammar`, `rich`), tree to set operations (`plan`), those to files (`run`)."""
