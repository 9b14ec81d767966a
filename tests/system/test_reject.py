# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input is answered or rejected by name; the daemon neither stops nor grows."""
import json
import math
import random
import sqlite3

import msgpack
import pytest

from burgeon_test import DAY, T0, US, add, remove, tally, unpack

GOOD = add("good/base", "x/one", T0)
FAR = 7_258_118_400 * US


def batch(events, **more):
    return {"v": 1, "source": "test", "seq": 1, "events": events, **more}


BAD_EVENTS = {
    "not a map": (7, "malformed"),
    "an array": ([1, 2], "malformed"),
    "nil": (None, "malformed"),
    "empty": ({}, "missing"),
    "no type": ({"model": "a/b", "child": "c/d", "at": T0}, "missing"),
    "unknown type": ({"t": "explode", "model": "a/b"}, "unknown_type"),
    "no child": ({"t": "add", "model": "a/b", "at": T0}, "missing"),
    "no time": ({"t": "add", "model": "a/b", "child": "c/d"}, "missing"),
    "time is text": (add("a/b", "c/d", "yesterday"), ("malformed", "range")),
    "time is NaN": (add("a/b", "c/d", math.nan), ("malformed", "range")),
    "time is infinite": (add("a/b", "c/d", math.inf), ("malformed", "range")),
    "time is a fraction": (add("a/b", "c/d", T0 + 0.5), ("malformed", "range")),
    "time before all hubs": (add("a/b", "c/d", 0), ("range", "too_old")),
    "negative time": (add("a/b", "c/d", -T0), ("range", "too_old")),
    "far future": (add("a/b", "c/d", FAR - US), "future"),
    "beyond the calendar": (add("a/b", "c/d", 2 ** 63 - 1), ("range", "future")),
    "too big for a signed integer": (add("a/b", "c/d", 2 ** 64 - 1), ("malformed", "range", "future")),
    "name is a number": (add(5, "c/d", T0), ("malformed", "name")),
    "name without a slash": (add("junk", "c/d", T0), "name"),
    "name with two slashes": (add("a/b/c", "c/d", T0), "name"),
    "empty organisation": (add("/b", "c/d", T0), "name"),
    "empty name": (add("", "c/d", T0), "name"),
    "dots": (add("../..", "c/d", T0), "name"),
    "spaces": (add("a b/c", "c/d", T0), "name"),
    "newline": (add("a/b\n", "c/d", T0), "name"),
    "zero byte": (add("a/b\0", "c/d", T0), "name"),
    "a path": (add("file:///etc/passwd", "c/d", T0), "name"),
    "long name": (add("a/" + "b" * 300, "c/d", T0), "name"),
    "not ASCII": (add("a/\u202eb", "c/d", T0), "name"),
    "junk child": (add("a/b", "<script>", T0), "name"),
    "unknown relation": (add("a/b", "c/d", T0, relation="nephew"), ("range", "malformed", "unknown_type")),
    "child of itself": (add("a/b", "a/b", T0), "self"),
    "empty interval": (tally("a/b", T0, T0, 5), "interval"),
    "reversed interval": (tally("a/b", T0 + DAY, T0, 5), "interval"),
    "negative count": (tally("a/b", T0, T0 + DAY, -1), "range"),
    "absurd count": (tally("a/b", T0, T0 + DAY, 2 ** 62), "range"),
    "count is NaN": (tally("a/b", T0, T0 + DAY, math.nan), ("malformed", "range")),
    "half a re-parenting": ({"t": "move", "from": "c/d", "to": "c/d", "at": T0, "model": "a/b"}, ("missing", "malformed")),
}


@pytest.mark.parametrize("what", BAD_EVENTS)
def test_a_bad_event_is_refused_alone_and_by_name(shared, what):
    event, reasons = BAD_EVENTS[what]
    ack = shared.feed(f"refused {list(BAD_EVENTS).index(what)}").submit([GOOD, event, remove("good/base", "x/none", T0)])
    assert ack["rejected"] == 1 and ack["accepted"] + ack["duplicates"] == 2, ack
    rejection = ack["rejections"][0]
    assert rejection["index"] == 1
    assert rejection["reason"] in ((reasons,) if isinstance(reasons, str) else reasons), rejection


def nested(depth):
    return b"\x91" * depth + b"\xc0"


def packed(**changes):
    return msgpack.packb(batch([GOOD]) | changes)


