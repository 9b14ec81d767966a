# SPDX-License-Identifier: GPL-3.0-or-later
"""Random valid events of every kind, junk beside them, odd questions, reloads, checkpoints, kills: and yet it adds up.

BURGEON_TORTURE_SECONDS says for how long (default 20); BURGEON_SEED repeats a run.
"""
import os
import signal
import time

import msgpack
import pytest

from burgeon_test import DAY, T0, US, Timeout

SECONDS = float(os.environ.get("BURGEON_TORTURE_SECONDS", 20))
RELATIONS = ["finetune", "adapter", "quantized", "merge", "download"]
HUGE = 10 ** 12  # BG_COUNT_MAX
QUERIES = ["info", "get", "list", "history", "forecast", "milestone", "surges", "why", "org", "ecosystem", "snapshot", "stats",
           "reload", "checkpoint"]


class Events:
    """Valid events about a few names, so that they meet: what is a model here is a child there, and was renamed yesterday."""

    def __init__(self, rng):
        self.rng = rng
        self.models = [f"org{n % 3}/model-{n}" for n in range(12)]
        self.children = [f"author{n % 40}/child-{n}" for n in range(600)] + self.models[:3] + ["x" * 120 + "/" + "y" * 120]
        self.now = T0 + 400 * DAY

    def time(self):
        rng = self.rng
        kind = rng.random()
        if kind < 0.5:
            self.now = min(self.now + rng.randrange(0, 6 * 3600 * US), int(time.time() * US))
            return self.now
        if kind < 0.9:
            return self.now - rng.randrange(0, 400 * DAY)
        return rng.choice([T0, T0 + 1, self.now, 1_420_070_400 * US, int(time.time() * US) + rng.randrange(-10, 290) * US])

    def one(self):
        rng = self.rng
        model, kind = rng.choice(self.models), rng.random()
        if kind < 0.60:
            event = {"t": "add", "model": model, "child": rng.choice(self.children), "at": self.time()}
            if rng.random() < 0.3:
                event["relation"] = rng.choice(RELATIONS)
            if rng.random() < 0.1:
                event["release"] = self.time()
            return event
        if kind < 0.70:
            return {"t": "remove", "model": model, "child": rng.choice(self.children), "at": self.time()}
        if kind < 0.75:
            return {"t": "move", "from": rng.choice(self.children), "to": rng.choice(self.children), "at": self.time(),
                    "model": model, "to_model": rng.choice(self.models)}
        if kind < 0.78:
            return {"t": "move", "from": rng.choice(self.children), "to": rng.choice(self.children), "at": self.time()}
        if kind < 0.79:
            new = rng.choice(self.models + [f"org9/renamed-{rng.randrange(20)}"])
            self.models.append(new)
            return {"t": "move", "from": model, "to": new, "at": self.time()}
        if kind < 0.88:
            day = rng.randrange(0, 500) * DAY
            return {"t": "tally", "model": model, "from": T0 + day, "to": T0 + day + rng.choice([1, 7, 30]) * DAY,
                    "count": rng.choice([0, 1, 10, 1000, HUGE]), "relation": rng.choice(RELATIONS)}
        if kind < 0.93:
            return {"t": "release", "model": model, "at": self.time()}
        if kind < 0.97:
            event = {"t": "alive", "at": self.time()}
            if rng.random() < 0.5:
                event["source"] = f"other-{rng.randrange(50)}"
            return event
        return {"t": "add", "model": rng.choice(["", "no-slash", "a/b/c", "\0/x", 7, None]), "child": "a/b", "at": rng.choice([0, -1, "x", 2 ** 62])}

    def question(self):
        rng = self.rng
        request = {"v": 1, "id": rng.randrange(2 ** 62), "q": rng.choice(QUERIES)}
        for key, values in {"model": self.models + ["no/such"], "relation": RELATIONS, "prefix": ["", "org1/", "zz", "\xff"],
                            "sort": ["count", "growth", "forecast", "name", "released"], "limit": [1, 2, 10000, 0, 10001],
                            "offset": [0, 1, 7, 10 ** 12, -1], "spark": [1, 120, 121], "spark_step": [US, 31_557_600_000_000, 1],
                            "from": [T0, 1_420_070_400 * US, self.now + DAY], "to": [T0 + US, self.now, 7_258_118_400 * US],
                            "step": [US, 3600 * US, DAY, 315_576_000_000_000],
                            "horizons": [[], [1 / 24], [7, 7], [30, 7], [float("nan")], [1e300], list(range(1, 65)), [1826.25]],
                            "target": ["", "org1", "20230101-0-1"]}.items():
            if rng.random() < 0.3:
                request[key] = rng.choice(values)
        return request

    def junk(self):
        rng = self.rng
        return rng.choice([rng.randbytes(rng.randrange(0, 300)), b"", b"\xdd\xff\xff\xff\xff", b"\x81\xa1v",
                           msgpack.packb({"v": 1, "source": "s\x00", "seq": 1, "events": []}),
                           msgpack.packb({"v": 1, "source": "far", "seq": 2 ** 63 - 1, "events": []}),
                           msgpack.packb({"v": 1, "source": "zero", "seq": 0, "events": [self.one()]})])


