# SPDX-License-Identifier: GPL-3.0-or-later
"""Organisations, the ecosystem, other relations than fine-tunes, and the figures."""
import csv
import datetime
import json
import xml.etree.ElementTree

import numpy
import pytest

from burgeon_test import DAY, T0, US, add, tally
from test_command import flags

UTC = datetime.timezone.utc


def release(model, at):
    return {"t": "release", "model": model, "at": at}


@pytest.fixture
def hub(daemon):
    """Three organisations of unlike size; gamma's models never had a child, delta has adapters only."""
    feed = daemon.feed()
    feed.submit([release(f"{org}/m{i}", T0) for org, n in (("alpha", 4), ("beta", 8), ("gamma", 3)) for i in range(n)])
    for i, n in enumerate((120, 30, 10, 0)):
        feed.submit([add(f"alpha/m{i}", f"who{k % 13}/alpha-{i}-{k}", T0 + (1 + 2 * k) * DAY) for k in range(n)])
    for i in range(5):
        feed.submit([add(f"beta/m{i}", f"who{k % 13}/beta-{i}-{k}", T0 + (10 + 9 * k) * DAY) for k in range(8 + i)])
    feed.submit([add("delta/m0", f"who{k}/delta-{k}", T0 + k * DAY, relation="adapter", release=T0) for k in range(1, 25)])
    feed.submit([{"t": "alive", "at": T0 + 400 * DAY}])
    daemon.settled()
    daemon.feed_used = feed
    return daemon


def spread_rises(spread):
    values = [spread[key] for key in ("q10", "q25", "q50", "q75", "q90")]
    return values == sorted(values)


# ---- queries ----------------------------------------------------------------------------------------------------------------


def test_an_organisation_is_the_sum_of_its_models(hub):
    reply = hub.query("org", target="alpha")
    (org,) = reply["orgs"]
    models = hub.query("list", prefix="alpha/", limit=100)["series"]
    assert org["children"] == sum(model["count"] for model in models) == 160
    assert (org["models"], org["with_children"]) == (4, 3)
    assert org["largest"] == "alpha/m0" and org["largest_count"] == 120
    assert org["new_30d"] == sum(model.get("new_30d", 0) for model in models)
    assert [round(age["days"] / 30.4375) for age in org["ages"]] == [2, 6, 12]
    two, six, twelve = org["ages"]
    assert (two["n"], six["n"], twelve["n"]) == (4, 4, 4)
    assert two["count"]["mean"] == pytest.approx((30 + 30 + 10 + 0) / 4)  # days 1, 3, .. 59 are over at 60.875
    for age in org["ages"]:
        assert spread_rises(age["count"]) and spread_rises(age["expected"])
        assert 0 <= age["weight"] < 1
    assert org["ok"]["n"] + org["weak"]["n"] == 3


def test_by_a_model_of_it(hub):
    assert hub.query("org", model="beta/m3")["orgs"][0]["org"] == "beta"


def test_a_stranger_is_not_found(hub):
    assert hub.query("org", target="nobody")["error"] == "not_found"
    assert hub.query("ecosystem", relation="merge")["error"] == "not_found"


def test_organisations_in_order(hub):
    reply = hub.query("org")
    assert [org["org"] for org in reply["orgs"]] == ["alpha", "beta", "delta", "gamma"]
    assert reply["total"] == 4
    assert [org["org"] for org in hub.query("org", sort="name", offset=1, limit=2)["orgs"]] == ["beta", "delta"]
    assert [org["org"] for org in hub.query("org", relation="adapter")["orgs"]] == ["delta"]


def test_ecosystem(hub):
    everything = hub.query("ecosystem")["ecosystem"]
    counts = sorted(hub.counts().get((f"{org}/m{i}", "finetune"), 0) for org, n in (("alpha", 4), ("beta", 8), ("gamma", 3), ("delta", 1))
                    for i in range(n))
    assert everything["models"] == len(counts) == 16
    assert everything["children"] == sum(counts)
    assert everything["orgs"] == 4
    # the Gini coefficient by its definition: half the mean absolute difference over the mean
    differences = numpy.abs(numpy.subtract.outer(counts, counts)).mean()
    assert everything["gini"] == pytest.approx(differences / 2 / numpy.mean(counts))
    largest = numpy.cumsum(counts[::-1])
    assert everything["n_80"] == int(numpy.searchsorted(largest, 0.8 * sum(counts)) + 1)
    assert everything["share_80"] == pytest.approx(everything["n_80"] / 16)
    assert [org["org"] for org in everything["top"]] == ["alpha", "beta"]
    lorenz = everything["lorenz"]
    assert len(lorenz) == 21 and lorenz[0] == 0 and lorenz[-1] == 1 and lorenz == sorted(lorenz)


