# SPDX-License-Identifier: GPL-3.0-or-later
"""Start, stop, crash, restart, reload."""
import signal
import sqlite3

import pytest

import truth
from burgeon_test import DAY, T0, US, Timeout, add
from test_updates import counted, history


def test_it_starts_on_its_defaults_alone_and_stops_when_told(programs, tmp_path):
    """Without any configuration, in an empty home; the default doors may be taken by another daemon, hence ephemeral ones."""
    done = programs.run(programs.burgeond, "--version")
    assert done.returncode == 0 and done.stdout.startswith("burgeond ")
    assert programs.run(programs.burgeond, "--help").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(new_daemon, number):
    daemon = new_daemon().start()
    daemon.signal(number)
    assert daemon.wait() == 0, daemon.log()


def test_the_state_survives_a_restart(new_daemon, rng):
    events = truth.ecosystem(rng, n_models=30, n_events=5000)
    daemon = new_daemon().start()
    daemon.feed().submit_all(events)
    daemon.settled()
    before = daemon.counts()
    info, forecast = daemon.query("info"), daemon.query("forecast", model="org0/model-0")["forecasts"][0]
    assert daemon.stop() == 0
    daemon.start()
    assert daemon.counts() == before
    again = daemon.query("forecast", model="org0/model-0")
    assert again["epoch"] > info["epoch"], "a new life of the numbering"
    assert again["forecasts"][0]["rev"] >= forecast["rev"], "revisions of a series go on"
    assert daemon.stop() == 0


def test_a_feed_goes_on_where_it_was_after_a_restart(new_daemon):
    daemon = new_daemon().start()
    feed = daemon.feed("hub")
    for number in range(5):
        feed.submit([add("a/base", f"x/{number}", T0 + number * US)])
    daemon.kill()
    daemon.start()
    assert daemon.door("submit").ask({"v": 1, "source": "hub", "seq": 0, "events": []})["last_seq"] == 5


def acknowledged(feed):
    """The batches of which a durable acknowledgement still arrives, now that the other side is gone."""
    done = []
    while True:
        try:
            ack = feed.receive(timeout=0.5)
        except Timeout:
            return done
        if ack.get("durable"):
            done.append(ack["seq"])


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
def test_nothing_acknowledged_is_lost_and_nothing_counted_twice(new_daemon, rng, how):
    """Stopped, or killed, in the middle of a load; what was acknowledged is there exactly once after the restart, and resending
    the rest ends in the truth."""
    events = truth.ecosystem(rng, n_models=50, n_events=60_000)
    batches = [events[start:start + 20] for start in range(0, len(events), 20)]
    daemon = new_daemon().start()
    feed = daemon.feed("load")
    done = []
    for number, batch in enumerate(batches):
        feed.send(batch)
        if number == 100:
            done.append(feed.receive()["seq"])  # it is under way
        if number == len(batches) // 2:
            daemon.signal(getattr(signal, how))
    status = daemon.wait()
    assert status == (0 if how == "SIGTERM" else -signal.SIGKILL), daemon.log()
    done += acknowledged(feed)
    assert 1 < len(done) < len(batches), "stopped before the end of the load, or the test shows nothing"
    daemon.start()
    last = daemon.door("submit").ask({"v": 1, "source": "load", "seq": 0, "events": []})["last_seq"]
    assert last >= max(done)
    kept = [event for batch in batches[:last] for event in batch]
    assert {key: count for key, count in daemon.counts().items() if count} == truth.counts(kept)

    again = daemon.feed("load")
    again.seq = last
    for batch in batches[last:]:
        again.submit(batch)
    assert {key: count for key, count in daemon.counts().items() if count} == truth.counts(events)
    assert daemon.stop() == 0, daemon.log()


def test_repeated_kills_end_in_the_truth(new_daemon, rng):
    events = truth.ecosystem(rng, n_models=20, n_events=20_000)
    batches = [events[start:start + 10] for start in range(0, len(events), 10)]
    daemon = new_daemon()
    done = 0
    for life in range(6):
        daemon.start()
        feed = daemon.feed("load")
        last = daemon.door("submit").ask({"v": 1, "source": "load", "seq": 0, "events": []})["last_seq"]
        assert last >= done, "what was acknowledged is there"
        feed.seq = last
        upto = len(batches) if life == 5 else last + (len(batches) - last) // 3
        for batch in batches[last:upto]:
            feed.send(batch)
        wanted = len(feed.unacknowledged) if life == 5 else rng.randrange(1, len(feed.unacknowledged))
        for _ in range(wanted):
            done = max(done, feed.receive()["seq"])
        if life < 5:
            daemon.kill()
    assert {key: count for key, count in daemon.counts().items() if count} == truth.counts(events)
    assert daemon.stop() == 0, daemon.log()


def test_the_state_is_a_database_that_people_can_read(new_daemon):
    daemon = new_daemon().start()
    daemon.feed().submit(history("a/base", 25))
    daemon.settled()
    assert daemon.stop() == 0
    with sqlite3.connect(daemon.directory / "state.sqlite") as db:
        assert db.execute("pragma integrity_check").fetchone() == ("ok",)
        dump = "\n".join(db.iterdump())
    assert "a/base" in dump and "author7/child-7" in dump


