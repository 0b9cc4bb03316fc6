"""What every test may count on.

- Hypothesis runs in the profile `ci` under ./test and `prove` under ./prove; plain
  pytest uses `default`.
- `rounds(few, many)`: how often to repeat a thing: `few` in ./test, `many` in ./prove.
- No test sees the store or the settings of the person who runs it.
"""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, settings

PROVE = os.environ.get("LYTS_PROVE") == "1"

# A shell that starts us in the background has SIGINT ignored, and so would all commands
# that are tested; an interrupt is to interrupt them wherever this runs.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline anywhere: a machine with two cores that runs eight things at once is slow,
# not wrong. Time is measured in bench/ and asserted nowhere.
settings.register_profile("default", deadline=None, max_examples=50)
settings.register_profile(
    "ci",
    deadline=None,
    max_examples=50,
    stateful_step_count=30,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "prove", deadline=None, max_examples=5_000, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("prove" if PROVE else "default")


def pytest_report_header() -> str:
    return "proofs: long (LYTS_PROVE=1)" if PROVE else "proofs: short; ./prove runs the long ones"


@pytest.fixture(scope="session")
def rounds() -> Callable[[int, int], int]:
    """`rounds(200, 5_000)`: 200 in ./test, 5,000 in ./prove."""
    return lambda few, many: many if PROVE else few


@pytest.fixture(scope="session", autouse=True)
def _nothing_of_the_person() -> Iterator[None]:
    """Settings, state and the default store of whoever runs the tests are out of reach.

    HOME stays: other programs (a Python manager's shims, git) live by it.
    """
    names = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")
    with tempfile.TemporaryDirectory(prefix="lyts-test-home-") as home, pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.setenv(name, os.path.join(home, name.lower()))
        for name in [name for name in os.environ if name.startswith("LYTS_") and name != "LYTS_PROVE"]:
            patch.delenv(name)
        # No process of its own goes on making pages while a test takes its store away.
        patch.setenv("LYTS_BACKGROUND", "no")
        for name in ("EDITOR", "VISUAL", "PAGER", "NO_COLOR", "CLICOLOR_FORCE", "FORCE_COLOR"):
            patch.delenv(name, raising=False)
        yield