def test_nothing_yet_is_said_so(daemon):
    assert daemon.query("ecosystem")["error"] == "not_found"
    assert daemon.query("org")["error"] == "not_found"


# ---- topics -----------------------------------------------------------------------------------------------------------------


def test_published_by_themselves_and_to_latecomers(hub):
    early = hub.subscriber("org/", "ecosystem/")
    _, org = early.wait(lambda topic, message: topic == "org/alpha/")
    _, everything = early.wait(lambda topic, message: topic == "ecosystem/" and message["relation"] == "finetune")
    assert org["epoch"] == everything["epoch"] and org["rev"] >= 1
    assert org["children"] == 160 and everything["children"] == hub.query("ecosystem")["ecosystem"]["children"]
    late = hub.subscriber("org/alpha/")
    _, last = late.wait(lambda topic, message: topic == "org/alpha/")
    assert (last["rev"], last["children"], last["seq"]) == (org["rev"], org["children"], org["seq"])


def test_a_change_is_a_new_revision(hub):
    subscriber = hub.subscriber("org/beta/")
    _, before = subscriber.wait(lambda topic, message: topic == "org/beta/")
    hub.feed_used.submit([add("beta/m7", f"new{k}/child-{k}", T0 + 400 * DAY + (k + 1) * 600 * US) for k in range(20)])  # over three hours
    _, after = subscriber.wait(lambda topic, message: topic == "org/beta/" and message["children"] == before["children"] + 20)
    assert after["prev_rev"] >= before["rev"] and after["rev"] == after["prev_rev"] + 1
    assert after["as_of"] > before["as_of"] and after["seq"] > before["seq"]
    assert not subscriber.lost


def test_the_command_tells_the_same(hub, programs):
    def run(*arguments):
        done = programs.run(programs.burgeon, *arguments, *flags(hub))
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert json.loads(run("org", "alpha", "--json"))["children"] == 160
    orgs = [json.loads(line) for line in run("orgs", "--json").splitlines()]
    assert [org["org"] for org in orgs] == ["alpha", "beta", "delta", "gamma"]
    assert json.loads(run("ecosystem", "--json"))["orgs"] == 4
    assert "alpha/m0 with 120" in run("org", "alpha")
    assert "Gini" in run("ecosystem") and "delta" in run("orgs", "--relation", "adapter")
    lines = run("watch", "org/alpha/", "ecosystem/", "--count", "2", "--json").splitlines()
    assert {"gini" in line for line in lines} == {True, False}
    assert programs.run(programs.burgeon, "org", "nobody", *flags(hub)).returncode == 66


# ---- other relations --------------------------------------------------------------------------------------------------------


def test_every_relation_is_a_series_of_its_own(daemon):
    feed = daemon.feed()
    feed.submit([release("alpha/m", T0)])
    for relation, n in (("finetune", 40), ("adapter", 30), ("quantized", 20), ("merge", 10)):
        feed.submit([add("alpha/m", f"who{k}/{relation}-{k}", T0 + (k + 1) * 3 * DAY, relation=relation) for k in range(n)])
    feed.submit([tally("alpha/m", T0 + k * DAY, T0 + (k + 1) * DAY, 50, relation="download") for k in range(120)])
    daemon.settled()
    for relation, n in (("finetune", 40), ("adapter", 30), ("quantized", 20), ("merge", 10), ("download", 6000)):
        (listed,) = daemon.query("list", relation=relation)["series"]
        assert (listed["relation"], listed["count"]) == (relation, n)
        (forecast,) = daemon.query("forecast", model="alpha/m", relation=relation)["forecasts"]
        assert (forecast["relation"], forecast["count"]) == (relation, n)
        assert [horizon["q50"] for horizon in forecast["horizons"]] == sorted(horizon["q50"] for horizon in forecast["horizons"])
        counts = daemon.query("history", model="alpha/m", relation=relation)["history"]
        assert counts["relation"] == relation and counts["before"] + sum(counts["counts"]) == n
        assert daemon.query("org", target="alpha", relation=relation)["orgs"][0]["children"] == n


