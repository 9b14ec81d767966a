#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole daemon, measured: how fast it loads, what a model and an event cost in memory, how soon an event is a forecast.

  daemon.py BUILD [load-models] [load-events] [latency]
"""
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))
from burgeon_test import DAY, T0, US, Daemon, Programs, add  # noqa: E402


def megabytes(n):
    return f"{n / 1e6:.0f} MB"


def counters(daemon):
    stats = daemon.query("stats", timeout=300)["stats"]
    return {entry["name"]: entry["n"] for entry in stats["counters"]}, stats


def load(programs, scratch, files, what):
    """Files through `burgeon send` into a new daemon, until it has nothing left to refit; then a restart on what it kept."""
    daemon = Daemon(programs, scratch / "burgeond").start()
    try:
        empty, begun = daemon.rss(), time.monotonic()
        done = programs.run(programs.burgeon, "send", "--submit", daemon.endpoints["submit"], "--quiet", *files, timeout=3600)
        sent = time.monotonic()
        assert done.returncode == 0, done.stderr
        daemon.settled(timeout=3600)
        settled = time.monotonic()
        counted, stats = counters(daemon)
        rss, models, children = daemon.rss(), stats["models"], stats["children"]
        refits = counted["refits_warm"] + counted["refits_cold"]
        print(f"{what}: {models:,} models, {children:,} children")
        print(f"  sent and durable in {sent - begun:.1f} s: {children / (sent - begun):,.0f} events/s, CSV to disk;"
              f" refitted {settled - sent:.1f} s later: {refits:,} refits")
        print(f"  resident {megabytes(rss)}: {(rss - empty) / models:,.0f} B a model, {(rss - empty) / children:,.0f} B an event;"
              f" on disk {(scratch / 'burgeond' / 'state.sqlite').stat().st_size / children:.0f} B an event")
        begun = time.monotonic()
        status = daemon.stop(timeout=300)
        stopped = time.monotonic()
        daemon.start(timeout=600)
        print(f"  stopped in {stopped - begun:.1f} s (exit status {status}), started again in {time.monotonic() - stopped:.1f} s,"
              f" resident then {megabytes(daemon.rss())}")
    finally:
        daemon.cleanup()


def load_models(programs, scratch):
    path = scratch / "models.csv"
    with open(path, "w", encoding="ascii") as out:
        out.write("model,child,created_at\n")
        out.writelines(f"org{number % 9973}/model-{number},author{number % 50021}/child-{number},2024-01-0{1 + number % 9}T"
                       f"{number % 24:02}:00:00Z\n" for number in range(1_000_000))
    load(programs, scratch, [path], "one event a model")


def load_events(programs, scratch):
    done = programs.run(programs.burgeon, "simulate", "--out", scratch / "eco", "--models", 100_000, "--events", 10_000_000, "--days", 730,
                        "--null", "--quiet", timeout=3600)
    assert done.returncode == 0, done.stderr
    load(programs, scratch, [scratch / "eco" / "releases.csv", scratch / "eco" / "events.csv"], "a large hub")


def latency(programs, scratch, n=4000, n_models=200):
    """Single events, one at a time, durable; from handing it to the socket to the forecast that counts it."""
    daemon = Daemon(programs, scratch / "burgeond").start()
    try:
        feed, subscriber = daemon.feed(), daemon.subscriber("forecast/")
        for which in range(n_models):
            feed.submit([{"t": "release", "model": f"org/model-{which}", "at": T0}] + [
                add(f"org/model-{which}", f"a{number}/c", T0 + (number + 1) * DAY) for number in range(50)])
        daemon.settled()
        waits, acks = [], []
        for number in range(n):
            model = f"org/model-{number % n_models}"
            begun = time.perf_counter()
            feed.send([add(model, f"b{number}/c", T0 + 60 * DAY + number * US)])
            feed.receive()
            acks.append(time.perf_counter() - begun)
            wanted = 50 + number // n_models + 1
            subscriber.wait(lambda topic, message: topic == f"forecast/{model}/" and message["count"] == wanted)
            waits.append(time.perf_counter() - begun)
        for name, values in (("acknowledged, durable", sorted(acks)), ("revised forecast received", sorted(waits))):
            print(f"{name}: median {1e3 * values[n // 2]:.2f} ms, 99 % {1e3 * values[n * 99 // 100]:.2f} ms,"
                  f" worst {1e3 * values[-1]:.1f} ms ({n} single events)")
    finally:
        daemon.cleanup()


BENCHMARKS = {"load-models": load_models, "load-events": load_events, "latency": latency}


def main(build, *names):
    programs = Programs(pathlib.Path(build))
    for name in names or BENCHMARKS:
        with tempfile.TemporaryDirectory(prefix="burgeon-bench-") as scratch:
            BENCHMARKS[name](programs, pathlib.Path(scratch))


if __name__ == "__main__":
    main(*sys.argv[1:])
