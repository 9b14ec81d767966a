/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_IO_HEALTH_H
#define BURGEON_IO_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/proto.h"

/*
 * How the daemon is: what is wrong now, most serious first, and what happened how often. Owned by the loop's thread.
 */

/* C(name): counts since the start, in `stats` under these names */
#define BG_HEALTH_COUNTERS(C) \
        C(submit_batches) C(submit_refused) C(submit_events) C(acks_lost) C(submit_pauses) C(dead_letters) C(dead_letters_skipped) \
        C(subscribe_batches) C(subscribe_refused) C(subscribe_events) C(upstream_gaps) C(upstream_batches_missed) \
        C(upstream_restarts) C(updates_sent) C(updates_skipped) C(welcomes) C(last_values_sent) C(last_values_refused) \
        C(queries) C(query_errors) C(replies_lost) C(commits) C(commits_failed) C(checkpoints) C(refit_jobs) C(aggregates) C(reloads) \
        C(reloads_failed)

/* G(name): levels now */
#define BG_HEALTH_GAUGES(G) G(groups_pending) G(refit_jobs_running) G(aggregate_loop_us) G(subscriptions) G(welcomes_waiting) G(submit_paused) G(problems)

typedef enum BgProblem {
        BG_PROBLEM_STORE,   /* a commit failed: nothing is taken until a restart */
        BG_PROBLEM_CONFIG,  /* the file could not be reloaded: the old configuration is in force */
        BG_PROBLEM_BACKLOG, /* the store does not keep up: doors are paused */
        BG_PROBLEM_STOPPING,
        BG_PROBLEM_N,
} BgProblem;

typedef struct BgHealth {
#define BG_C(name) int64_t name;
        BG_HEALTH_COUNTERS(BG_C)
        BG_HEALTH_GAUGES(BG_C)
#undef BG_C
        int64_t rejected[BG_REJECT_N];
        char problem[BG_PROBLEM_N][64]; /* "" = none */
} BgHealth;

/** State or (text NULL) clear a problem; the text is cut to 63 bytes. */
void bg_health_set(BgHealth *health, BgProblem problem, const char *text);
/** "ok", or the most serious problem. */
const char *bg_health_text(const BgHealth *health);
/** Append the counters, gauges and rejections to those in `stats`; arrays live in the arena. 0 or -ENOMEM. */
int bg_health_stats(BgHealth *health, BgArena *arena, BgStats *stats);

#endif
