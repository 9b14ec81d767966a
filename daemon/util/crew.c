/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/util/crew.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct BgCrew {
        pthread_mutex_t lock;
        pthread_cond_t work; /* a new round, or the end */
        pthread_cond_t done; /* the last worker left the round */
        pthread_t *threads;
        unsigned n_threads; /* beside the caller's */
        unsigned long round;
        unsigned n_working;
        bool quit;
        size_t n;
        size_t next;
        size_t grain;
        void (*range)(void *data, size_t from, size_t to);
        void *data;
};

/* Called and returns with the lock held. */
static void take_ranges(BgCrew *crew)
{
        while (crew->next < crew->n) {
                size_t from = crew->next, to = crew->n - from > crew->grain ? from + crew->grain : crew->n;

                crew->next = to;
                pthread_mutex_unlock(&crew->lock);
                crew->range(crew->data, from, to);
                pthread_mutex_lock(&crew->lock);
        }
}

static void *worker(void *data)
{
        BgCrew *crew = data;
        unsigned long seen = 0;

        pthread_mutex_lock(&crew->lock);
        for (;;) {
                while (crew->round == seen && !crew->quit)
                        pthread_cond_wait(&crew->work, &crew->lock);
                if (crew->quit)
                        break;
                seen = crew->round;
                take_ranges(crew);
                if (--crew->n_working == 0)
                        pthread_cond_signal(&crew->done);
        }
        pthread_mutex_unlock(&crew->lock);
        return NULL;
}

int bg_crew_new(BgCrew **crewp, unsigned n_threads)
{
        BgCrew *crew = calloc(1, sizeof(*crew));
        int r = 0;

        if (!crew)
                return -ENOMEM;
        pthread_mutex_init(&crew->lock, NULL);
        pthread_cond_init(&crew->work, NULL);
        pthread_cond_init(&crew->done, NULL);
        crew->threads = calloc(n_threads ? n_threads : 1, sizeof(*crew->threads));
        if (!crew->threads)
                r = -ENOMEM;
        for (unsigned i = 1; i < n_threads && !r; i++) {
                r = -pthread_create(&crew->threads[crew->n_threads], NULL, worker, crew);
                if (!r)
                        crew->n_threads++;
        }
        if (r) {
                bg_crew_free(crew);
                return r;
        }
        *crewp = crew;
        return 0;
}

void bg_crew_free(BgCrew *crew)
{
        if (!crew)
                return;
        pthread_mutex_lock(&crew->lock);
        crew->quit = true;
        pthread_cond_broadcast(&crew->work);
        pthread_mutex_unlock(&crew->lock);
        for (unsigned i = 0; i < crew->n_threads; i++)
                pthread_join(crew->threads[i], NULL);
        pthread_cond_destroy(&crew->done);
        pthread_cond_destroy(&crew->work);
        pthread_mutex_destroy(&crew->lock);
        free(crew->threads);
        free(crew);
}

void bg_crew_run(BgCrew *crew, size_t n, size_t grain, void (*range)(void *data, size_t from, size_t to), void *data)
{
        if (crew->n_threads == 0 || n <= grain) { /* waking threads costs more than this */
                if (n)
                        range(data, 0, n);
                return;
        }
        pthread_mutex_lock(&crew->lock);
        crew->n = n;
        crew->next = 0;
        crew->grain = grain;
        crew->range = range;
        crew->data = data;
        crew->n_working = crew->n_threads;
        crew->round++;
        pthread_cond_broadcast(&crew->work);
        take_ranges(crew);
        while (crew->n_working)
                pthread_cond_wait(&crew->done, &crew->lock);
        pthread_mutex_unlock(&crew->lock);
}