BAD_BATCHES = {
    "empty": b"",
    "one byte": b"\xc1",
    "text": b"GET / HTTP/1.1\r\n\r\n",
    "truncated": packed()[:-5],
    "trailing bytes": packed() + b"\x00",
    "an integer": msgpack.packb(3),
    "an array": msgpack.packb([1, 2, 3]),
    "header of a gigantic array": b"\xdd\xff\xff\xff\xff",
    "header of a gigantic map": b"\xdf\xff\xff\xff\xff",
    "header of a gigantic string": b"\xdb\xff\xff\xff\xff",
    "gigantic array of events": msgpack.packb({"v": 1, "source": "s", "seq": 1})[:-1] + b"\x01\xa6events\xdd\x7f\xff\xff\xff",
    "nested a little too deep": packed(events=[{"t": "add", "x": unpack(nested(20))}]),
    "nested far too deep": nested(1_000_000),
    "extension type": msgpack.packb({"v": 1, "source": "s", "seq": 1, "events": msgpack.ExtType(5, b"abc")}),
    "no version": msgpack.packb({"source": "s", "seq": 1, "events": []}),
    "version of the future": packed(v=99),
    "no source": msgpack.packb({"v": 1, "seq": 1, "events": []}),
    "source is a number": packed(source=5),
    "source too long": packed(source="s" * 65),
    "source with control characters": packed(source="a\x1b[2Jb"),
    "seq is negative": packed(seq=-1),
    "seq is NaN": packed(seq=math.nan),
    "events is text": packed(events="add"),
    "events is nil": packed(events=None),
    "too many events": packed(events=[{}] * 65537),
    "keys are numbers": msgpack.packb({1: 2, 3: 4}),
}


@pytest.mark.parametrize("what", BAD_BATCHES)
def test_a_bad_batch_is_answered_by_name(shared, what):
    door = shared.door("submit")
    door.send_bytes(BAD_BATCHES[what])
    ack = door.receive()
    assert ack["error"] in ("malformed", "unsupported", "range", "too_large"), ack
    assert ack["accepted"] == 0 and not ack["durable"] and ack["detail"]


@pytest.mark.parametrize("what", BAD_BATCHES)
def test_a_bad_query_is_answered_by_name(shared, what):
    door = shared.door("query")
    door.send_bytes(BAD_BATCHES[what])
    assert door.receive()["error"] in ("malformed", "unsupported", "range", "too_large")


@pytest.fixture(scope="module")
def shared(programs, tmp_path_factory):
    """One daemon for all of them: it lives through every one, and its memory is looked at in the end."""
    from burgeon_test import Daemon
    daemon = Daemon(programs, tmp_path_factory.mktemp("reject") / "burgeond").start()
    daemon.feed("first").submit([GOOD])
    before = daemon.rss()
    yield daemon
    assert daemon.running(), daemon.log()
    assert daemon.counts()["good/base", "finetune"] == 1  # a damaged batch may hold events that are right, of other models
    assert daemon.rss() < before + (64 << 20), (before, daemon.rss())
    assert daemon.stop() == 0, daemon.log()
    daemon.cleanup()


def test_a_message_beyond_the_size_limit_is_refused_or_cut_off_and_the_daemon_lives(shared):
    limit = shared.query("info")["info"]["message_bytes_max"]
    before = shared.rss()
    door = shared.door("submit")
    door.send_bytes(bytes(limit + 1))
    assert door.receive()["error"] == "too_large"
    for _ in range(4):
        door.send_bytes(bytes(3 * limit))  # far beyond it the connection is cut while it arrives: there is no answer
    shared.feed("beside the big ones").submit([GOOD])
    assert shared.rss() < before + 4 * limit


def test_random_bytes_and_random_damage_never_stop_it(shared):
    rng = random.Random(20260101)  # a fixed seed: the fuzzers look for the unexpected, this one only proves the whole path
    door, query = shared.door("submit"), shared.door("query")
    good = packed(events=[add("fuzz/base", f"x/{number}", T0) for number in range(3)], source="fuzz")
    for _ in range(3000):
        damaged = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        door.send_bytes(bytes(damaged))
        query.send_bytes(rng.randbytes(rng.randrange(200)))
        assert "seq" in door.receive()
        assert query.receive()["error"]
    shared.feed("after").submit([remove("fuzz/base", f"x/{number}", T0 + DAY) for number in range(3)])


def test_strange_framing_is_answered_or_ignored(shared):
    door = shared.door("submit")
    for frames in ([b""], [b"", b""], [b"", b"", b"", b""], [b"a"] * 50):
        door.send_bytes(*frames)
    shared.feed("beside strange frames").submit([GOOD])


def test_what_was_refused_is_kept_and_counted(daemon):
    daemon.feed().submit([GOOD, add("junk", "c/d", T0), add("a/b", "c/d", FAR - US), {"t": "explode"}])
    stats = daemon.query("stats")["stats"]
    rejected = {entry["name"]: entry["n"] for entry in stats["rejected"]}
    assert {name: n for name, n in rejected.items() if n} == {"name": 1, "future": 1, "unknown_type": 1}
    assert daemon.stop() == 0
    with sqlite3.connect(daemon.directory / "state.sqlite") as db:
        tables = [name for (name,) in db.execute("select name from sqlite_master where type in ('table', 'view')")]
        kept = next(name for name in tables if "reject" in name or "dead" in name)
        rows = db.execute(f'select * from "{kept}"').fetchall()  # the name comes from the database itself
    assert len(rows) == 3
    assert any("junk" in json.dumps([str(value) for value in row]) for row in rows)


def test_a_flood_of_refused_events_does_not_grow_the_daemon(daemon):
    feed = daemon.feed()
    junk = [add("junk", f"c/{number}", T0) for number in range(5000)]
    feed.submit(junk)
    before = daemon.rss()
    for _ in range(40):
        assert feed.submit(junk)["rejected"] == 5000
    assert daemon.rss() < before + (32 << 20)
