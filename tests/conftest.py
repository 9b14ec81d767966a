# SPDX-License-Identifier: GPL-3.0-or-later
"""What every test of running programs has: where they are, a directory, a daemon, and a seed that is printed."""
import os
import pathlib
import random
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "system"))
from burgeon_test import Daemon, Programs  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than about ten seconds (left out by ./do test --quick)")


@pytest.fixture(scope="session")
def programs():
    return Programs(pathlib.Path(os.environ.get("BURGEON_BUILD", pathlib.Path(__file__).resolve().parents[1] / "build")))


@pytest.fixture
def rng(request):
    """Random numbers; the seed is in the report of a failure, and BURGEON_SEED repeats it."""
    seed = int(os.environ.get("BURGEON_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"BURGEON_SEED={seed}")
    request.node.user_properties.append(("seed", seed))
    return random.Random(seed)


@pytest.fixture
def new_daemon(programs, tmp_path):
    """A function that makes daemons in this test's directory; whatever of them is left at the end is killed."""
    made = []

    def make(directory="burgeond", **options):
        daemon = Daemon(programs, tmp_path / directory, **options)
        made.append(daemon)
        return daemon

    yield make
    for daemon in made:
        daemon.cleanup()


@pytest.fixture
def daemon(new_daemon):
    """One that runs. Its shutdown is checked too: every test ends with a clean one, unless it killed the daemon itself."""
    running = new_daemon().start()
    yield running
    if running.running():
        assert running.stop() == 0, running.log()


@pytest.fixture(scope="session")
def data():
    """Directory of the real data, which is not part of the repository."""
    looked = [pathlib.Path(os.environ["BURGEON_DATA"])] if "BURGEON_DATA" in os.environ else []
    looked.append(pathlib.Path(__file__).resolve().parents[2] / "shared" / "data")
    for place in looked:
        if (place / "hf-monthly" / "tallies.csv").exists():
            return place
    pytest.skip("no real data: looked for hf-monthly/tallies.csv in " + ", ".join(str(place) for place in looked)
                + " ($BURGEON_DATA says where)")
