/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Two lists over the same tasks: `waiting`, from which the workers help themselves, and `ordered`, the owner's, in the order
 * of submission. `ordered` is touched by the owner alone; `waiting` and the `done` marks are under the mutex.
 */
#include "daemon/util/pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

struct BgPool {
        pthread_mutex_t mutex;
        pthread_cond_t work;     /* something waits, or the end has come */
        pthread_cond_t finished; /* a task is done */
        BgPoolTask *waiting_first;
        BgPoolTask *waiting_last;
        bool ending;

        BgPoolTask *ordered_first;
        BgPoolTask *ordered_last;
        size_t n_outstanding;

        void (*done)(void *data);
        void *data;
        unsigned n_threads;
        pthread_t threads[];
};

unsigned bg_pool_n_threads_default(void)
{
        cpu_set_t set;

        if (sched_getaffinity(0, sizeof(set), &set) || CPU_COUNT(&set) < 1)
                return 1;
        return (unsigned)CPU_COUNT(&set);
}

static void *worker(void *data)
{
        BgPool *pool = data;

        pthread_mutex_lock(&pool->mutex);
        for (;;) {
                BgPoolTask *task = pool->waiting_first;

                if (!task) {
                        if (pool->ending)
                                break;
                        pthread_cond_wait(&pool->work, &pool->mutex);
                        continue;
                }
                pool->waiting_first = task->next_waiting;
                if (!pool->waiting_first)
                        pool->waiting_last = NULL;
                pthread_mutex_unlock(&pool->mutex);

                task->run(task);

                pthread_mutex_lock(&pool->mutex);
                task->done = true;
                pthread_cond_signal(&pool->finished);
                if (pool->done) {
                        /* from here on the task may be gone: only the pool is touched */
                        pthread_mutex_unlock(&pool->mutex);
                        pool->done(pool->data);
                        pthread_mutex_lock(&pool->mutex);
                }
        }
        pthread_mutex_unlock(&pool->mutex);
        return NULL;
}

int bg_pool_new(BgPool **poolp, unsigned n_threads, void (*done)(void *data), void *data)
{
        sigset_t all, before;
        BgPool *pool;
        int r = 0;

        pool = calloc(1, sizeof(*pool) + n_threads * sizeof(pool->threads[0]));
        if (!pool)
                return -ENOMEM;
        pthread_mutex_init(&pool->mutex, NULL);
        pthread_cond_init(&pool->work, NULL);
        pthread_cond_init(&pool->finished, NULL);
        pool->done = done;
        pool->data = data;

        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        while (pool->n_threads < n_threads && !r) {
                r = pthread_create(&pool->threads[pool->n_threads], NULL, worker, pool);
                if (!r) {
                        pthread_setname_np(pool->threads[pool->n_threads], "burgeon-worker");
                        pool->n_threads++;
                }
        }
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (r) {
                bg_pool_free(pool);
                return -r;
        }
        *poolp = pool;
        return 0;
}

void bg_pool_free(BgPool *pool)
{
        if (!pool)
                return;
        while (bg_pool_wait(pool))
                ;
        pthread_mutex_lock(&pool->mutex);
        pool->ending = true;
        pthread_cond_broadcast(&pool->work);
        pthread_mutex_unlock(&pool->mutex);
        for (unsigned i = 0; i < pool->n_threads; i++)
                pthread_join(pool->threads[i], NULL);
        pthread_cond_destroy(&pool->finished);
        pthread_cond_destroy(&pool->work);
        pthread_mutex_destroy(&pool->mutex);
        free(pool);
}

void bg_pool_submit(BgPool *pool, BgPoolTask *task)
{
        task->next_waiting = NULL;
        task->next_collected = NULL;
        task->done = false;
        if (pool->ordered_last)
                pool->ordered_last->next_collected = task;
        else
                pool->ordered_first = task;
        pool->ordered_last = task;
        pool->n_outstanding++;

        pthread_mutex_lock(&pool->mutex);
        if (pool->waiting_last)
                pool->waiting_last->next_waiting = task;
        else
                pool->waiting_first = task;
        pool->waiting_last = task;
        pthread_cond_signal(&pool->work);
        pthread_mutex_unlock(&pool->mutex);
}

static BgPoolTask *pop_ordered(BgPool *pool)
{
        BgPoolTask *task = pool->ordered_first;

        pool->ordered_first = task->next_collected;
        if (!pool->ordered_first)
                pool->ordered_last = NULL;
        pool->n_outstanding--;
        return task;
}

BgPoolTask *bg_pool_collect(BgPool *pool)
{
        bool done;

        if (!pool->ordered_first)
                return NULL;
        pthread_mutex_lock(&pool->mutex);
        done = pool->ordered_first->done;
        pthread_mutex_unlock(&pool->mutex);
        return done ? pop_ordered(pool) : NULL;
}

BgPoolTask *bg_pool_wait(BgPool *pool)
{
        if (!pool->ordered_first)
                return NULL;
        pthread_mutex_lock(&pool->mutex);
        while (!pool->ordered_first->done)
                pthread_cond_wait(&pool->finished, &pool->mutex);
        pthread_mutex_unlock(&pool->mutex);
        return pop_ordered(pool);
}

size_t bg_pool_n_outstanding(const BgPool *pool) { return pool->n_outstanding; }
