"""`python -m shell`: the `lyts` of a checkout that is not installed."""

import sys

from shell.main import main

if __name__ == "__main__":
    sys.exit(main())
