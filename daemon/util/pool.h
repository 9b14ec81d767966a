/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_UTIL_POOL_H
#define BURGEON_UTIL_POOL_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A fixed set of threads for pure work. Tasks run in any order and at the same time; the owner collects them in the order it
 * handed them over, so that what it does with the results does not depend on which thread was first.
 *
 * One thread owns the pool: submit, collect, wait and free are its calls. A task is embedded in the work it stands for; from
 * submit to collect it, and what it points to, belong to the pool.
 */

typedef struct BgPoolTask BgPoolTask;
struct BgPoolTask {
        void (*run)(BgPoolTask *task); /* on a worker */

        /* the pool's */
        BgPoolTask *next_waiting;
        BgPoolTask *next_collected;
        bool done;
};

typedef struct BgPool BgPool;

/** How many threads make sense here: the processors this process may run on, at least 1. */
unsigned bg_pool_n_threads_default(void);

/**
 * bg_pool_new() - start the threads; all signals are blocked in them
 * @n_threads: >= 1
 * @done:      called on a worker after each task, to wake the owner (uv_async_send, say); may be NULL
 * Return: 0, -ENOMEM or -EAGAIN (no threads to be had).
 */
int bg_pool_new(BgPool **poolp, unsigned n_threads, void (*done)(void *data), void *data);
/** Waits for the tasks that were handed over, drops them (their owner has them still), and joins the threads. NULL is fine. */
void bg_pool_free(BgPool *pool);

void bg_pool_submit(BgPool *pool, BgPoolTask *task);
/** The oldest task not yet collected, when it is done; else NULL. Does not wait. */
BgPoolTask *bg_pool_collect(BgPool *pool);
/** The same, waiting for it; NULL when there is none outstanding. */
BgPoolTask *bg_pool_wait(BgPool *pool);
/** Handed over and not yet collected. */
size_t bg_pool_n_outstanding(const BgPool *pool);

#endif
