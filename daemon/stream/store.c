/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The open group, the queue of closed ones, and the writer. Groups that wait together go into one transaction: one flush for all
 * of them, and still all or none of each. The engine is in store_db.c and store_rows.c.
 *
 * The connection belongs to the writer while groups are pending, to the caller's thread otherwise: only that thread hands groups
 * over, hence after bg_store_wait() nobody else touches it.
 */

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/stream/store_db.h"

#define TOGETHER_ROWS 65536 /* in one transaction; bounds the time of a commit and the growth of the log before it can be cut */
#define SPARE_GROUPS 4

struct BgStore {
        BgStoreDb *db;
        BgGroup *open;    /* the caller's */
        atomic_int error; /* first failure, a negative errno; never reset */
        bool reading;

        pthread_t writer;
        bool writer_runs;
        pthread_mutex_t mutex; /* guards what follows */
        pthread_cond_t work;
        pthread_cond_t idle;
        BgGroup *first, *last; /* closed, waiting */
        BgGroup *spare;
        size_t n_spare;
        size_t n_pending;
        bool stop;
};

static int store_error(const BgStore *store)
{
        return atomic_load_explicit(&store->error, memory_order_acquire);
}

/* ---- the writer's thread --------------------------------------------------------------------------------------------------- */

/* Cut a run of groups off the queue that is small enough for one transaction. Called with the mutex held. */
static BgGroup *queue_take(BgStore *store, BgGroup **lastp, bool *rowsp)
{
        BgGroup *first = store->first, *last = first;
        size_t n_rows = first->n_rows;

        while (last->next && n_rows + last->next->n_rows <= TOGETHER_ROWS) {
                last = last->next;
                n_rows += last->n_rows;
        }
        store->first = last->next;
        if (!store->first)
                store->last = NULL;
        last->next = NULL;
        *lastp = last;
        *rowsp = n_rows > 0;
        return first;
}

static void groups_report(BgGroup *first, int result)
{
        for (BgGroup *group = first; group; group = group->next)
                if (group->done)
                        group->done(group->data, result);
}

/* Back to the spares, or freed. Called with the mutex held. */
static void groups_recycle(BgStore *store, BgGroup *group)
{
        for (BgGroup *next; group; group = next) {
                next = group->next;
                store->n_pending--;
                if (store->n_spare == SPARE_GROUPS) {
                        bg_group_free(group);
                        continue;
                }
                bg_group_clear(group);
                group->next = store->spare;
                store->spare = group;
                store->n_spare++;
        }
}

static void *writer_main(void *data)
{
        BgStore *store = data;

        pthread_mutex_lock(&store->mutex);
        for (;;) {
                while (!store->first && !store->stop)
                        pthread_cond_wait(&store->work, &store->mutex);
                if (!store->first)
                        break;

                BgGroup *last;
                bool rows;
                BgGroup *first = queue_take(store, &last, &rows);
                pthread_mutex_unlock(&store->mutex);

                int result = store_error(store);
                if (!result && rows) {
                        result = bg_store_db_write(store->db, first, last);
                        if (result)
                                atomic_store_explicit(&store->error, result, memory_order_release);
                }
                groups_report(first, result);

                pthread_mutex_lock(&store->mutex);
                groups_recycle(store, first);
                if (store->n_pending == 0)
                        pthread_cond_broadcast(&store->idle);
        }
        pthread_mutex_unlock(&store->mutex);
        return NULL;
}

/* Signals are the main thread's. */
static int writer_start(BgStore *store)
{
        sigset_t all, before;

        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        int r = -pthread_create(&store->writer, NULL, writer_main, store);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        store->writer_runs = r == 0;
        if (r == 0)
                pthread_setname_np(store->writer, "store");
        return r;
}

/* ---- open, close ----------------------------------------------------------------------------------------------------------- */

int bg_store_open(BgStore **storep, const BgStoreSpec *spec, BgStoreReceipt *receipt, char *why, size_t why_size)
{
        *storep = NULL;
        if (why_size)
                why[0] = '\0';
        BgStore *store = calloc(1, sizeof(*store));
        if (!store)
                return -ENOMEM;
        pthread_mutex_init(&store->mutex, NULL);
        pthread_cond_init(&store->work, NULL);
        pthread_cond_init(&store->idle, NULL);

        store->open = bg_group_new();
        int r = store->open ? 0 : -ENOMEM;
        if (!r)
                r = bg_store_db_open(&store->db, spec, receipt, why, why_size);
        if (!r)
                r = writer_start(store);
        if (r) {
                bg_store_close(store);
                return r;
        }
        *storep = store;
        return 0;
}

int bg_store_close(BgStore *store)
{
        int r = 0;

        if (!store)
                return 0;
        if (store->writer_runs) {
                if (store->open->n_rows)
                        r = bg_store_commit(store, NULL, NULL);
                pthread_mutex_lock(&store->mutex);
                store->stop = true;
                pthread_cond_signal(&store->work);
                pthread_mutex_unlock(&store->mutex);
                pthread_join(store->writer, NULL);
        }

        r = r ? r : store_error(store);
        if (store->db) {
                int closed = bg_store_db_close(store->db, store->writer_runs && !r);
                r = r ? r : closed;
        }
        bg_group_free(store->open);
        for (BgGroup *next; store->spare; store->spare = next) {
                next = store->spare->next;
                bg_group_free(store->spare);
        }
        pthread_cond_destroy(&store->idle);
        pthread_cond_destroy(&store->work);
        pthread_mutex_destroy(&store->mutex);
        free(store);
        return r;
}

