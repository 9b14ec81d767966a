/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_IO_AGGREGATOR_H
#define BURGEON_IO_AGGREGATOR_H

#include <uv.h>

#include "daemon/io/health.h"
#include "daemon/stream/core.h"

/*
 * Drives the core's aggregates of organisations and of all models: looks every second whether they are due, copies and adopts
 * in steps of at most a millisecond between the loop's other work, and computes on a thread of libuv's pool.
 */

typedef struct BgAggregatorJob BgAggregatorJob;

typedef struct BgAggregator {
        BgCore *core;
        BgHealth *health;
        uv_timer_t timer;
        uv_idle_t stepper;
        BgAggregatorJob *job; /* on a thread, or in steps */
        unsigned n_handles;
        uint64_t loop_ns;    /* what the job under way took of the loop's time */
        uint64_t rest_until; /* uv_hrtime: not sooner again */
        bool stopped;
        void (*closed)(void *data);
        void *closed_data;
} BgAggregator;

/** @aggregator: zero. 0 or negative errno; close it in any case. */
int bg_aggregator_open(BgAggregator *aggregator, uv_loop_t *loop, BgCore *core, BgHealth *health);
/** Begin nothing new, drop what is collected or adopted; what runs on a thread is dropped when it ends. */
void bg_aggregator_stop(BgAggregator *aggregator);
void bg_aggregator_close(BgAggregator *aggregator, void (*closed)(void *data), void *data);

#endif
