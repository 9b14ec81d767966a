# SPDX-License-Identifier: GPL-3.0-or-later
"""Publishing with judgement: a storm makes few revisions, and the last one is right."""
import time

from burgeon_test import DAY, T0, add

MODEL = "org/base"


class Revisions:
    """Every revision of one model, as they come."""

    def __init__(self, subscriber):
        self.subscriber = subscriber
        self.seen = []

    def until_count(self, count):
        """Waits for a revision that counts so many, and no longer."""
        while not (self.seen and self.seen[-1]["count"] == count):
            topic, message = self.subscriber.receive()
            if topic == f"forecast/{MODEL}/":
                assert not self.seen or message["prev_rev"] == self.seen[-1]["rev"], "none is lost"
                self.seen.append(message)


def test_a_thousand_events_make_a_handful_of_revisions(daemon, rng):
    revisions = Revisions(daemon.subscriber("forecast/"))
    feed = daemon.feed()
    feed.submit([{"t": "release", "model": MODEL, "at": T0}, add(MODEL, "first/child", T0 + DAY), add(MODEL, "second/child", T0 + 9 * DAY)])
    revisions.until_count(2)
    sent = 0
    while sent < 1000:
        n = min(rng.randrange(1, 60), 1000 - sent)
        feed.submit([add(MODEL, f"author{sent + k}/child", T0 + 10 * DAY + sent + k) for k in range(n)])
        sent += n
        time.sleep(rng.choice([0, 0, 0.02, 0.1, 0.3]))  # the bursts are the test: nothing is waited for
    begun = time.monotonic()
    revisions.until_count(1002)
    assert time.monotonic() - begun < 10, "a suppressed change is published when it has been quiet for 5 s"
    assert 1 <= len(revisions.seen) - 1 <= 10
    assert sum(message["why"].get("added", 0) for message in revisions.seen) == 1002, "each child is in the why of one revision"


def test_answers_are_those_of_the_last_revision(daemon):
    revisions = Revisions(daemon.subscriber("forecast/"))
    feed = daemon.feed()
    feed.submit([add(MODEL, f"author{k}/child", T0 + k * DAY) for k in range(100)])
    revisions.until_count(100)
    feed.submit([add(MODEL, "one/more", T0 + 100 * DAY)])
    reply = daemon.query("get", model=MODEL)
    assert reply["series"][0]["count"] == 101, "the live count"
    assert reply["forecasts"][0]["rev"] == revisions.seen[-1]["rev"] == reply["series"][0]["rev"]
    assert reply["forecasts"][0]["count"] == 100
    other = daemon.query("forecast", model=MODEL, horizons=[30.0, 90.0])["forecasts"][0]
    told = {horizon["days"]: horizon["q50"] for horizon in revisions.seen[-1]["horizons"]}
    assert {horizon["days"]: horizon["q50"] for horizon in other["horizons"]} == {days: told[days] for days in (30.0, 90.0)}
    revisions.until_count(101)


def test_settle_0_publishes_every_refit(new_daemon):
    daemon = new_daemon(arguments=["--settle", "0"]).start()
    revisions = Revisions(daemon.subscriber("forecast/"))
    feed = daemon.feed()
    for k in range(1, 40):
        feed.submit([add(MODEL, f"author{k}/child", T0 + k * DAY)])
        if k > 1:  # of the first second there is no age to fit
            revisions.until_count(k)
    assert [message["count"] for message in revisions.seen] == list(range(2, 40))
    assert daemon.stop() == 0