/* ---- appending ------------------------------------------------------------------------------------------------------------- */

static int store_put(BgStore *store, const BgRow *row)
{
        int r = store_error(store);

        return r ? r : bg_group_put(store->open, row);
}

int bg_store_append(BgStore *store, const BgEvent *event, int64_t received_at)
{
        assert(event->type > BG_EVENT_NONE && event->type < BG_EVENT_N);
        return store_put(store, &(BgRow){ .kind = BG_ROW_EVENT, .received_at = received_at, .event = *event });
}

/* No more than `max` bytes, and no torn character at the end. */
static BgStr text_cut(BgStr text, size_t max)
{
        if (text.len <= max)
                return text;
        while (max > 0 && ((unsigned char)text.data[max] & 0xc0) == 0x80)
                max--;
        return (BgStr){ text.data, max };
}

int bg_store_append_rejected(BgStore *store, BgStr source, int64_t seq, int64_t index, BgReject reason, BgStr detail, BgStr event,
                             int64_t received_at)
{
        BgRow row = { .kind = BG_ROW_REJECTED, .received_at = received_at };

        row.rejected = (BgStoreRejected){
                .source = text_cut(source, BG_SOURCE_MAX),
                .detail = text_cut(detail, 255),
                .event = text_cut(event, BG_STORE_REJECTED_BYTES_MAX),
                .seq = seq,
                .index = index,
                .n_bytes = (int64_t)event.len,
                .reason = reason,
        };
        return store_put(store, &row);
}

int bg_store_put_source(BgStore *store, const BgStoreSource *source)
{
        return store_put(store, &(BgRow){ .kind = BG_ROW_SOURCE, .source = *source });
}

int bg_store_put_series(BgStore *store, const BgStoreSeries *series)
{
        return store_put(store, &(BgRow){ .kind = BG_ROW_SERIES, .series = *series });
}

int bg_store_put_learned(BgStore *store, BgStr name, BgStr bytes)
{
        return store_put(store, &(BgRow){ .kind = BG_ROW_LEARNED, .learned = { name, bytes } });
}

size_t bg_store_group_size(const BgStore *store)
{
        return store->open->n_rows;
}

size_t bg_store_groups_pending(const BgStore *store)
{
        pthread_mutex_t *mutex = (pthread_mutex_t *)&store->mutex;

        pthread_mutex_lock(mutex);
        size_t n = store->n_pending;
        pthread_mutex_unlock(mutex);
        return n;
}

int bg_store_commit(BgStore *store, BgStoreDone *done, void *data)
{
        assert(!store->reading);
        int r = store_error(store);
        if (r)
                return r;

        pthread_mutex_lock(&store->mutex);
        BgGroup *next = store->spare;
        if (next) {
                store->spare = next->next;
                store->n_spare--;
                next->next = NULL;
        }
        pthread_mutex_unlock(&store->mutex);
        if (!next)
                next = bg_group_new();
        if (!next)
                return -ENOMEM;

        BgGroup *group = store->open;
        store->open = next;
        group->done = done;
        group->data = data;

        pthread_mutex_lock(&store->mutex);
        if (store->last)
                store->last->next = group;
        else
                store->first = group;
        store->last = group;
        store->n_pending++;
        pthread_cond_signal(&store->work);
        pthread_mutex_unlock(&store->mutex);
        return 0;
}

void bg_store_wait(BgStore *store)
{
        pthread_mutex_lock(&store->mutex);
        while (store->n_pending)
                pthread_cond_wait(&store->idle, &store->mutex);
        pthread_mutex_unlock(&store->mutex);
}

int bg_store_error(const BgStore *store, const char **whyp)
{
        int r = store_error(store);

        if (whyp)
                *whyp = store->db->why;
        return r;
}

/* ---- reading back ---------------------------------------------------------------------------------------------------------- */

int bg_store_read_log(BgStore *store, int (*each)(void *data, int64_t log, const BgEvent *event), void *data)
{
        bg_store_wait(store);
        store->reading = true;
        int r = bg_store_db_read_log(store->db, each, data);
        store->reading = false;
        return r;
}

int bg_store_read_sources(BgStore *store, int (*each)(void *data, const BgStoreSource *source), void *data)
{
        bg_store_wait(store);
        store->reading = true;
        int r = bg_store_db_read_sources(store->db, each, data);
        store->reading = false;
        return r;
}

int bg_store_read_series(BgStore *store, int (*each)(void *data, const BgStoreSeries *series), void *data)
{
        bg_store_wait(store);
        store->reading = true;
        int r = bg_store_db_read_series(store->db, each, data);
        store->reading = false;
        return r;
}

int bg_store_read_learned(BgStore *store, int (*each)(void *data, BgStr name, BgStr bytes), void *data)
{
        bg_store_wait(store);
        store->reading = true;
        int r = bg_store_db_read_learned(store->db, each, data);
        store->reading = false;
        return r;
}
