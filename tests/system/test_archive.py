# SPDX-License-Identifier: GPL-3.0-or-later
"""What was forecast on a day of the past, and how it turned out."""
import json
import sqlite3

import pytest

from burgeon_test import DAY, T0, add

MODEL = "org/base"
INSIDE = (("50", "q25", "q75"), ("80", "q10", "q90"), ("90", "q05", "q95"))


def stream(daemon, rng, days):
    """A child or a few on most days; what was published on the way."""
    subscriber = daemon.subscriber("forecast/")
    feed = daemon.feed()
    published, times = {}, []
    for day in range(days):
        new = sorted(T0 + day * DAY + rng.randrange(DAY) // 10**6 * 10**6 for _ in range(rng.choice([0, 1, 1, 2, 5])))
        feed.submit([add(MODEL, f"author/child-{len(times) + k}", at) for k, at in enumerate(new)]
                    + [{"t": "alive", "at": T0 + (day + 1) * DAY - 10**6}])
        times += new
        if new and len(times) > 1:
            _, forecast = subscriber.wait(lambda _, message: message.get("model") == MODEL and message["count"] == len(times))
            published[day] = forecast
    return published, times


@pytest.fixture
def told(new_daemon, rng):
    daemon = new_daemon(arguments=["--settle", "0"]).start()
    published, times = stream(daemon, rng, 130)
    yield daemon, published, times
    assert daemon.stop() == 0


def test_a_day_is_told_as_it_was(told):
    daemon, published, times = told
    reply = daemon.query("forecast", model=MODEL)
    assert all("outcome" not in horizon for horizon in reply["forecasts"][0]["horizons"])
    end = T0 + 130 * DAY
    judged = 0
    for day in (20, 60, 95, 120):
        (then,) = daemon.query("forecast", model=MODEL, as_of=T0 + (day + 1) * DAY - 1)["forecasts"]
        assert T0 + (day - 7) * DAY <= then["as_of"] < T0 + (day + 1) * DAY
        same = [forecast for forecast in published.values() if forecast["rev"] == then["rev"]]
        for forecast in same:
            assert forecast["count"] == then["count"] and forecast["as_of"] == then["as_of"]
        for horizon in then["horizons"]:
            due = then["as_of"] + horizon["days"] * DAY
            if due >= end - 10**6:
                assert "outcome" not in horizon and "inside" not in horizon
                continue
            judged += 1
            assert horizon["outcome"] == sum(at <= due for at in times)
            inside = next((name for name, low, high in INSIDE if horizon[low] <= horizon["outcome"] <= horizon[high]),
                          "below" if horizon["outcome"] < horizon["q05"] else "above")
            assert horizon["inside"] == inside
    assert judged >= 6


def test_before_the_first_forecast_there_is_none(told):
    daemon, _, _ = told
    assert daemon.query("forecast", model=MODEL, as_of=T0 - DAY)["error"] == "not_found"


def test_the_command_prints_what_came_of_it(told, programs):
    daemon, _, _ = told
    flags = ["--query", daemon.endpoints["query"]]
    done = programs.run(programs.burgeon, "show", MODEL, "--as-of", "2023-02-20", *flags)
    assert done.returncode == 0, done.stderr
    assert "outcome" in done.stdout and "as of 2023-02-20" in done.stdout
    assert any(words in done.stdout for words in ("in the middle half", "within 80 %", "within 90 %", "above 90 %", "below 90 %"))
    done = programs.run(programs.burgeon, "show", MODEL, "--as-of", "2023-02-20", "--json", *flags)
    assert json.loads(done.stdout)["horizons"][0]["outcome"] >= 0
    done = programs.run(programs.burgeon, "show", MODEL, "--as-of", "yesterday", *flags)
    assert done.returncode == 64 and "--as-of" in done.stderr
    done = programs.run(programs.burgeon, "show", MODEL, "--as-of", "2020-01-01", *flags)
    assert done.returncode == 66, done.stderr


def test_a_person_can_read_it(told):
    daemon, _, _ = told
    assert daemon.stop() == 0
    with sqlite3.connect(daemon.directory / "state.sqlite") as db:
        rows = db.execute("SELECT as_of, days, q10, q50, q90, count FROM archive_text WHERE model = ? ORDER BY as_of, days", (MODEL,)).fetchall()
        days = {as_of[:10] for as_of, *_ in rows}
        assert len(rows) == 5 * len(days) and len(days) > 80
        assert all(count <= q10 <= q50 <= q90 for _, _, q10, q50, q90, count in rows)
    daemon.start()