def test_replay_keeps_relations_apart(programs, tmp_path):
    adds = tmp_path / "events.csv"
    adds.write_text("model,child,created_at,relation\n" + "".join(
        f"alpha/m,who{k}/{relation}-{k},2023-{1 + k // 28:02}-{1 + k % 28:02}T00:00:00Z,{relation}\n"
        for relation, n in (("finetune", 60), ("adapter", 25)) for k in range(n)))
    done = programs.replay([adds], tmp_path / "out", "--horizons", "30d", "--fits", tmp_path / "fits.csv", "--relation", "adapter")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in open(tmp_path / "out" / "forecasts.jsonl", encoding="utf-8")]
    last = {line["relation"]: line["count"] for line in lines}
    assert last == {"finetune": 60, "adapter": 25}
    fits = {}
    for relation in ("adapter", "finetune", "merge"):
        done = programs.run(programs.burgeond, "--replay", adds, "--fits", tmp_path / "fits.csv", "--relation", relation)
        assert done.returncode == 0, done.stderr
        with open(tmp_path / "fits.csv", encoding="utf-8", newline="") as table:
            fits[relation] = [row["lambda"] for row in csv.DictReader(table)]
    assert len(fits["adapter"]) == len(fits["finetune"]) == 1 and not fits["merge"]
    assert fits["adapter"] != fits["finetune"]
    done = programs.run(programs.burgeond, "--replay", adds, "--fits", tmp_path / "fits.csv", "--relation", "cousin")
    assert done.returncode == 64 and "cousin" in done.stderr


def simulated_downloads(directory, seed, n_models, n_days):
    """Daily downloads: a rise and decay by age, a slowly wandering rate, a weekly rhythm, more than Poisson noise.

    Return: {model: (day of release, cumulative counts by day)}, and the day 0.
    """
    random, start, truth, rows = numpy.random.default_rng(seed), datetime.datetime(2024, 1, 1, tzinfo=UTC), {}, []
    weekdays = (1, 1.02, 1.03, 1.02, 0.98, 0.8, 0.78)
    with open(directory / "releases.csv", "w", encoding="utf-8") as releases:
        releases.write("model,released_at\n")
        for number in range(n_models):
            model, born = f"org{number % 12}/model-{number:03}", int(random.integers(0, 120))
            level, mu, sigma, tail = numpy.exp(random.normal(4.5, 1.8)), random.normal(3.2, 0.7), random.uniform(0.7, 1.4), random.uniform(0.05, 0.5)
            wander, total, cumulative = 0.0, 0, []
            releases.write(f"{model},{(start + datetime.timedelta(days=born)).isoformat()}\n")
            for day in range(born, n_days):
                wander = 0.97 * wander + random.normal(0, 0.08)
                shape = numpy.exp(-(numpy.log(day - born + 0.5) - mu) ** 2 / 2 / sigma**2) + tail
                rate = level * shape * numpy.exp(wander) * weekdays[(start + datetime.timedelta(days=day)).weekday()]
                count = int(random.poisson(rate * random.gamma(50, 1 / 50)))
                total += count
                cumulative.append(total)
                rows.append((day, model, count))
            truth[model] = born, cumulative
    with open(directory / "downloads.csv", "w", encoding="utf-8") as downloads:
        downloads.write("model,from,to,count,relation\n")
        for day, model, count in sorted(rows):
            begin = start + datetime.timedelta(days=day)
            downloads.write(f"{model},{begin.isoformat()},{(begin + datetime.timedelta(days=1)).isoformat()},{count},download\n")
    return truth, start


