"""Benchmarks: lyts against SQLite over the same made-up library, measured in one run. See README.md."""
