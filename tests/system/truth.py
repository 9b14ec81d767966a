# SPDX-License-Identifier: GPL-3.0-or-later
"""The meaning of adds and removes, written a second time and as plainly as possible, to hold the daemon against."""
from collections import Counter, defaultdict

from burgeon_test import DAY, T0, US, add, remove


def counts(events):
    """{(model, relation): children} after a set of adds and removes, whatever order they are in.

    Times count in whole seconds. A child belongs to a model and relation from its earliest add; a remove takes it from every
    relation of the model, and only a later add brings it back; in the same second the remove wins.
    """
    facts = defaultdict(list)
    relations = defaultdict(set)
    for event in events:
        second = event["at"] // US
        if event["t"] == "add":
            relation = event.get("relation", "finetune")
            relations[event["model"], event["child"]].add(relation)
            facts[event["model"], event["child"], relation].append((second, 0))
    for event in events:
        if event["t"] == "remove":
            for relation in relations[event["model"], event["child"]]:
                facts[event["model"], event["child"], relation].append((event["at"] // US, 1))
    total = Counter()
    for (model, _, relation), history in facts.items():
        total[model, relation] += max(history)[1] == 0  # the last word: a remove sorts after an add of its second
    return {key: count for key, count in total.items() if count}


def ecosystem(rng, n_models=200, n_events=100_000, duplicates=0.1, removals=0.05, returns=0.01):
    """Adds over two years in a long-tailed ecosystem, with removals, returns, and duplicates; in random order."""
    weights = [1 / (rank + 1) for rank in range(n_models)]
    events = []
    n_extra = int(n_events * (duplicates + removals + returns))
    for number, rank in enumerate(rng.choices(range(n_models), weights, k=n_events - n_extra)):
        at = T0 + rng.randrange(600 * DAY)
        relation = rng.choice(["finetune", "adapter", "quantized"])
        events.append(add(f"org{rank % 17}/model-{rank}", f"author{rng.randrange(5000)}/child-{number}", at, relation=relation))
    firsts = list(events)
    for event in rng.sample(firsts, int(n_events * removals)):
        gone = remove(event["model"], event["child"], event["at"] + rng.randrange(1, 30 * DAY))
        events.append(gone)
        if rng.random() < returns / removals:
            events.append({**event, "at": gone["at"] + rng.randrange(1, 10 * DAY)})
    while len(events) < n_events:
        events.append(dict(rng.choice(firsts)))
    rng.shuffle(events)
    return events
