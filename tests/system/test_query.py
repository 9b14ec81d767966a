# SPDX-License-Identifier: GPL-3.0-or-later
"""Queries: every kind, its bounds, and its typed errors."""
import pytest

from burgeon_test import DAY, T0, add, tally
from test_updates import assert_sound, history


@pytest.fixture(scope="module")
def loaded(programs, tmp_path_factory):
    """A daemon with thirty models of which model-K has K children, and one that has only tallies."""
    from burgeon_test import Daemon
    daemon = Daemon(programs, tmp_path_factory.mktemp("query") / "burgeond").start()
    feed = daemon.feed()
    for number in range(1, 31):
        feed.submit(history(f"org{number % 3}/model-{number:02}", number))
    feed.submit([tally("tallied/base", T0 + month * 30 * DAY, T0 + (month + 1) * 30 * DAY, 10 * month) for month in range(10)])
    daemon.settled()
    yield daemon
    assert daemon.stop() == 0, daemon.log()
    daemon.cleanup()


def test_info_says_who_it_is_and_where_its_doors_are(loaded):
    info = loaded.query("info")["info"]
    assert info["program"] == "burgeond" and info["version"]
    assert {door["name"]: door["endpoint"] for door in info["endpoints"]}.items() >= loaded.endpoints.items()
    assert info["horizons"] == [7, 30, 90, 180, 365] and info["estimator"] == "likelihood"


def test_get_one_model(loaded):
    reply = loaded.query("get", model="org1/model-10")
    (series,) = reply["series"]
    assert (series["count"], series["n_events"], series["relation"]) == (10, 10, "finetune")
    assert series["released_at"] == T0 and series["release_basis"] == "stated"
    assert series["first_at"] <= series["last_at"] == T0 + 200 * DAY


def test_get_of_an_unknown_model_is_not_found(loaded):
    assert loaded.query("get", model="no/body")["error"] == "not_found"
    assert loaded.query("history", model="no/body")["error"] == "not_found"
    assert loaded.query("forecast", model="no/body")["error"] == "not_found"


def test_list_by_count(loaded):
    reply = loaded.query("list", sort="count", limit=5)
    assert [series["count"] for series in reply["series"]] == [450, 30, 29, 28, 27]
    assert reply["total"] == 31
    assert [series["count"] for series in loaded.query("list", sort="count", limit=2, offset=3)["series"]] == [28, 27]


def test_list_by_name_below_a_prefix(loaded):
    reply = loaded.query("list", sort="name", prefix="org2/", limit=100)
    names = [series["model"] for series in reply["series"]]
    assert names == sorted(names) and len(names) == 10 == reply["total"]
    assert all(name.startswith("org2/") for name in names)


def test_list_beyond_the_end_is_empty(loaded):
    reply = loaded.query("list", offset=1000)
    assert not reply.get("series") and reply["total"] == 31


@pytest.mark.parametrize("sort", ["count", "growth", "forecast", "name", "released"])
def test_every_order_lists_every_model_once(loaded, sort):
    names = [series["model"] for series in loaded.query("list", sort=sort, limit=100)["series"]]
    assert len(names) == len(set(names)) == 31


def test_list_with_sparklines(loaded):
    (first, *_) = loaded.query("list", sort="count", limit=1, spark=24, spark_step=30 * DAY)["series"]
    assert len(first["spark"]) == 24 and all(isinstance(value, int) for value in first["spark"])


def test_history_adds_up_to_the_count(loaded):
    reply = loaded.query("history", model="org0/model-30", step=DAY)
    got = reply["history"]
    assert len(got["edges"]) == len(got["counts"]) + 1 and got["edges"] == sorted(got["edges"])
    assert got["before"] + sum(got["counts"]) == 30