class Watcher:
    """A subscriber of everything: within one epoch the numbers of the updates have no hole, and revisions follow each other."""

    def __init__(self, daemon):
        self.subscriber = daemon.subscriber("")
        _, welcome = self.subscriber.wait(lambda topic, message: topic == "welcome/")
        self.seq = welcome["seq"]
        self.counts = {}

    def drain(self):
        while self.subscriber.socket.poll(0):
            topic, message = self.subscriber.receive()
            if not topic.startswith(("forecast/", "surge/", "org/", "ecosystem/")):
                continue
            if message["seq"] > self.seq:
                assert message["seq"] == self.seq + 1, (topic, message["seq"], self.seq)
                self.seq = message["seq"]
            if topic.startswith("forecast/"):
                self.counts[message["model"], message["relation"]] = message
                check_forecast(message)


def check_forecast(forecast):
    before = forecast["count"]
    for horizon in forecast["horizons"]:
        quantiles = [forecast["count"]] + [horizon[q] for q in ("q05", "q10", "q25", "q50", "q75", "q90", "q95")]
        assert quantiles == sorted(quantiles), forecast
        assert horizon["q50"] >= before and horizon["mean"] >= forecast["count"], forecast
        before = horizon["q50"]


def check_answers(daemon, query, asked):
    """Every question is answered, those that cannot be read too (they have no id)."""
    unread, answered = 0, set()
    for _ in asked:
        try:
            reply = query.receive()
        except Timeout:
            lost = [request for request in asked if request["id"] not in answered]
            raise AssertionError(f"{len(lost) - unread} of these have no answer: {lost}\n{daemon.query('stats')}") from None
        unread += reply["id"] == 0
        answered.add(reply["id"])
        for forecast in reply.get("forecasts", []):
            check_forecast(forecast)


def revisions(daemon):
    """{(model, relation): rev} of every series."""
    found = {}
    for relation in RELATIONS:
        for series in daemon.query("list", relation=relation, limit=10000).get("series", []):
            found[series["model"], series["relation"]] = series.get("rev", 0), series["count"]
    return found


@pytest.mark.slow
def test_everything_at_once(new_daemon, rng):
    events = Events(rng)
    daemon = new_daemon(config="[doors]\nadmin = yes\n[model]\nstale_after = 1s\n[refit]\nseries_per_job = 2\ncoalesce = 1ms\n")
    daemon.start()
    seq, deadline, before = 0, time.monotonic() + SECONDS, None
    while time.monotonic() < deadline:
        feed, watcher = daemon.feed(), Watcher(daemon)
        query, junk = daemon.door("query"), [daemon.door("submit"), daemon.door("query")]
        feed.seq = daemon.door("submit").ask({"v": 1, "source": "test", "seq": 0, "events": []})["last_seq"]
        assert feed.seq == seq
        life = time.monotonic() + rng.uniform(0.2, 3)
        asked = []
        while time.monotonic() < life:
            ack = feed.submit([events.one() for _ in range(rng.choice([0, 1, 5, 200]))])
            seq = feed.seq
            assert ack["accepted"] + ack["duplicates"] + ack["rejected"] >= 0
            for _ in range(rng.randrange(4)):
                asked.append(events.question())
                query.send(asked[-1])
            rng.choice(junk).send_bytes(events.junk())
            if rng.random() < 0.3:
                daemon.signal(signal.SIGHUP)
            watcher.drain()
        check_answers(daemon, query, asked)
        daemon.settled()
        watcher.drain()
        before = revisions(daemon)
        listed = {key: count for key, (_, count) in before.items()}
        if rng.random() < 0.5:
            assert daemon.query("checkpoint").get("error") is None
            daemon.kill()
        else:
            assert daemon.stop() == 0, daemon.log()[-3000:]
        daemon.start()
        daemon.settled()
        after = revisions(daemon)
        assert {key: count for key, (_, count) in after.items()} == listed, "the log is the truth"
        for key, (rev, _) in before.items():
            assert after[key][0] >= rev, (key, rev, after[key])
    assert daemon.stop() == 0, daemon.log()[-3000:]
    for word in ("Sanitizer", "runtime error", "Assertion"):
        assert word not in daemon.log(), daemon.log()[-3000:]
