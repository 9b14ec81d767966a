# SPDX-License-Identifier: GPL-3.0-or-later
"""The submit door: acknowledged means durable; counted exactly, whatever the order, the repetitions and the crashes."""
import threading

import pytest

import truth
from burgeon_test import DAY, T0, US, Feed, add, remove, tally


def test_a_batch_is_acknowledged_with_what_became_of_it(daemon):
    feed = daemon.feed()
    ack = feed.submit([add("a/base", "x/one", T0), add("a/base", "x/two", T0 + US), add("a/base", "x/one", T0)])
    assert (ack["accepted"], ack["duplicates"], ack["rejected"]) == (2, 1, 0)
    assert ack["last_seq"] == 1 and ack["source"] == "test" and ack["credit"] > 0
    assert daemon.counts() == {("a/base", "finetune"): 2}


def test_sending_a_batch_again_changes_nothing(daemon):
    feed = daemon.feed()
    batch = [add("a/base", f"x/{number}", T0 + number * US) for number in range(100)]
    feed.submit(batch)
    feed.seq = 0
    again = feed.submit(batch)
    assert again["last_seq"] == 1 and again["accepted"] == 0
    feed.seq = 1
    assert feed.submit(batch)["duplicates"] == 100
    assert daemon.counts() == {("a/base", "finetune"): 100}


def test_seq_0_asks_where_the_source_was(daemon):
    feed = daemon.feed("hub")
    for _ in range(3):
        feed.submit([])
    door = daemon.door("submit")
    assert door.ask({"v": 1, "source": "hub", "seq": 0, "events": []})["last_seq"] == 3
    assert door.ask({"v": 1, "source": "never heard of", "seq": 0, "events": []})["last_seq"] == 0


def test_order_duplicates_and_removals_end_in_exactly_the_truth(daemon, rng):
    events = truth.ecosystem(rng, n_events=100_000)
    acks = daemon.feed().submit_all(events)
    assert sum(ack["accepted"] + ack["duplicates"] for ack in acks) == len(events)
    assert sum(ack["duplicates"] for ack in acks) > 5000, "the events did hold duplicates"
    counts = {key: count for key, count in daemon.counts().items() if count}
    assert counts == truth.counts(events)


def test_two_feeds_at_once_count_a_child_once(daemon, rng):
    events = truth.ecosystem(rng, n_models=20, n_events=10_000)
    feeds = [daemon.feed("one"), daemon.feed("two")]
    shuffled = [events, rng.sample(events, len(events))]
    threads = [threading.Thread(target=Feed.submit_all, args=(feed, order)) for feed, order in zip(feeds, shuffled)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not feeds[0].unacknowledged and not feeds[1].unacknowledged
    assert {key: count for key, count in daemon.counts().items() if count} == truth.counts(events)


def test_a_tally_counts_and_its_events_are_part_of_it(daemon):
    daemon.feed().submit([
        {"t": "release", "model": "a/base", "at": T0},
        tally("a/base", T0, T0 + 30 * DAY, 50),
        tally("a/base", T0 + 30 * DAY, T0 + 60 * DAY, 7),
        add("a/base", "x/inside", T0 + 3 * DAY),
        add("a/base", "x/after", T0 + 61 * DAY),
    ])
    assert daemon.counts() == {("a/base", "finetune"): 58}


def test_an_overlapping_tally_is_refused_and_the_same_interval_corrected(daemon):
    feed = daemon.feed()
    feed.submit([tally("a/base", T0, T0 + 30 * DAY, 50)])
    ack = feed.submit([tally("a/base", T0 + 10 * DAY, T0 + 40 * DAY, 5)])
    assert ack["rejections"][0]["reason"] == "overlap"
    feed.submit([tally("a/base", T0, T0 + 30 * DAY, 60)])
    assert daemon.counts() == {("a/base", "finetune"): 60}


def test_a_renamed_model_keeps_its_children_and_answers_to_both_names(daemon):
    feed = daemon.feed()
    feed.submit([add("old/name", "x/one", T0), add("old/name", "x/two", T0 + DAY)])
    feed.submit([{"t": "move", "from": "old/name", "to": "new/name", "at": T0 + 2 * DAY}])
    feed.submit([add("old/name", "x/three", T0 + 3 * DAY), add("new/name", "x/two", T0 + DAY)])
    assert daemon.counts() == {("new/name", "finetune"): 3}
    assert daemon.query("get", model="old/name")["series"][0]["model"] == "new/name"


def test_a_child_moved_to_another_parent_is_counted_there(daemon):
    feed = daemon.feed()
    feed.submit([add("a/one", "x/child", T0), add("a/one", "x/stays", T0), add("a/two", "x/other", T0)])
    feed.submit([{"t": "move", "from": "x/child", "to": "x/child", "at": T0 + DAY, "model": "a/one", "to_model": "a/two"}])
    assert daemon.counts() == {("a/one", "finetune"): 1, ("a/two", "finetune"): 2}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (2, 0, 1)])
def test_the_order_of_arrival_does_not_matter(daemon, order):
    facts = [add("a/base", "x/one", T0), remove("a/base", "x/one", T0 + DAY), add("a/base", "x/one", T0 + 2 * DAY)]
    feed = daemon.feed()
    for index in order:
        feed.submit([facts[index]])
    assert daemon.counts() == {("a/base", "finetune"): 1}
