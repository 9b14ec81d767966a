/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_IO_TOPICS_H
#define BURGEON_IO_TOPICS_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/proto.h"

/*
 * The prefixes that somebody subscribes to, so that nothing is packed for nobody. A sorted array: no hash that a subscriber
 * could aim at, and a prefix of a topic is found with one binary search for each *length* in use.
 */

enum {
        BG_TOPICS_LENGTH_MAX = 600, /* as in a welcome; longer ones match no topic and are not kept */
        BG_TOPICS_MAX = 100000,     /* beyond, everything counts as subscribed to */
};

typedef struct BgTopic {
        bool waiting; /* the owner's: a welcome is under way */
        size_t len;
        char text[];
} BgTopic;

typedef struct BgTopics { /* the zero value is empty */
        BgTopic **items;
        size_t n;
        size_t cap;
        size_t n_untracked;
        uint32_t n_of_length[BG_TOPICS_LENGTH_MAX + 1];
} BgTopics;

/** The entry of a prefix, made when there is none; NULL when it is not kept. */
BgTopic *bg_topics_add(BgTopics *topics, BgStr prefix);
BgTopic *bg_topics_find(const BgTopics *topics, BgStr prefix);
void bg_topics_remove(BgTopics *topics, BgStr prefix);
/** Does anybody subscribe to a prefix of this topic?   Cost: O(lengths in use * log n). */
bool bg_topics_match(const BgTopics *topics, BgStr topic);
void bg_topics_deinit(BgTopics *topics);

#endif
