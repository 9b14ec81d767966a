/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_UTIL_WORKERS_H
#define BURGEON_UTIL_WORKERS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A fixed set of threads for pure work. Tasks run in any order and at the same time; the owner collects them in the order it
 * handed them over, so that what it does with the results does not depend on which thread was first.
 *
 * One thread owns them: submit, collect, wait and free are its calls. A task is embedded in the work it stands for; from
 * submit to collect it, and what it points to, belong to them.
 */

typedef struct BgTask BgTask;
struct BgTask {
        void (*run)(BgTask *task); /* on a worker */

        /* theirs */
        BgTask *next_waiting;
        BgTask *next_collected;
        bool done;
};

typedef struct BgWorkers BgWorkers;

/** How many threads make sense here: the processors this process may run on, at least 1. */
unsigned bg_workers_n_threads_default(void);

/**
 * bg_workers_new() - start the threads; all signals are blocked in them
 * @n_threads: >= 1
 * @done:      called on a worker after each task, to wake the owner (uv_async_send, say); may be NULL
 * Return: 0, -ENOMEM or -EAGAIN (no threads to be had).
 */
int bg_workers_new(BgWorkers **workersp, unsigned n_threads, void (*done)(void *data), void *data);
/** Waits for the tasks that were handed over, drops them (their owner has them still), and joins the threads. NULL is fine. */
void bg_workers_free(BgWorkers *workers);

void bg_workers_submit(BgWorkers *workers, BgTask *task);
/** The oldest task not yet collected, when it is done; else NULL. Does not wait. */
BgTask *bg_workers_collect(BgWorkers *workers);
/** The same, waiting for it; NULL when there is none outstanding. */
BgTask *bg_workers_wait(BgWorkers *workers);
/** Handed over and not yet collected. */
size_t bg_workers_n_outstanding(const BgWorkers *workers);

#endif
