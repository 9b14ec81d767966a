/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/io/topics.h"

#include <stdlib.h>
#include <string.h>

static int compare(const BgTopic *topic, BgStr prefix)
{
        size_t n = topic->len < prefix.len ? topic->len : prefix.len;
        int order = n ? memcmp(topic->text, prefix.data, n) : 0;

        return order ? order : (topic->len > prefix.len) - (topic->len < prefix.len);
}

/* Index of the first entry that is not before `prefix`. */
static size_t lower_bound(const BgTopics *topics, BgStr prefix)
{
        size_t low = 0, high = topics->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (compare(topics->items[middle], prefix) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

BgTopic *bg_topics_find(const BgTopics *topics, BgStr prefix)
{
        size_t i = lower_bound(topics, prefix);

        return i < topics->n && !compare(topics->items[i], prefix) ? topics->items[i] : NULL;
}

static BgTopic *insert(BgTopics *topics, size_t at, BgStr prefix)
{
        BgTopic *topic;

        if (topics->n == topics->cap) {
                size_t cap = topics->cap ? 2 * topics->cap : 16;
                BgTopic **items = realloc(topics->items, cap * sizeof(*items));

                if (!items)
                        return NULL;
                topics->items = items;
                topics->cap = cap;
        }
        topic = calloc(1, sizeof(*topic) + prefix.len);
        if (!topic)
                return NULL;
        topic->len = prefix.len;
        if (prefix.len)
                memcpy(topic->text, prefix.data, prefix.len);
        memmove(topics->items + at + 1, topics->items + at, (topics->n - at) * sizeof(topics->items[0]));
        topics->items[at] = topic;
        topics->n++;
        topics->n_of_length[prefix.len]++;
        return topic;
}

BgTopic *bg_topics_add(BgTopics *topics, BgStr prefix)
{
        size_t at = lower_bound(topics, prefix);
        BgTopic *topic;

        if (prefix.len > BG_TOPICS_LENGTH_MAX)
                return NULL;
        if (at < topics->n && !compare(topics->items[at], prefix))
                return topics->items[at];
        topic = topics->n < BG_TOPICS_MAX ? insert(topics, at, prefix) : NULL;
        if (!topic)
                topics->n_untracked++; /* full, or no memory: better to send too much than to starve a subscriber */
        return topic;
}

void bg_topics_remove(BgTopics *topics, BgStr prefix)
{
        size_t at = lower_bound(topics, prefix);

        if (prefix.len > BG_TOPICS_LENGTH_MAX)
                return;
        if (at == topics->n || compare(topics->items[at], prefix)) {
                topics->n_untracked -= topics->n_untracked > 0;
                return;
        }
        topics->n_of_length[prefix.len]--;
        free(topics->items[at]);
        topics->n--;
        memmove(topics->items + at, topics->items + at + 1, (topics->n - at) * sizeof(topics->items[0]));
}

bool bg_topics_match(const BgTopics *topics, BgStr topic)
{
        if (topics->n_untracked)
                return true;
        for (size_t len = 0; len <= topic.len && len <= BG_TOPICS_LENGTH_MAX; len++)
                if (topics->n_of_length[len] && bg_topics_find(topics, (BgStr){ topic.data, len }))
                        return true;
        return false;
}

void bg_topics_deinit(BgTopics *topics)
{
        for (size_t i = 0; i < topics->n; i++)
                free(topics->items[i]);
        free(topics->items);
        *topics = (BgTopics){ 0 };
}
