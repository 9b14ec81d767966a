# SPDX-License-Identifier: GPL-3.0-or-later
"""The burgeon command against a real daemon, as a person or a script uses it."""
import csv
import json
import re
import signal
import subprocess

import pytest

from burgeon_test import DAY, DEADLINE, T0, Running, add
from test_updates import history


def flags(daemon):
    return [text for door, endpoint in daemon.endpoints.items() for text in (f"--{door}", endpoint)]


@pytest.fixture
def burgeon(programs, daemon):
    """burgeon(COMMAND, ..) against this test's daemon."""
    def run(command, *arguments, **options):
        return programs.run(programs.burgeon, command, *flags(daemon), *arguments, **options)
    return run


@pytest.fixture
def eco(programs, tmp_path):
    done = programs.run(programs.burgeon, "simulate", "--out", tmp_path / "eco", "--models", 40, "--days", 200, "--seed", 5)
    assert done.returncode == 0, done.stderr
    return tmp_path / "eco"


def rows(path):
    with open(path, encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def truth(eco):
    return {row["model"]: int(row["count"]) for row in rows(eco / "params.csv") if int(row["count"])}


@pytest.mark.parametrize("command", ["", "send", "replay", "watch", "top", "show", "plot", "milestone", "why", "surges", "list",
                                     "status", "simulate"])
def test_help_begins_with_examples(programs, command):
    done = programs.run(programs.burgeon, *([command] if command else []), "--help")
    assert done.returncode == 0 and "burgeon" in done.stdout and not done.stderr
    if command:
        assert "Examples" in done.stdout


def test_version(programs):
    done = programs.run(programs.burgeon, "--version")
    assert done.returncode == 0 and re.search(r"\d+\.\d+\.\d+", done.stdout)


@pytest.mark.parametrize("arguments", [["nonsense"], ["list", "--no-such-flag"], ["show"], ["list", "--limit", "many"], []])
def test_wrong_usage_is_64_and_points_to_the_help(programs, arguments):
    done = programs.run(programs.burgeon, *arguments)
    assert done.returncode == 64 and "--help" in done.stderr and not done.stdout


def test_a_misspelt_command_is_recognised(programs):
    assert "watch" in programs.run(programs.burgeon, "wacth").stderr


def test_no_daemon_is_69(programs, tmp_path):
    nobody = f"ipc://{tmp_path}/nobody"
    done = programs.run(programs.burgeon, "status", "--query", nobody)
    assert done.returncode == 69 and nobody in done.stderr


def test_send_counts_exactly_and_twice_is_once(burgeon, daemon, eco):
    for _ in range(2):
        done = burgeon("send", eco / "releases.csv", eco / "events.csv")
        assert done.returncode == 0, done.stderr
    assert {model: count for (model, _), count in daemon.counts().items() if count} == truth(eco)


def test_send_reads_a_pipe_of_json_lines(burgeon, daemon):
    lines = "".join(json.dumps(event) + "\n" for event in history("a/base", 10))
    done = burgeon("send", "-", input=lines)
    assert done.returncode == 0, done.stderr
    assert daemon.counts() == {("a/base", "finetune"): 10}


def test_send_says_which_line_is_wrong_and_ends_with_65(burgeon, daemon, tmp_path):
    (tmp_path / "events.csv").write_text("model,child,created_at\na/base,x/one,2024-01-01\nno slash,x/two,2024-01-02\n")
    done = burgeon("send", tmp_path / "events.csv")
    assert done.returncode == 65 and "3" in done.stderr
    assert daemon.counts() == {("a/base", "finetune"): 1}, "the rest stands"


def test_send_of_a_missing_file_is_66(burgeon):
    done = burgeon("send", "/nowhere/events.csv")
    assert done.returncode == 66 and "/nowhere/events.csv" in done.stderr


def test_replay_ends_in_the_same_counts(burgeon, daemon, eco):
    done = burgeon("replay", "--speed", "max", eco / "releases.csv", eco / "events.csv")
    assert done.returncode == 0, done.stderr
    assert {model: count for (model, _), count in daemon.counts().items() if count} == truth(eco)


def test_send_survives_a_restart_of_the_daemon(programs, daemon, eco):
    """The daemon is killed in the middle and comes back: the feed resends, and the counts are the truth."""
    with Running(programs.burgeon, "send", *flags(daemon), "--rate", 2000, eco / "releases.csv", eco / "events.csv") as sending:
        subscriber = daemon.subscriber("heartbeat/")
        subscriber.wait(lambda topic, message: message["events"] > 100)
        daemon.kill()
        daemon.start()
        assert sending.finish(120) == 0, sending.errors
    assert {model: count for (model, _), count in daemon.counts().items() if count} == truth(eco)


def test_list_and_show(burgeon, daemon):
    feed = daemon.feed()
    for number in range(1, 6):
        feed.submit(history(f"org/model-{number}", 10 * number))
    daemon.settled()
    done = burgeon("list")
    assert done.returncode == 0 and done.stdout.index("org/model-5") < done.stdout.index("org/model-1")
    lines = [json.loads(line) for line in burgeon("list", "--json", "--limit", 2).stdout.splitlines()]
    assert [line["count"] for line in lines] == [50, 40]
    shown = burgeon("show", "org/model-5")
    assert shown.returncode == 0 and "50" in shown.stdout and "org/model-5" in shown.stdout
    assert json.loads(burgeon("show", "org/model-5", "--json").stdout.splitlines()[0])
    assert burgeon("show", "org/none").returncode != 0


def test_status(burgeon):
    done = burgeon("status")
    assert done.returncode == 0 and "ok" in done.stdout
    assert json.loads(burgeon("status", "--json").stdout.splitlines()[0])


def test_watch_prints_the_last_value_and_then_updates(programs, daemon):
    feed = daemon.feed()
    feed.submit(history("a/base", 30))
    daemon.settled()
    with Running(programs.burgeon, "watch", *flags(daemon), "forecast/a/base/", "--json") as watching:
        def next_count():
            while True:
                message = json.loads(watching.line())
                message = message.get("forecast", message)
                if "count" in message:
                    return message["count"]
        assert next_count() == 30
        feed.submit([add("a/base", "new/child", T0 + 201 * DAY)])
        assert next_count() == 31
        watching.process.send_signal(signal.SIGINT)
        assert watching.finish() in (0, 130)


def test_watch_ends_after_a_count(burgeon, daemon):
    daemon.feed().submit(history("a/base", 30))
    daemon.settled()
    done = burgeon("watch", "forecast/a/base/", "--count", 1)
    assert done.returncode == 0 and "a/base" in done.stdout


def test_top_without_a_terminal_is_a_table(burgeon, daemon):
    daemon.feed().submit(history("a/base", 30))
    daemon.settled()
    done = burgeon("top", "--plain", "--count", 1)
    assert done.returncode == 0 and "a/base" in done.stdout and "30" in done.stdout
    assert "\x1b" not in done.stdout


def test_output_into_a_closed_pipe_is_no_disaster(programs, daemon):
    daemon.feed().submit(history("a/base", 30))
    text = " ".join([str(programs.burgeon), "list", *flags(daemon)]) + " | true"
    done = subprocess.run(["/bin/bash", "-c", text], capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0 and "abort" not in done.stderr.lower()


def test_simulate_is_the_same_for_the_same_seed_and_holds_the_truth(programs, eco, tmp_path):
    done = programs.run(programs.burgeon, "simulate", "--out", tmp_path / "again", "--models", 40, "--days", 200, "--seed", 5)
    assert done.returncode == 0
    for name in ("events.csv", "releases.csv", "truth.csv", "params.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (eco / name).read_bytes()
    events = rows(eco / "events.csv")
    assert len(events) == len({(row["model"], row["child"]) for row in events}) == sum(truth(eco).values())


@pytest.mark.slow
def test_top_on_a_terminal(programs, daemon, tmp_path):
    """In a real terminal (tmux): it draws, sorts at a key, and gives the terminal back."""
    for number in range(1, 6):
        daemon.feed(f"feed{number}").submit(history(f"org/model-{number}", 10 * number))
    daemon.settled()
    socket = str(tmp_path / "tmux")

    def tmux(*arguments):
        return subprocess.run(["tmux", "-S", socket, "-u", *arguments], capture_output=True, text=True, timeout=DEADLINE, check=True).stdout

    def screen_with(text):
        import time
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            screen = tmux("capture-pane", "-p", "-t", "t")
            if text in screen:
                return screen
            tmux("wait-for", "-S", "turn")  # gives the server its turn; nothing is timed
        raise AssertionError(f"{text!r} did not appear:\n{screen}")

    command = " ".join([str(programs.burgeon), "top", *flags(daemon)])
    tmux("-f", "/dev/null", "new-session", "-d", "-s", "t", "-x", "120", "-y", "30", "/bin/sh")
    try:
        tmux("send-keys", "-t", "t", f"{command}; echo status $?", "Enter")
        screen = screen_with("org/model-5")
        assert screen.index("org/model-5") < screen.index("org/model-1")
        tmux("send-keys", "-t", "t", "q")
        assert "status 0" in screen_with("status 0")
    finally:
        tmux("kill-server")
