# SPDX-License-Identifier: GPL-3.0-or-later
"""burgeond --replay: deterministic to the byte, and what it says of histories whose truth is known."""
import gzip
import json
import pathlib
import random
import sys

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from recorded import assert_sound, draw_models, json_lines, last_of_each, stamp, table, write_history  # noqa: E402

def replay(programs, files, out, *arguments, timeout=900):
    done = programs.replay(files, out, *arguments, timeout=timeout)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def ecosystem(programs, tmp_path_factory):
    """A year and a half of eighty models as `burgeon simulate` writes them."""
    eco = tmp_path_factory.mktemp("eco")
    done = programs.run(programs.burgeon, "simulate", "--out", eco, "--models", 80, "--days", 550, "--seed", 3)
    assert done.returncode == 0, done.stderr
    return eco


def outputs(directory):
    return {name: (directory / name).read_bytes() for name in ("forecasts.jsonl", "surges.jsonl", "report.json")}


def test_the_same_files_give_the_same_bytes_whatever_the_threads(programs, ecosystem, tmp_path):
    files = [ecosystem / "releases.csv", ecosystem / "events.csv"]
    for name, threads in (("one", 1), ("two", 2), ("again", 2)):
        replay(programs, files, tmp_path / name, "--threads", threads, "--every", "30d")
    assert outputs(tmp_path / "one") == outputs(tmp_path / "two") == outputs(tmp_path / "again")
    assert (tmp_path / "one" / "forecasts.jsonl").stat().st_size > 10_000


def test_renames_and_mergers_between_an_origin_and_midnight(programs, tmp_path):
    """Models that become part of another one hours after an origin: the forecast of the origin is there, under the old name,
    and the bytes are the same for any number of threads."""
    rng, day = random.Random(7), 86_400
    start = 1_672_531_200  # 2023-01-01T00:00:00Z
    events = []
    for n in range(8):
        events += [{"t": "add", "model": f"a/small-{n}", "child": f"x/first-{n}", "at": start + 9 * 3600}]
        events += [{"t": "add", "model": f"a/small-{n}", "child": f"x{i}/c-{n}-{i}", "at": start + 9 * 3600 + rng.randrange(1, 25 * day)}
                   for i in range(12)]
        events += [{"t": "move", "from": f"a/small-{n}", "to": "b/large", "at": start + 31 * day + 12 * 3600 + n}]
    events += [{"t": "add", "model": "b/large", "child": f"y{i % 90}/c{i}", "at": start + rng.randrange(60 * day)} for i in range(500)]
    events += [{"t": "remove", "model": "b/large", "child": f"y{i % 90}/c{i}", "at": start + rng.randrange(30 * day, 70 * day)}
               for i in range(40)]
    events += [{"t": "release", "model": f"a/small-{n}", "at": start + rng.randrange(9 * 3600)} for n in range(4)]
    events.sort(key=lambda event: event["at"])
    path = tmp_path / "events.jsonl"
    path.write_text("".join(json.dumps({**event, "at": event["at"] * 1_000_000}) + "\n" for event in events))
    for threads in (1, 2, 3):
        replay(programs, [path], tmp_path / str(threads), "--threads", threads, "--every", "1mo")
    assert outputs(tmp_path / "1") == outputs(tmp_path / "2") == outputs(tmp_path / "3")
    lines = json_lines(tmp_path / "1" / "forecasts.jsonl")
    assert {line["model"] for line in lines if line["origin"].startswith("2023-02-01")} >= {f"a/small-{n}" for n in range(8)}
    assert {line["model"] for line in lines if line["origin"] >= "2023-02-02"} == {"b/large"}


def test_compressed_files_and_another_order_of_files_change_nothing(programs, ecosystem, tmp_path):
    with open(ecosystem / "events.csv", "rb") as plain, gzip.open(tmp_path / "events.csv.gz", "wb") as packed:
        packed.write(plain.read())
    replay(programs, [ecosystem / "releases.csv", ecosystem / "events.csv"], tmp_path / "plain", "--every", "60d")
    replay(programs, [tmp_path / "events.csv.gz", ecosystem / "releases.csv"], tmp_path / "packed", "--every", "60d")
    assert outputs(tmp_path / "plain") == outputs(tmp_path / "packed")


def test_every_forecast_is_sound_and_at_the_origins_asked_for(programs, ecosystem, tmp_path):
    replay(programs, [ecosystem / "releases.csv", ecosystem / "events.csv"], tmp_path / "out", "--every", "30d", "--horizons", "30d,90d")
    lines = json_lines(tmp_path / "out" / "forecasts.jsonl")
    for line in lines:
        assert_sound(line)
    assert {line["horizon_days"] for line in lines} == {30, 90}
    counts = {row["model"]: int(row["count"]) for row in table(ecosystem / "params.csv")}
    assert set(last_of_each(lines)) >= {model for model, count in counts.items() if count}
    released = {row["model"]: row["released_at"] for row in table(ecosystem / "releases.csv")}
    from recorded import when
    for line in lines[:2000]:
        age = (when(line["origin"]) - when(released[line["model"]])).total_seconds() / 86400
        assert abs(age / 30 - round(age / 30)) < 1e-3, line


