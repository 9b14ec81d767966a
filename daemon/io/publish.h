/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_IO_PUBLISH_H
#define BURGEON_IO_PUBLISH_H

#include "daemon/io/door.h"
#include "daemon/io/health.h"
#include "daemon/io/topics.h"
#include "daemon/stream/core.h"

/*
 * Updates out (XPUB): frames [topic] [message].
 *
 *   forecast/MODEL/  surge/MODEL/    updates, as the core issues them
 *   org/ORG/  ecosystem/             aggregates, when they changed; at most once an hour
 *   heartbeat/                       every second
 *   welcome/TOPIC                    after a subscription to TOPIC: it is live; then the last values of what it matches
 *
 * Last values go to *every* subscriber of their topic: PUB knows no single receiver. They carry the revision they were issued
 * with, so a client that has a newer one, or this one, drops them. They are sent over several turns of the loop; updates issued
 * meanwhile may overtake them. A subscription that matches more than `last_values_max` is answered with a welcome without n_last:
 * ask for a snapshot. A repeated subscription is answered again; one that comes while its like is waiting shares its answer.
 *
 * A subscriber whose queue (`out_max` messages) is full misses updates, never delays them.
 */

typedef struct BgPublishSpec {
        BgDoorSpec door;
        int64_t last_values_max;
        int64_t heartbeat_us;
} BgPublishSpec;

typedef struct BgPublishJob BgPublishJob;

typedef struct BgPublish {
        BgDoor door;
        BgPublishSpec spec;
        BgCore *core;
        BgHealth *health;
        BgTopics topics;
        BgBuffer topic;   /* scratch */
        BgBuffer payload; /* scratch */
        uv_timer_t heartbeat;
        uv_idle_t welcomer; /* runs while subscriptions wait for their welcome */
        unsigned n_handles;
        BgPublishJob *first; /* the one under way */
        BgPublishJob *last;
        BgBuffer values;     /* packed last values of the job under way */
        size_t values_at;
        int64_t n_values;
        void (*closed)(void *data);
        void *closed_data;
} BgPublish;

/** What the core is to be given as its sink; works before open and after close (nothing is sent then). */
BgCoreSink bg_publish_sink(BgPublish *publish);

/** @publish: zero. 0, BG_DOOR_E_UNUSABLE with `why`, or negative errno; close it in any case. */
int bg_publish_open(BgPublish *publish, uv_loop_t *loop, void *zmq, const BgPublishSpec *spec, BgCore *core, BgHealth *health, char *why,
                    size_t why_size);
/** A last heartbeat, with what is wrong now. */
void bg_publish_heartbeat(BgPublish *publish);
void bg_publish_close(BgPublish *publish, void (*closed)(void *data), void *data);

#endif