@pytest.mark.slow
def test_daily_downloads_are_forecast_with_honest_intervals(programs, tmp_path):
    """After half a year, 80 % intervals over 1, 7 and 30 days hold about 80 %: on daily tallies, started from nothing."""
    held = {1: [], 7: [], 30: []}
    for seed in (1, 2):
        directory = tmp_path / str(seed)
        directory.mkdir()
        truth, start = simulated_downloads(directory, seed, 100, 365)
        done = programs.replay([directory / "releases.csv", directory / "downloads.csv"], directory / "out", "--every", "7d",
                               "--horizons", "1d,7d,30d")
        assert done.returncode == 0, done.stderr
        for text in open(directory / "out" / "forecasts.jsonl", encoding="utf-8"):
            line = json.loads(text)
            born, cumulative = truth[line["model"]]
            day = (datetime.datetime.fromisoformat(line["origin"].replace("Z", "+00:00")) - start).days
            horizon = int(line["horizon_days"])
            assert line["relation"] == "download" and line["count"] == cumulative[day - born - 1]
            if day >= 180 and day - born + horizon <= len(cumulative):
                held[horizon].append(line["q"]["0.1"] <= cumulative[day - born + horizon - 1] <= line["q"]["0.9"])
    for horizon, inside in held.items():
        assert len(inside) > 1000
        assert 0.74 <= numpy.mean(inside) <= 0.90, (horizon, numpy.mean(inside))


# ---- figures ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn(programs, tmp_path_factory):
    directory = tmp_path_factory.mktemp("figures")
    done = programs.run(programs.burgeon, "simulate", "--out", directory / "eco", "--models", 120, "--days", 500, "--seed", 3)
    assert done.returncode == 0, done.stderr
    done = programs.run(programs.burgeon, "figures", directory / "eco" / "releases.csv", directory / "eco" / "events.csv", "-o",
                        directory / "out", "--png", "--top", 12, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(directory / "out" / f"figure-{n}.{kind}") for kind in ("svg", "png") for n in range(1, 6)]
    return directory


def test_figures_are_drawings(drawn):
    for number in range(1, 6):
        root = xml.etree.ElementTree.parse(drawn / "out" / f"figure-{number}.svg").getroot()
        assert root.tag.endswith("svg")
        assert sum(1 for _ in root.iter("{http://www.w3.org/2000/svg}path")) > 50
        png = (drawn / "out" / f"figure-{number}.png").read_bytes()
        assert png[:8] == b"\x89PNG\r\n\x1a\n" and png[-8:-4] == b"IEND"


def test_figures_are_the_same_again(drawn, programs):
    done = programs.run(programs.burgeon, "figures", drawn / "eco" / "releases.csv", drawn / "eco" / "events.csv", "-o", drawn / "again",
                        "--top", 12, timeout=300)
    assert done.returncode == 0, done.stderr
    for number in (1, 4):
        assert (drawn / "again" / f"figure-{number}.svg").read_bytes() == (drawn / "out" / f"figure-{number}.svg").read_bytes()


def test_figures_of_the_likelihood(drawn, programs):
    done = programs.run(programs.burgeon, "figures", drawn / "eco" / "releases.csv", drawn / "eco" / "events.csv", "-o", drawn / "map",
                        "--estimator", "likelihood", "--json", timeout=300)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["figure"] for line in done.stdout.splitlines()] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("arguments, status, message", [
    ([], 64, "which files?"),
    (["-o", "x", "-"], 64, "read twice"),
    (["events.csv"], 64, "name a directory"),
    (["-o", "x", "events.csv", "--relation", "cousin"], 64, "cousin"),
    (["-o", "x", "events.csv", "--estimator", "guess"], 64, "guess"),
    (["-o", "x", "nothing.csv"], 66, "nothing.csv"),
])
def test_figures_say_what_is_wrong(programs, tmp_path, arguments, status, message):
    done = programs.run(programs.burgeon, "figures", *arguments, cwd=tmp_path)
    assert done.returncode == status and message in done.stderr and not done.stdout


def test_figures_need_the_daemon(drawn, programs, tmp_path):
    done = programs.run(programs.burgeon, "figures", drawn / "eco" / "events.csv", "-o", tmp_path / "x", "--burgeond", tmp_path / "none")
    assert done.returncode == 69 and "--burgeond" in done.stderr


def test_figures_of_what_is_not_in_the_files(drawn, programs, tmp_path):
    done = programs.run(programs.burgeon, "figures", drawn / "eco" / "events.csv", "-o", tmp_path / "x", "--relation", "merge")
    assert done.returncode == 65 and "merge" in done.stderr and not (tmp_path / "x").exists()


def test_figures_of_one_lonely_child(programs, tmp_path):
    (tmp_path / "events.csv").write_text("model,child,created_at\na/b,c/d,2024-05-05T00:00:00Z\n")
    done = programs.run(programs.burgeon, "figures", tmp_path / "events.csv", "-o", tmp_path / "x", "--least", 1)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "x").iterdir())) == 5


