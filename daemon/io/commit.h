/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_IO_COMMIT_H
#define BURGEON_IO_COMMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "daemon/io/health.h"
#include "daemon/stream/store.h"

/*
 * Group commit: everything that came while the writer was busy becomes durable together, and whoever waits for it is told on
 * the loop's thread, in order. With an idle writer a group is one turn of the loop: no timer adds to the latency of one batch,
 * and under load groups grow by themselves to what the disk needs.
 *
 * A failed commit is final. The counts in memory are then ahead of the disk, and a resent batch would look like a duplicate
 * that is safe on disk: so from there on everybody is told of the failure, and nothing more is written, until a restart
 * continues from what *is* on disk. (The store fails what was already handed over as well, or acknowledges it; both are true.)
 */

typedef struct BgCommitWaiter BgCommitWaiter;
struct BgCommitWaiter {
        /** 0: durable. BG_COMMIT_E_VOLATILE: there is no store. Negative errno: not stored, and never will be. May free itself. */
        void (*done)(BgCommitWaiter *waiter, int result);
        BgCommitWaiter *next; /* private */
};
#define BG_COMMIT_E_VOLATILE 1

typedef struct BgCommitSpec {
        size_t rows_per_group;     /* a group this large does not wait for the writer */
        size_t groups_pending_max; /* with more handed over and not durable, `pressure` asks to stop taking events */
        void (*pressure)(void *data, bool on);
        void *data;
} BgCommitSpec;

typedef struct BgCommitGroup BgCommitGroup;

typedef struct BgCommit {
        BgCommitSpec spec;
        BgStore *store; /* NULL: memory only */
        BgHealth *health;
        uv_prepare_t prepare;
        uv_async_t async;
        unsigned n_handles;
        BgCommitGroup *open; /* NULL when nobody waits */
        BgCommitGroup *first;
        BgCommitGroup *last;
        size_t n_pending;
        int failed; /* the first failure, negative errno */
        bool pressed;
        void (*closed)(void *data);
        void *closed_data;
} BgCommit;

/** 0 or negative errno, with nothing left open. */
int bg_commit_open(BgCommit *commit, uv_loop_t *loop, BgStore *store, BgHealth *health, const BgCommitSpec *spec);
/** Waits for the writer, tells every waiter, then closes. The zero value is fine. */
void bg_commit_close(BgCommit *commit, void (*closed)(void *data), void *data);

/** Call `waiter` once everything appended so far is durable (or is not going to be). 0 or -ENOMEM (then it is not called). */
int bg_commit_wait(BgCommit *commit, BgCommitWaiter *waiter);
/** The store refused an append: it failed before its writer's answer came here. As a failed commit. */
void bg_commit_fail(BgCommit *commit, int result);
/** Hand over what is open now, whatever the writer does. */
void bg_commit_flush(BgCommit *commit);
/** When the oldest group still pending was handed over (bg_clock_steady_us); 0 = none is. */
int64_t bg_commit_oldest_us(const BgCommit *commit);
static inline bool bg_commit_idle(const BgCommit *commit) { return !commit->open && !commit->first; }

#endif
