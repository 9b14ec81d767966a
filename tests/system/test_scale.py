# SPDX-License-Identifier: GPL-3.0-or-later
"""A million models: they load, they are counted, and memory is bounded."""
import pytest

from burgeon_test import DAY, T0, US, add

pytestmark = pytest.mark.slow


def test_a_million_models_of_one_event_each(new_daemon):
    n, size = 1_000_000, 20_000
    daemon = new_daemon().start()
    empty = daemon.rss()
    feed = daemon.feed()
    for start in range(0, n, size):
        feed.send([add(f"org{number % 9973}/model-{number}", f"author/child-{number}", T0 + number % 86_400 * US)
                   for number in range(start, start + size)])
        while len(feed.unacknowledged) > 4:
            assert feed.receive(120)["accepted"] == size
    while feed.unacknowledged:
        assert feed.receive(120)["accepted"] == size
    stats = daemon.query("stats", timeout=120)["stats"]
    assert stats["models"] == stats["children"] == n
    per_model = (daemon.rss() - empty) / n
    print(f"{per_model:.0f} B a model")
    assert per_model < 4096
    # it still answers, and still forecasts, while a million series wait for their refits
    assert daemon.query("get", model="org5/model-5", timeout=120)["series"][0]["count"] == 1
    feed.submit([add("org5/model-5", "late/child", T0 + 2 * DAY)], timeout=120)
    assert daemon.query("get", model="org5/model-5", timeout=120)["series"][0]["count"] == 2
    assert daemon.stop(timeout=120) == 0
    daemon.start(timeout=300)
    assert daemon.query("stats", timeout=120)["stats"]["children"] == n + 1