def test_nothing_of_the_future_is_used(programs, ecosystem, tmp_path):
    """Cutting the events at a day leaves every forecast made before it as it was."""
    rows = (ecosystem / "events.csv").read_text().splitlines(keepends=True)
    cut = stamp(300)
    (tmp_path / "events.csv").write_text(rows[0] + "".join(row for row in rows[1:] if row.rsplit(",", 1)[1].strip() < cut))
    replay(programs, [ecosystem / "releases.csv", ecosystem / "events.csv"], tmp_path / "all", "--every", "30d")
    replay(programs, [ecosystem / "releases.csv", tmp_path / "events.csv"], tmp_path / "cut", "--every", "30d")

    def before(path):
        return sorted(line for line in path.read_text().splitlines() if json.loads(line)["origin"] < stamp(290))

    assert before(tmp_path / "all" / "forecasts.jsonl") == before(tmp_path / "cut" / "forecasts.jsonl")
    assert len(before(tmp_path / "cut" / "forecasts.jsonl")) > 100


def test_bad_lines_are_named_and_skipped(programs, tmp_path):
    (tmp_path / "events.csv").write_text(
        "model,child,created_at\na/base,x/one,2024-01-05T00:00:00Z\njunk\na/base,x/two,yesterday\n"
        "a/base,x/three,2024-02-05T00:00:00Z\n")
    done = programs.replay([tmp_path / "events.csv"], tmp_path / "out")
    assert "events.csv:3" in done.stderr and "events.csv:4" in done.stderr
    (series,) = last_of_each(json_lines(tmp_path / "out" / "forecasts.jsonl")).values()
    assert series[0]["count"] == 2


@pytest.mark.parametrize("text", ["", "what,is,this\n1,2,3\n", "\x00\x01\x02\x03" * 100], ids=["empty", "other columns", "binary"])
def test_a_file_that_holds_no_events_is_refused_by_name(programs, tmp_path, text):
    (tmp_path / "strange.csv").write_text(text)
    done = programs.replay([tmp_path / "strange.csv"], tmp_path / "out")
    assert done.returncode in (65, 66) and "strange.csv" in done.stderr


def test_a_missing_file_is_named(programs, tmp_path):
    done = programs.replay([tmp_path / "nowhere.csv"], tmp_path / "out")
    assert done.returncode == 66 and "nowhere.csv" in done.stderr


@pytest.mark.slow
def test_parameters_are_recovered_as_often_as_their_intervals_promise(programs, tmp_path):
    """2,000 models drawn from the process itself: the 90 % intervals hold the truth 87-93 % of the time from 200 events on."""
    rng = np.random.default_rng(7)
    mean, covariance, m, age = [1.0, 2.0 + np.log(30.4375), 0.5], np.diag([1.0, 1.0, 0.5]), 3, 900
    models = draw_models(rng, 2000, mean, covariance, m, age)
    files = write_history(tmp_path / "history", models, age)
    replay(programs, files, tmp_path / "out", "--every", f"{age}d", "--horizons", "90d", "--m", m, "--dispersion", 1,
           "--forecaster", "process", "--surge-threshold", 0)
    last = last_of_each(json_lines(tmp_path / "out" / "forecasts.jsonl"))
    inside, n = np.zeros(3), 0
    for number, (theta, ages) in enumerate(models):
        if len(ages) < 200:
            continue
        found = last[f"sim/model-{number}"][0]["params"]
        estimate = np.array([np.log(found["lambda"]), found["mu"], np.log(found["sigma"])])
        spread = np.array([found["lambda_sd"], found["mu_sd"], found["sigma_sd"]])
        inside += np.abs(theta - estimate) <= 1.6449 * spread
        n += 1
    assert n > 300, "enough models with 200 events"
    coverage = inside / n
    print("coverage of lambda, mu, sigma:", coverage, "over", n, "models")
    assert np.all((coverage >= 0.87) & (coverage <= 0.93)), coverage


@pytest.mark.slow
def test_every_audit_finds_the_warm_optimum_again(programs, tmp_path):
    """A warm refit and the cold one that checks it agree to 1e-4 in every audit of a growing ecosystem."""
    rng = np.random.default_rng(11)
    models = draw_models(rng, 300, [1.0, 5.4, 0.3], np.diag([0.5, 0.5, 0.2]), 3, 700, n_max=3000)
    files = write_history(tmp_path / "history", models, 700)
    replay(programs, files, tmp_path / "out", "--every", "10d", "--horizons", "90d")
    audits = json.loads((tmp_path / "out" / "report.json").read_text())["refits"]
    assert audits["audits"] > 200
    assert audits["audits_apart"] == 0, audits
