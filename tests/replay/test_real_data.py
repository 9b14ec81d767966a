# SPDX-License-Identifier: GPL-3.0-or-later
"""Real history, where it is present: every model gets an answer, and the paper's estimator is reproduced."""
import collections
import math
import pathlib
import sys

import numpy as np
import pytest
from scipy.special import ndtr

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from recorded import assert_sound, json_lines, last_of_each, table, when  # noqa: E402

pytestmark = pytest.mark.slow

START = (0.5, 2.0, 0.5)  # of the paper's fits: a row that still holds it was never fitted


def test_every_model_of_the_monthly_data_gets_a_finite_labelled_answer(programs, data, tmp_path):
    files = [data / "hf-monthly" / "releases.csv", data / "hf-monthly" / "tallies.csv"]
    for name, threads in (("one", 1), ("two", 2), ("again", 2)):
        done = programs.replay(files, tmp_path / name, "--threads", threads, timeout=900)
        assert done.returncode == 0, done.stderr
    for output in ("forecasts.jsonl", "surges.jsonl"):
        assert len({(tmp_path / name / output).read_bytes() for name in ("one", "two", "again")}) == 1, output
    lines = json_lines(tmp_path / "one" / "forecasts.jsonl")
    for line in lines:
        assert_sound(line)
    models = {row["model"] for row in table(files[0])}
    assert set(last_of_each(lines)) == models and len(models) == 2353


def test_every_model_of_the_events_gets_a_finite_labelled_answer(programs, data, tmp_path):
    files = [data / "hf-events" / "releases.csv", data / "hf-events" / "events.csv"]
    done = programs.replay(files, tmp_path / "out", timeout=900)
    assert done.returncode in (0, 65), done.stderr  # some bases in it are junk strings, refused by name
    lines = json_lines(tmp_path / "out" / "forecasts.jsonl")
    for line in lines:
        assert_sound(line)
    assert len(last_of_each(lines)) > 800


def curve(lam, mu, sigma, years):
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (np.log(years) - mu) / max(sigma, 1e-300)
    return np.expm1(np.minimum(lam * ndtr(z), 700))


def test_the_papers_estimator_is_reproduced(programs, data, tmp_path):
    monthly = data / "hf-monthly"
    done = programs.replay([monthly / "releases.csv", monthly / "tallies.csv"], tmp_path / "out", "--estimator", "least-squares", "--m", 1,
                           "--time-unit", "year", "--fits", tmp_path / "fits.csv", timeout=900)
    assert done.returncode == 0, done.stderr
    ours = {row["model"]: row for row in table(tmp_path / "fits.csv")}
    released = {row["model"]: when(row["released_at"]) for row in table(monthly / "releases.csv") if row["released_at"]}
    series = collections.defaultdict(list)
    for row in table(monthly / "tallies.csv"):
        series[row["model"]].append((when(row["to"]), int(row["count"])))
    worse, compared, agree, interior, wrong_sse = [], 0, 0, 0, []
    for row in table(monthly / "paper-fits.csv"):
        if row["model"] not in series or not row["lambda"]:
            continue
        name, paper = row["model"], tuple(float(row[key]) for key in ("lambda", "mu", "sigma"))
        if paper == START or not all(map(math.isfinite, paper)):
            continue
        ends, counts = zip(*sorted(series[name]))
        total = np.cumsum(counts)
        years = np.array([(end - released[name]).total_seconds() for end in ends]) / (365.25 * 86400)
        fit = ours[name]
        found = tuple(float(fit[key]) for key in ("lambda", "mu", "sigma"))
        sse, theirs = float(np.sum((curve(*found, years) - total) ** 2)), float(np.sum((curve(*paper, years) - total) ** 2))
        months = np.arange(1, len(total) + 1) / 12
        theirs = min(theirs, float(np.sum((curve(*paper, months) - total) ** 2)))
        compared += 1
        if float(fit["sse"]) > 1.001 * theirs + 1e-6:
            worse.append((name, float(fit["sse"]), theirs, fit["status"]))
        if abs(float(fit["sse"]) - sse) > 1e-3 * sse + 1e-3:
            wrong_sse.append((name, float(fit["sse"]), sse))
        if paper[1] > 0.01 and paper[0] < 50 and total[-1] > 0:
            interior += 1
            agree += all(abs(one - other) <= 1e-3 * abs(other) for one, other in zip(found, paper))
    print(f"{compared} compared, {len(worse)} worse: {worse[:20]}\n{agree} of {interior} interior solutions agree to 3 digits")
    assert compared > 500 and interior > 100
    assert not wrong_sse, wrong_sse[:10]
    assert len(worse) <= 0.01 * compared
    assert agree >= 0.95 * interior
