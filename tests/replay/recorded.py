# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the replay share: histories with known truth, and readers of what a replay writes."""
import csv
import datetime
import json
import math

import numpy as np
from scipy.special import ndtr, ndtri

EPOCH = datetime.datetime(2023, 1, 1, tzinfo=datetime.timezone.utc)
QUANTILES = ("0.05", "0.1", "0.25", "0.5", "0.75", "0.9", "0.95")


def stamp(days):
    return (EPOCH + datetime.timedelta(seconds=int(days * 86400))).strftime("%Y-%m-%dT%H:%M:%SZ")


def when(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def births(rng, lam, mu, sigma, m, age):
    """One history of the reinforced process up to an age, exactly; ages of the children in days, rising.

    In the time s = lambda F(t) it is a pure birth process: with N there, the next one comes after an exponential wait of rate
    N + m. The history is the waits' sum below s(age), carried back through F.
    """
    end = lam * ndtr((math.log(age) - mu) / sigma)
    times, now, n = [], 0.0, 0
    while True:
        waits = rng.exponential(size=256) / (n + m + np.arange(256))
        s = now + np.cumsum(waits)
        times.append(s)
        now, n = s[-1], n + 256
        if now >= end:
            break
        if n > 30_000:
            return None
    s = np.concatenate(times)
    s = s[s < end]
    return np.exp(mu + sigma * ndtri(s / lam))


def draw_models(rng, n_models, mean, covariance, m, age, n_max=20_000):
    """Models from a prior on (ln lambda, mu, ln sigma), each with its history; one that grows beyond n_max is drawn again.

    Drawing again depends on what would have been observed alone, so what Bayes promises of the others stays true.
    """
    models = []
    while len(models) < n_models:
        theta = rng.multivariate_normal(mean, covariance)
        ages = births(rng, math.exp(theta[0]), theta[1], math.exp(theta[2]), m, age)
        if ages is not None and len(ages) <= n_max:
            models.append((theta, ages))
    return models


def write_history(directory, models, age):
    """releases.csv and events.csv; the last event of all is that of a witness that is as old as everything is observed."""
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / "releases.csv", "w", encoding="utf-8") as out:
        out.write("model,org,released_at\n")
        for number in range(len(models)):
            out.write(f"sim/model-{number},sim,{stamp(0)}\n")
        out.write(f"witness/witness,witness,{stamp(0)}\n")
    events = sorted((child_age, number, child) for number, (_, ages) in enumerate(models) for child, child_age in enumerate(ages))
    with open(directory / "events.csv", "w", encoding="utf-8") as out:
        out.write("model,child,created_at\n")
        for child_age, number, child in events:
            out.write(f"sim/model-{number},a{child}/c{number}-{child},{stamp(child_age)}\n")
        out.write(f"witness/witness,a/c,{stamp(age)}\n")
    return [directory / "releases.csv", directory / "events.csv"]


def json_lines(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def table(path):
    with open(path, encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def last_of_each(forecasts):
    """{model: the lines of its last origin}"""
    last = {}
    for line in forecasts:
        kept = last.setdefault(line["model"], [])
        if kept and kept[0]["origin"] != line["origin"]:
            kept.clear()
        kept.append(line)
    return last


def assert_sound(line):
    values = [line["q"][level] for level in QUANTILES]
    assert all(math.isfinite(value) for value in values + [line["mean"], line["count"]]), line
    assert values == sorted(values) and values[0] >= line["count"] and line["mean"] >= line["count"], line
    assert line["status"] in ("no_data", "warming", "weak", "ok", "surging", "stale_input"), line
