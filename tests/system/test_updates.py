# SPDX-License-Identifier: GPL-3.0-or-later
"""Updates out: a stream that cannot lie."""
import math
import signal
import sys
import time

from burgeon_test import DAY, T0, US, Running, add, remove

QUANTILES = ("q05", "q10", "q25", "q50", "q75", "q90", "q95")


def history(model, n, days=200):
    """n children of a model over so many days, evenly spread."""
    return [{"t": "release", "model": model, "at": T0}] + [
        add(model, f"author{number}/child-{number}", T0 + (number + 1) * days * DAY // n) for number in range(n)]


def counted(model, count):
    return lambda topic, message: topic == f"forecast/{model}/" and message["count"] == count


def assert_sound(forecast):
    """What every forecast promises, whatever its status."""
    previous = [forecast["count"]] * (1 + len(QUANTILES))
    assert forecast["horizons"], forecast
    for horizon in forecast["horizons"]:
        values = [horizon["mean"]] + [horizon[name] for name in QUANTILES]
        assert all(math.isfinite(value) for value in values), horizon
        assert values[1:] == sorted(values[1:]), "quantiles rise with the level"
        assert all(now >= before for now, before in zip(values, previous)), "and do not fall with the horizon or below the count"
        previous = values
    assert math.isfinite(forecast["rate"]) and forecast["rate"] >= 0
    assert forecast["prev_rev"] < forecast["rev"]
    assert forecast["at"] and forecast["as_of"]


def test_an_event_becomes_a_revised_forecast(daemon):
    subscriber = daemon.subscriber("forecast/a/base/")
    feed = daemon.feed()
    feed.submit(history("a/base", 60))
    _, first = subscriber.wait(counted("a/base", 60))
    assert_sound(first)
    assert [horizon["days"] for horizon in first["horizons"]] == [7, 30, 90, 180, 365]
    feed.submit([add("a/base", f"late/{number}", T0 + 201 * DAY) for number in range(20)])
    _, second = subscriber.wait(counted("a/base", 80))
    assert_sound(second)
    assert second["rev"] > first["rev"] and second["seq"] > first["seq"] and second["epoch"] == first["epoch"]
    assert second["why"]["added"] == 20
    assert not subscriber.lost


def test_a_removal_revises_the_forecast_and_says_why(daemon):
    subscriber = daemon.subscriber("forecast/a/base/")
    feed = daemon.feed()
    feed.submit(history("a/base", 40))
    subscriber.wait(counted("a/base", 40))
    feed.submit([remove("a/base", "author3/child-3", T0 + 300 * DAY)])
    _, forecast = subscriber.wait(counted("a/base", 39))
    assert forecast["why"]["removed"] == 1


def test_a_subscription_is_told_that_it_is_live(daemon):
    feed = daemon.feed()
    feed.submit(history("a/base", 30))
    daemon.settled()
    subscriber = daemon.subscriber("welcome/", "forecast/a/base/")
    _, welcome = subscriber.wait(lambda topic, message: topic.startswith("welcome/") and message.get("topic") == "forecast/a/base/")
    assert welcome["epoch"] >= 1 and welcome["v"] == 1


def test_a_late_subscriber_gets_the_last_value_of_what_it_subscribes_to(daemon):
    early = daemon.subscriber("forecast/")
    models = [f"org{number}/base" for number in range(20)]
    feed = daemon.feed()
    for number, model in enumerate(models):
        feed.submit(history(model, 20 + number))
    for number, model in enumerate(models):
        if early.last.get((f"forecast/{model}/", "finetune", None), {}).get("count") != 20 + number:
            early.wait(counted(model, 20 + number))
    daemon.settled()
    late = daemon.subscriber("forecast/org7/base/", "forecast/org11/")
    late.wait(counted("org7/base", 27))
    late.wait(counted("org11/base", 31))
    assert {topic for topic, _, _ in late.last} <= {"forecast/org7/base/", "forecast/org11/base/"}, "and of nothing else"


def test_the_heartbeat_carries_the_latest_seq(daemon):
    subscriber = daemon.subscriber("")
    daemon.feed().submit(history("a/base", 30))
    _, forecast = subscriber.wait(counted("a/base", 30))
    _, heartbeat = subscriber.wait(lambda topic, message: topic == "heartbeat/" and message["seq"] >= forecast["seq"])
    assert heartbeat["health"] and heartbeat["models"] == 1 and heartbeat["events"] == 30
    assert heartbeat["epoch"] == forecast["epoch"]


def test_revisions_follow_each_other_without_a_gap(daemon, rng):
    subscriber = daemon.subscriber("forecast/")
    feed = daemon.feed()
    numbers = [0] * 10
    for step in range(200):
        events = []
        for _ in range(5):
            which = rng.randrange(10)
            numbers[which] += 1
            events.append(add(f"org/base{which}", f"author/child-{which}-{numbers[which]}", T0 + step * DAY))
        feed.submit(events)
    for which, number in enumerate(numbers):
        model = f"org/base{which}"
        if subscriber.last.get((f"forecast/{model}/", "finetune", None), {}).get("count") != number:
            subscriber.wait(counted(model, number))
    assert not subscriber.lost
    assert all(message["count"] == numbers[int(topic[-2])] for (topic, _, _), message in subscriber.last.items())


def test_a_stopped_subscriber_does_not_slow_the_daemon(daemon):
    """A subscriber in a process of its own is stopped; the daemon goes on acknowledging and publishing."""
    code = ("import sys, zmq; s = zmq.Context().socket(zmq.SUB); s.connect(sys.argv[1]); s.setsockopt(zmq.SUBSCRIBE, b'')\n"
            "s.recv_multipart(); print('live', flush=True)\nwhile True: s.recv_multipart()")
    with Running(sys.executable, "-c", code, daemon.endpoints["updates"]) as slow:
        assert slow.line() == "live\n"
        slow.process.send_signal(signal.SIGSTOP)
        subscriber = daemon.subscriber("forecast/")
        before = daemon.rss()
        feed = daemon.feed()
        for step in range(100):
            feed.submit([add(f"org/base{which}", f"author/child-{step}", T0 + step * DAY) for which in range(50)])
        for which in range(50):
            model = f"org/base{which}"
            if subscriber.last.get((f"forecast/{model}/", "finetune", None), {}).get("count") != 100:
                subscriber.wait(counted(model, 100))
        assert daemon.rss() < before + (128 << 20)


def test_an_organic_surge_is_announced_and_one_uploader_is_not_one(daemon, rng):
    """A year at about one child a day, then ten a day for two weeks: from many authors in one model, from one in the other."""
    subscriber = daemon.subscriber("surge/")
    feed = daemon.feed()
    events = [{"t": "release", "model": model, "at": T0} for model in ("org/many", "org/one")]
    for day in range(1, 366):
        for model in ("org/many", "org/one"):
            events.append(add(model, f"author{rng.randrange(10 ** 6)}/c{day}", T0 + day * DAY + rng.randrange(DAY)))
    for day in range(366, 380):
        for number in range(10):
            events.append(add("org/many", f"surge{day}-{number}/c", T0 + day * DAY + rng.randrange(DAY)))
            events.append(add("org/one", f"uploader/c{day}-{number}", T0 + day * DAY + rng.randrange(DAY)))
    events.sort(key=lambda event: event["at"])
    for start in range(0, len(events), 20):
        feed.submit(events[start:start + 20])
    _, surge = subscriber.wait(lambda topic, message: topic == "surge/org/many/" and message["state"] == "opened")
    assert surge["kind"] == "surge" and surge["observed"] > surge["expected"] and surge["authors"] >= 5
    assert T0 + 350 * DAY < surge["onset"] <= surge["at"] < T0 + 380 * DAY
    daemon.settled()
    one = [message for (topic, _, _), message in subscriber.last.items() if topic == "surge/org/one/"]
    assert all(message["kind"] != "surge" for message in one), one


def test_silence_of_the_source_makes_forecasts_stale(new_daemon):
    daemon = new_daemon(config="[model]\nstale_after = 1s\n").start()
    subscriber = daemon.subscriber("forecast/", "heartbeat/")
    daemon.feed().submit(history("a/base", 30))
    def status():
        return daemon.query("forecast", model="a/base")["forecasts"][0]["status"]

    subscriber.wait(counted("a/base", 30))
    assert status() != "stale_input"
    _, heartbeat = subscriber.wait(lambda topic, message: topic == "heartbeat/" and status() == "stale_input")
    assert heartbeat["input_age_s"] > 0.9
    assert daemon.query("get", model="a/base")["series"][0]["count"] == 30, "a count does not grow stale"
    daemon.feed("again").submit([add("a/base", "one/more", T0 + 201 * DAY)])
    subscriber.wait(lambda topic, message: topic == "heartbeat/" and status() != "stale_input")  # the first batch ends it


def test_times_of_updates_are_microseconds_now(daemon):
    subscriber = daemon.subscriber("heartbeat/")
    _, heartbeat = subscriber.receive()
    assert abs(heartbeat["at"] / US - time.time()) < 30
