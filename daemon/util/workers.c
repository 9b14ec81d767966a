/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Two lists over the same tasks: `waiting`, from which the workers help themselves, and `ordered`, the owner's, in the order
 * of submission. `ordered` is touched by the owner alone; `waiting` and the `done` marks are under the mutex.
 */
#include "daemon/util/workers.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

struct BgWorkers {
        pthread_mutex_t mutex;
        pthread_cond_t work;     /* something waits, or the end has come */
        pthread_cond_t finished; /* a task is done */
        BgTask *waiting_first;
        BgTask *waiting_last;
        bool ending;

        BgTask *ordered_first;
        BgTask *ordered_last;
        size_t n_outstanding;

        void (*done)(void *data);
        void *data;
        unsigned n_threads;
        pthread_t threads[];
};

unsigned bg_workers_n_threads_default(void)
{
        cpu_set_t set;

        if (sched_getaffinity(0, sizeof(set), &set) || CPU_COUNT(&set) < 1)
                return 1;
        return (unsigned)CPU_COUNT(&set);
}

static void *worker(void *data)
{
        BgWorkers *workers = data;

        pthread_mutex_lock(&workers->mutex);
        for (;;) {
                BgTask *task = workers->waiting_first;

                if (!task) {
                        if (workers->ending)
                                break;
                        pthread_cond_wait(&workers->work, &workers->mutex);
                        continue;
                }
                workers->waiting_first = task->next_waiting;
                if (!workers->waiting_first)
                        workers->waiting_last = NULL;
                pthread_mutex_unlock(&workers->mutex);

                task->run(task);

                pthread_mutex_lock(&workers->mutex);
                task->done = true;
                pthread_cond_signal(&workers->finished);
                if (workers->done) {
                        /* from here on the task may be gone: nothing of it is touched */
                        pthread_mutex_unlock(&workers->mutex);
                        workers->done(workers->data);
                        pthread_mutex_lock(&workers->mutex);
                }
        }
        pthread_mutex_unlock(&workers->mutex);
        return NULL;
}

int bg_workers_new(BgWorkers **workersp, unsigned n_threads, void (*done)(void *data), void *data)
{
        sigset_t all, before;
        BgWorkers *workers;
        int r = 0;

        workers = calloc(1, sizeof(*workers) + n_threads * sizeof(workers->threads[0]));
        if (!workers)
                return -ENOMEM;
        pthread_mutex_init(&workers->mutex, NULL);
        pthread_cond_init(&workers->work, NULL);
        pthread_cond_init(&workers->finished, NULL);
        workers->done = done;
        workers->data = data;

        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        while (workers->n_threads < n_threads && !r) {
                r = pthread_create(&workers->threads[workers->n_threads], NULL, worker, workers);
                if (!r) {
                        pthread_setname_np(workers->threads[workers->n_threads], "burgeon-worker");
                        workers->n_threads++;
                }
        }
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (r) {
                bg_workers_free(workers);
                return -r;
        }
        *workersp = workers;
        return 0;
}

void bg_workers_free(BgWorkers *workers)
{
        if (!workers)
                return;
        while (bg_workers_wait(workers))
                ;
        pthread_mutex_lock(&workers->mutex);
        workers->ending = true;
        pthread_cond_broadcast(&workers->work);
        pthread_mutex_unlock(&workers->mutex);
        for (unsigned i = 0; i < workers->n_threads; i++)
                pthread_join(workers->threads[i], NULL);
        pthread_cond_destroy(&workers->finished);
        pthread_cond_destroy(&workers->work);
        pthread_mutex_destroy(&workers->mutex);
        free(workers);
}

void bg_workers_submit(BgWorkers *workers, BgTask *task)
{
        task->next_waiting = NULL;
        task->next_collected = NULL;
        task->done = false;
        if (workers->ordered_last)
                workers->ordered_last->next_collected = task;
        else
                workers->ordered_first = task;
        workers->ordered_last = task;
        workers->n_outstanding++;

        pthread_mutex_lock(&workers->mutex);
        if (workers->waiting_last)
                workers->waiting_last->next_waiting = task;
        else
                workers->waiting_first = task;
        workers->waiting_last = task;
        pthread_cond_signal(&workers->work);
        pthread_mutex_unlock(&workers->mutex);
}

static BgTask *pop_ordered(BgWorkers *workers)
{
        BgTask *task = workers->ordered_first;

        workers->ordered_first = task->next_collected;
        if (!workers->ordered_first)
                workers->ordered_last = NULL;
        workers->n_outstanding--;
        return task;
}

BgTask *bg_workers_collect(BgWorkers *workers)
{
        bool done;

        if (!workers->ordered_first)
                return NULL;
        pthread_mutex_lock(&workers->mutex);
        done = workers->ordered_first->done;
        pthread_mutex_unlock(&workers->mutex);
        return done ? pop_ordered(workers) : NULL;
}

BgTask *bg_workers_wait(BgWorkers *workers)
{
        if (!workers->ordered_first)
                return NULL;
        pthread_mutex_lock(&workers->mutex);
        while (!workers->ordered_first->done)
                pthread_cond_wait(&workers->finished, &workers->mutex);
        pthread_mutex_unlock(&workers->mutex);
        return pop_ordered(workers);
}

size_t bg_workers_n_outstanding(const BgWorkers *workers) { return workers->n_outstanding; }
