# SPDX-License-Identifier: GPL-3.0-or-later
"""The doors when things go wrong: a disk that fails, endpoints in use, gaps, too much asked for, words to the service manager."""
import os
import re
import resource
import signal
import socket
import subprocess

import msgpack
import zmq

from burgeon_test import DAY, T0, Door, add


def events(model, start, n):
    return [add(model, f"author/child-{start + i}", T0 + i * DAY // 1000) for i in range(n)]


def counters(daemon):
    stats = daemon.query("stats")["stats"]
    return {item["name"]: item["n"] for item in stats["counters"] + stats["gauges"]}


def test_a_disk_that_fails_is_told_to_everybody_and_loses_nothing_acknowledged(new_daemon):
    daemon = new_daemon().start()
    subscriber = daemon.subscriber("heartbeat/")
    feed = daemon.feed()
    assert feed.submit(events("a/base", 0, 500))["accepted"] == 500
    size = sum(path.stat().st_size for path in daemon.directory.glob("state.sqlite*"))
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (size + (1 << 20),) * 2)

    sent, acks = 200, []
    for i in range(1, sent):
        feed.send(events("a/base", 500 * i, 500))
    while len(acks) < sent - 1:
        acks.append(feed.receive())
    durable = [ack["seq"] for ack in acks if ack["durable"]]
    refused = [ack for ack in acks if not ack["durable"]]
    assert [ack["seq"] for ack in acks] == list(range(2, sent + 1)), "every batch is answered, in order"
    assert durable == list(range(2, 2 + len(durable))), "behind a failure nothing is durable"
    assert refused and all(ack["error"] == "internal" and ack["detail"] and ack["accepted"] == 0 for ack in refused)
    _, heartbeat = subscriber.wait(lambda topic, message: message["health"] != "ok")
    assert "store" in heartbeat["health"]
    assert counters(daemon)["commits_failed"] > 0 and daemon.query("list")["total"] == 1, "queries are still answered"
    assert daemon.stop() == 74, daemon.log()

    daemon.start()  # without the limit
    again = daemon.feed()
    again.door.send({"v": 1, "source": again.source, "seq": 0, "events": []})
    assert again.receive()["last_seq"] == 1 + len(durable)
    assert daemon.query("get", model="a/base")["series"][0]["count"] == 500 * (1 + len(durable))
    again.seq = 1 + len(durable)
    for i in range(1 + len(durable), sent):
        assert again.submit(events("a/base", 500 * i, 500))["accepted"] == 500
    assert daemon.query("get", model="a/base")["series"][0]["count"] == 500 * sent
    assert daemon.stop() == 0


def test_a_gap_in_the_numbers_is_refused_until_it_is_filled(daemon):
    feed = daemon.feed()
    feed.submit(events("a/base", 0, 10))
    late = {"v": 1, "source": feed.source, "seq": 3, "events": events("a/base", 20, 10)}
    feed.door.send(late)
    ack = feed.door.receive()
    assert ack["error"] == "sequence" and ack["last_seq"] == 1 and not ack["durable"] and "2" in ack["detail"]
    assert daemon.query("get", model="a/base")["series"][0]["count"] == 10, "nothing of it was taken"
    feed.submit(events("a/base", 10, 10))
    assert feed.door.ask(late)["accepted"] == 10


def test_events_without_a_number_are_refused(daemon):
    ack = daemon.door("submit").ask({"v": 1, "source": "s", "seq": 0, "events": events("a/base", 0, 1)})
    assert ack["error"] == "range" and "seq" in ack["detail"]


def test_the_envelope_comes_back_as_it_was(daemon):
    door = daemon.door("submit")
    door.send_bytes(b"", b"\x00route", b"", msgpack.packb({"v": 1, "source": "s", "seq": 0, "events": []}))
    assert door.socket.poll(10000)
    assert door.socket.recv_multipart()[:-1] == [b"", b"\x00route", b""]


def test_an_endpoint_in_use_is_a_clear_end(new_daemon, programs, tmp_path):
    daemon = new_daemon().start()
    for door in ("submit", "updates", "query"):
        arguments = ["--state", "none"]
        for other in ("submit", "updates", "query"):
            arguments += [f"--{other}", daemon.endpoints[door] if other == door else f"ipc://{tmp_path}/{other[0]}"]
        done = programs.run(programs.burgeond, *arguments)
        assert done.returncode == 69, done.stderr
        assert daemon.endpoints[door] in done.stderr and "serves it already" in done.stderr
    assert daemon.query("info")["info"]["program"] == "burgeond", "and the one that has it was not robbed of it"


def test_a_wildcard_port_is_told(new_daemon):
    daemon = new_daemon(arguments=["--query", "tcp://127.0.0.1:*", "--query", "tcp://[::1]:*"]).start()
    daemon.endpoints["query"] = re.findall(r"door=query endpoint=(tcp://127\S+)", daemon.log())[0]
    endpoints = [door["endpoint"] for door in daemon.query("info")["info"]["endpoints"] if door["name"] == "query"]
    assert daemon.endpoints["query"] in endpoints
    assert sorted(re.sub(r":[1-9]\d+$", "", endpoint) for endpoint in endpoints if endpoint[:3] == "tcp") == ["tcp://127.0.0.1", "tcp://[::1]"]


def test_administration_has_to_be_allowed(new_daemon):
    daemon = new_daemon("closed").start()
    for query in ("reload", "checkpoint"):
        assert daemon.door("query").ask({"v": 1, "id": 5, "q": query})["error"] == "forbidden"
    daemon = new_daemon("open", config="[doors]\nadmin = yes\n").start()
    daemon.feed().submit(events("a/base", 0, 50))
    for query in ("reload", "checkpoint"):
        assert "error" not in daemon.door("query").ask({"v": 1, "id": 5, "q": query})
    (daemon.directory / "burgeond.conf").write_text("[doors]\nadmni = yes\n")
    reply = daemon.door("query").ask({"v": 1, "id": 6, "q": "reload"})
    assert reply["error"] and "`admin`" in reply["detail"] and reply["id"] == 6


def settled_models(daemon, n):
    """n models with a forecast each."""
    everything = daemon.subscriber("forecast/")
    daemon.feed().submit([add(f"org-{i % 7}/model-{i}", f"x/{i}-{k}", T0 + k * DAY) for i in range(n) for k in range(5)])
    seen = set()
    while len(seen) < n:
        seen.add(everything.receive()[0])
    return everything


def test_a_broad_subscription_gets_exactly_what_the_welcome_announces(new_daemon):
    daemon = new_daemon(config="[doors]\nlast_values_max = 500\n").start()
    settled_models(daemon, 500)
    for prefix, expected in (("forecast/", 500), ("forecast/org-3/", 71), ("forecast/org-3/model-3/", 1), ("forecast/org-3/model-4/", 0),
                             ("surge/", 0), ("heart", 0)):
        subscriber = daemon.subscriber(f"welcome/{prefix}")
        subscriber.subscribe(prefix)
        _, welcome = subscriber.wait(lambda topic, message, prefix=prefix: topic == f"welcome/{prefix}")
        assert welcome["n_last"] == expected and welcome["topic"] == prefix
        values = {subscriber.wait(lambda topic, message: topic.startswith("forecast/"))[0] for _ in range(expected)}
        assert len(values) == expected and all(topic.startswith(prefix) for topic in values)
        subscriber.close()


def test_a_subscription_too_broad_for_last_values_is_told_so(new_daemon):
    daemon = new_daemon(config="[doors]\nlast_values_max = 20\n").start()
    settled_models(daemon, 21).close()
    daemon.settled()
    subscriber = daemon.subscriber("welcome/forecast/")
    subscriber.subscribe("forecast/")
    topic, welcome = subscriber.receive()
    assert topic == "welcome/forecast/" and "n_last" not in welcome, "ask for a snapshot"
    daemon.feed("more").submit([add("org-1/model-1", "x/more", T0 + DAY)])  # no newer than the rest: nothing else is renewed
    topic, _ = subscriber.wait(lambda topic, message: topic.startswith("forecast/"))
    assert topic == "forecast/org-1/model-1/", "updates come all the same, and nothing before them"


def test_what_nobody_subscribes_to_is_not_sent(daemon):
    subscriber = daemon.subscriber("forecast/a/")
    subscriber.subscribe("forecast/b/")
    subscriber.socket.setsockopt(zmq.UNSUBSCRIBE, b"forecast/b/")
    daemon.feed().submit([add(model, f"x/{i}", T0 + i * DAY) for model in ("a/base", "b/base") for i in range(20)])
    topic, _ = subscriber.receive()
    assert topic == "forecast/a/base/"
    daemon.settled()
    now = counters(daemon)
    assert now["updates_skipped"] >= 1 and now["subscriptions"] <= 2, now


def test_a_peer_that_goes_away_does_not_leave_its_answers_behind(daemon):
    for i in range(20):
        door = Door(daemon.context, daemon.endpoints["submit"])
        door.send({"v": 1, "source": f"s{i}", "seq": 1, "events": events("a/base", i, 1)})
        door.close()  # lingers 0: perhaps sent, certainly not there for the acknowledgement
    feed = daemon.feed()
    assert feed.submit(events("b/base", 0, 1))["accepted"] == 1


def test_the_service_manager_is_told(new_daemon):
    daemon = new_daemon()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(30)
        path = f"{daemon.sockets.name}/manager"
        manager.bind(path)
        with open(daemon.log_path, "ab") as log:
            daemon.process = subprocess.Popen(daemon.command(), stdout=log, stderr=log,
                                              env={**os.environ, "NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"})

        def next_but(*known):
            while True:
                word = manager.recv(200)
                if word not in known:
                    return word

        assert manager.recv(200) == b"READY=1"
        assert [manager.recv(200) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        daemon.signal(signal.SIGHUP)
        assert next_but(b"WATCHDOG=1").startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert next_but(b"WATCHDOG=1") == b"READY=1"
        daemon.signal(signal.SIGTERM)
        assert next_but(b"WATCHDOG=1") == b"STOPPING=1"
        assert daemon.wait() == 0