def test_history_between_two_times(loaded):
    start, end = T0 + 50 * DAY, T0 + 100 * DAY
    got = loaded.query("history", model="org0/model-30", **{"from": start, "to": end, "step": 10 * DAY})["history"]
    exact = [T0 + (number + 1) * 200 * DAY // 30 for number in range(30)]
    assert got["before"] == sum(at <= start for at in exact)
    assert got["counts"] == [sum(low < at <= high for at in exact) for low, high in zip(got["edges"], got["edges"][1:])]


def test_forecast_at_horizons_of_ones_own(loaded):
    (forecast,) = loaded.query("forecast", model="org0/model-30", horizons=[1.0, 45.0, 500.0])["forecasts"]
    assert [horizon["days"] for horizon in forecast["horizons"]] == [1, 45, 500]
    assert_sound(forecast)


@pytest.mark.parametrize("horizons", [[1e9], [-5.0], [0.0], [30.0, 7.0], [float("nan")]])
def test_senseless_horizons_are_refused_or_answered_soundly(loaded, horizons):
    reply = loaded.door("query").ask({"v": 1, "id": 1, "q": "forecast", "model": "org0/model-30", "horizons": horizons})
    if "error" in reply:
        assert reply["error"] in ("range", "malformed") and reply["detail"]
    else:
        assert_sound(reply["forecasts"][0])


def test_a_forecast_from_tallies_alone(loaded):
    (forecast,) = loaded.query("forecast", model="tallied/base")["forecasts"]
    assert forecast["count"] == 450
    assert_sound(forecast)


def test_stats_count(loaded):
    stats = loaded.query("stats")["stats"]
    assert stats["models"] == stats["series"] == 31
    assert stats["children"] == sum(range(1, 31)), "tallies are counts, not children"
    assert stats["uptime"] > 0 and stats["rss_bytes"] > 1 << 20


def test_surges_answers_even_when_there_are_none(loaded):
    reply = loaded.query("surges")
    assert "error" not in reply and reply.get("surges", []) is not None


@pytest.mark.parametrize("bad", [{"q": "no such query"}, {"q": "get"}, {"q": "get", "model": "junk"}, {"q": "list", "limit": 0},
                                 {"q": "list", "sort": "beauty"}, {"q": "history", "model": "org0/model-30", "step": 1}, {}])
def test_a_wrong_request_gets_a_typed_error(loaded, bad):
    reply = loaded.door("query").ask({"v": 1, "id": 77, **bad})
    assert reply["error"] in ("malformed", "unsupported", "range", "not_found") and reply["detail"], reply
    assert reply["id"] in (77, 0)


def test_a_history_that_would_be_too_long_is_refused(loaded):
    reply = loaded.query("history", model="org0/model-30", **{"from": T0, "to": T0 + 400 * DAY, "step": 1_000_000})
    assert reply["error"] in ("range", "too_large") and reply["detail"]


def test_requests_may_be_pipelined(loaded):
    door = loaded.door("query")
    for number in range(1, 201):
        door.send({"v": 1, "id": number, "q": "get", "model": "org1/model-10"})
    assert sorted(door.receive()["id"] for _ in range(200)) == list(range(1, 201))


def test_a_req_socket_works_too(loaded):
    """The envelope of a REQ socket has an empty delimiter; many libraries offer nothing else."""
    import msgpack
    import zmq
    from burgeon_test import DEADLINE, unpack
    request = loaded.context.socket(zmq.REQ)
    request.linger = 0
    request.connect(loaded.endpoints["query"])
    request.send(msgpack.packb({"v": 1, "id": 5, "q": "info"}))
    assert request.poll(DEADLINE * 1000)
    assert unpack(request.recv())["id"] == 5
    request.close()


def test_counts_of_relations_are_kept_apart(daemon):
    daemon.feed().submit([add("a/base", "x/one", T0), add("a/base", "x/one", T0, relation="quantized"),
                          add("a/base", "x/two", T0, relation="adapter")])
    assert daemon.counts() == {("a/base", "finetune"): 1, ("a/base", "quantized"): 1, ("a/base", "adapter"): 1}
    (series,) = daemon.query("get", model="a/base", relation="adapter")["series"]
    assert series["relation"] == "adapter" and series["count"] == 1