def test_a_second_daemon_on_the_same_state_is_refused(new_daemon):
    first = new_daemon().start()
    second = new_daemon()  # the same directory, other sockets
    with pytest.raises(AssertionError, match="(?i)lock|in use|another"):
        second.start()
    assert first.query("info")["info"]["program"] == "burgeond"


def test_a_state_that_is_not_one_is_refused_and_left_alone(new_daemon):
    daemon = new_daemon()
    path = daemon.directory / "state.sqlite"
    path.write_bytes(b"precious notes that are no database\n" * 100)
    with pytest.raises(AssertionError, match="ended with"):
        daemon.start()
    assert path.read_bytes().startswith(b"precious notes")


def test_check_config_accepts_the_defaults(programs, tmp_path):
    path = tmp_path / "burgeond.conf"
    path.write_text("")
    done = programs.run(programs.burgeond, "--check-config", "--config", path)
    assert done.returncode == 0, done.stderr


def test_check_config_reports_every_error_with_its_line_and_the_nearest_key(programs, tmp_path):
    path = tmp_path / "burgeond.conf"
    path.write_text("[model]\nstale_aftr = 1h\n\nrefresh = soon\n[no such section]\nx = 1\n")
    done = programs.run(programs.burgeond, "--check-config", "--config", path)
    assert done.returncode == 78
    for line in (2, 4, 6):
        assert f"{path}:{line}" in done.stderr, done.stderr
    assert "stale_after" in done.stderr


def test_a_missing_configuration_is_an_error(programs, tmp_path):
    done = programs.run(programs.burgeond, "--check-config", "--config", tmp_path / "nowhere.conf")
    assert done.returncode != 0 and "nowhere.conf" in done.stderr


def test_an_unknown_flag_is_a_usage_error(programs):
    done = programs.run(programs.burgeond, "--no-such-flag")
    assert done.returncode == 64 and "--no-such-flag" in done.stderr


def reload(daemon, text):
    (daemon.directory / "burgeond.conf").write_text(text)
    daemon.signal(signal.SIGHUP)


def test_a_reload_takes_effect_without_a_restart(new_daemon):
    daemon = new_daemon().start()
    subscriber = daemon.subscriber("forecast/a/base/")
    feed = daemon.feed()
    feed.submit(history("a/base", 30))
    _, before = subscriber.wait(counted("a/base", 30))
    assert len(before["horizons"]) == 5
    reload(daemon, "[model]\nhorizons = 10d, 20d\n")
    number = 0
    while True:  # the signal is handled some time after it was sent: events until a forecast shows it
        number += 1
        feed.submit([add("a/base", f"more/{number}", T0 + 201 * DAY + number * US)])
        _, after = subscriber.wait(counted("a/base", 30 + number))
        if [horizon["days"] for horizon in after["horizons"]] == [10, 20]:
            break
        assert number < 1000, "the reload never took effect"
    assert after["epoch"] == before["epoch"]


def test_a_bad_reload_keeps_the_old_configuration_and_says_so(new_daemon):
    daemon = new_daemon(config="[model]\nhorizons = 10d, 20d\n").start()
    reload(daemon, "[model]\nhorizons = soon\n")
    subscriber = daemon.subscriber("forecast/a/base/", "heartbeat/")
    while "burgeond.conf:2" not in daemon.log():
        subscriber.wait(lambda topic, message: topic == "heartbeat/")
    daemon.feed().submit(history("a/base", 30))
    _, forecast = subscriber.wait(counted("a/base", 30))
    assert [horizon["days"] for horizon in forecast["horizons"]] == [10, 20]


def test_it_takes_events_from_upstream_publishers(new_daemon):
    """The subscribe door: batches from PUB sockets it connects to, duplicates of the submit door included."""
    import msgpack
    import zmq
    daemon = new_daemon()
    upstream = daemon.context.socket(zmq.XPUB)
    upstream.linger = 0
    endpoint = f"ipc://{daemon.sockets.name}/upstream"
    upstream.bind(endpoint)
    daemon.arguments += ["--subscribe", endpoint]
    daemon.start()
    assert upstream.poll(10_000) and upstream.recv()[:1] == b"\x01", "it subscribed"
    updates = daemon.subscriber("forecast/a/base/")
    events = history("a/base", 20)
    upstream.send(msgpack.packb({"v": 1, "source": "upstream", "seq": 1, "events": events}))
    updates.wait(counted("a/base", 20))
    daemon.feed().submit(events)
    assert daemon.counts() == {("a/base", "finetune"): 20}
    upstream.send(b"\xc1 not a batch")
    upstream.send(msgpack.packb({"v": 1, "source": "upstream", "seq": 2, "events": [add("a/base", "y/after", T0 + 201 * DAY)]}))
    updates.wait(counted("a/base", 21))
    upstream.close()
