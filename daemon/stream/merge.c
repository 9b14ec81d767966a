/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A k-way merge over runs, one a file: either a reader of a file that is in order, or the file's events in memory, sorted. There
 * are few files: the least head is looked for among all of them.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "daemon/stream/text_chunks.h"
#include "daemon/stream/event_bytes.h"
#include "daemon/stream/merge_private.h"
#include "daemon/stream/intern.h"

#define SMALL_BYTES ((int64_t)32 << 20)
#define GZIP_RATIO 8 /* lists of names and times come out so many times larger */

/* `order` ends with the place of the event's bytes, which rises from line to line: equal times stay in the order of the file. */
#define PLACE_BITS 60
typedef struct Key {
        int64_t time;
        uint64_t order;
} Key;

typedef struct Run {
        BgReader *reader; /* of a file that is in order; else NULL, and the keys are what there is */
        Key *keys;
        size_t n_keys, cap_keys, next_key;
        size_t n_left; /* events to come, the head not counted */
        bool has_head;
        uint64_t rank; /* of the head */
        Key head;      /* streamed: order is the rank alone */
        BgEvent event; /* streamed: the head */
} Run;

struct BgMerge {
        Run *runs;
        size_t n_runs;
        size_t n_events;
        int64_t n_bad;
        int error;   /* stays */
        size_t last; /* the run whose head was returned: it moves on with the next call */
        BgIntern models;
        BgTextChunks bytes;
};

static uint64_t event_rank(BgEventType type)
{
        switch (type) {
        case BG_EVENT_RELEASE:
                return 0;
        case BG_EVENT_TALLY:
                return 1;
        case BG_EVENT_ADD:
                return 2;
        default:
                return 3;
        }
}

static int key_compare(const void *a, const void *b)
{
        const Key *x = a, *y = b;

        if (x->time != y->time)
                return x->time < y->time ? -1 : 1;
        return (x->order > y->order) - (x->order < y->order);
}

/* ---- a file in memory ------------------------------------------------------------------------------------------------------ */

static int run_put(BgMerge *merge, Run *run, const BgEvent *event, int64_t time)
{
        char bytes[4 + BG_EVENT_BYTES_MAX];
        BgEvent rest = *event;
        uint32_t model;
        uint64_t place;

        if (run->n_keys == run->cap_keys) {
                size_t cap = run->cap_keys ? run->cap_keys + run->cap_keys / 2 : 256;
                Key *keys = realloc(run->keys, cap * sizeof(*keys));
                if (!keys)
                        return -ENOMEM;
                run->keys = keys;
                run->cap_keys = cap;
        }
        int r = bg_intern_number(&merge->models, event->model, &model);
        if (r)
                return r;
        memcpy(bytes, &model, 4);
        rest.model = (BgStr){ NULL, 0 };
        size_t n = 4 + bg_event_bytes_put(bytes + 4, &rest);
        if (!bg_text_chunks_copy(&merge->bytes, bytes, n, &place))
                return -ENOMEM;
        run->keys[run->n_keys++] = (Key){ time, event_rank(event->type) << PLACE_BITS | place };
        return 0;
}

static void run_get(const BgMerge *merge, const Key *key, BgEvent *event)
{
        const char *bytes = bg_text_chunks_at(&merge->bytes, key->order & (((uint64_t)1 << PLACE_BITS) - 1));
        uint32_t model;

        memcpy(&model, bytes, 4);
        bg_event_bytes_get(bytes + 4, event);
        event->model = bg_intern_text(&merge->models, model);
}

/* ---- opening --------------------------------------------------------------------------------------------------------------- */

typedef struct Loading {
        BgMerge *merge;
        BgReaderComplaint *complain;
        void *data;
        char *why;
        size_t why_size;
        int64_t small_bytes;
} Loading;

static int load_failed(const Loading *l, const char *path, int r)
{
        if (r != -EBADMSG && r != -EIO)
                return r;
        snprintf(l->why, l->why_size, "%s: %s", path, r == -EBADMSG ? "its compressed data is damaged or cut off" : strerror(-r));
        return BG_READER_E_UNUSABLE;
}

static int load_into_memory(const Loading *l, Run *run, const char *path)
{
        BgReader *reader;
        BgEvent event;
        int64_t time;
        bool sorted = true;

        int r = bg_reader_open(&reader, path, l->complain, l->data, l->why, l->why_size);
        if (r)
                return r;
        while ((r = bg_reader_next(reader, &event, &time)) == 0) {
                r = run_put(l->merge, run, &event, time);
                if (r)
                        break;
                if (run->n_keys > 1 && key_compare(&run->keys[run->n_keys - 2], &run->keys[run->n_keys - 1]) > 0)
                        sorted = false;
        }
        l->merge->n_bad += bg_reader_n_bad(reader);
        bg_reader_close(reader);
        if (r != BG_READER_E_END)
                return load_failed(l, path, r);
        if (!sorted)
                qsort(run->keys, run->n_keys, sizeof(*run->keys),
                      key_compare); /* no two keys are equal: stable by construction */
        run->n_left = run->n_keys;
        return 0;
}

#define LOAD_E_UNSORTED 100

/* Read a file to its end without keeping anything. 0: it is in order and can be streamed. */
static int scan(const Loading *l, Run *run, const char *path)
{
        BgReader *reader;
        BgEvent event;
        Key before = { INT64_MIN, 0 };
        size_t n = 0;
        int64_t time;

        int r = bg_reader_open(&reader, path, NULL, NULL, l->why, l->why_size);
        if (r)
                return r;
        while ((r = bg_reader_next(reader, &event, &time)) == 0) {
                Key key = { time, event_rank(event.type) };
                if (key_compare(&before, &key) > 0) {
                        r = LOAD_E_UNSORTED;
                        break;
                }
                before = key;
                n++;
        }
        int64_t n_bad = bg_reader_n_bad(reader);
        bg_reader_close(reader);
        if (r == LOAD_E_UNSORTED)
                return r;
        if (r != BG_READER_E_END)
                return load_failed(l, path, r);
        run->n_left = n;
        l->merge->n_bad += n_bad;
        return bg_reader_open(&run->reader, path, l->complain, l->data, l->why, l->why_size);
}

/* Worth a look through the file before it is taken into memory? A pipe cannot be read twice. */
static bool is_large(const char *path, int64_t small_bytes)
{
        unsigned char magic[2] = { 0, 0 };
        struct stat st;

        int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return false; /* the reader will say why */
        bool regular = !fstat(fd, &st) && S_ISREG(st.st_mode);
        bool gzip = regular && pread(fd, magic, 2, 0) == 2 && magic[0] == 0x1f && magic[1] == 0x8b;
        close(fd);
        return regular && st.st_size > small_bytes / (gzip ? GZIP_RATIO : 1);
}

static int load(const Loading *l, Run *run, const char *path)
{
        int r = LOAD_E_UNSORTED;

        if (is_large(path, l->small_bytes))
                r = scan(l, run, path);
        if (r == LOAD_E_UNSORTED)
                r = load_into_memory(l, run, path);
        l->merge->n_events += run->n_left;
        return r;
}

int bg_merge_open_limit(BgMerge **mergep, const char *const *paths, size_t n_paths, BgReaderComplaint *complain, void *data,
                        char *why, size_t why_size, int64_t small_bytes)
{
        unsigned char key[16];
        int r = 0;

        *mergep = NULL;
        if (why_size)
                why[0] = '\0';
        BgMerge *merge = calloc(1, sizeof(*merge));
        if (!merge || sodium_init() < 0) {
                free(merge);
                return -ENOMEM;
        }
        randombytes_buf(key, sizeof(key));
        bg_intern_init(&merge->models, key);
        merge->last = SIZE_MAX;
        merge->n_runs = n_paths;
        merge->runs = calloc(n_paths ? n_paths : 1, sizeof(*merge->runs));
        if (!merge->runs) {
                merge->n_runs = 0;
                r = -ENOMEM;
        }
        Loading l = { merge, complain, data, why, why_size, small_bytes };
        for (size_t i = 0; !r && i < n_paths; i++)
                r = load(&l, &merge->runs[i], paths[i]);
        if (r)
                bg_merge_close(merge);
        else
                *mergep = merge;
        return r;
}

int bg_merge_open(BgMerge **mergep, const char *const *paths, size_t n_paths, BgReaderComplaint *complain, void *data, char *why,
                  size_t why_size)
{
        return bg_merge_open_limit(mergep, paths, n_paths, complain, data, why, why_size, SMALL_BYTES);
}

void bg_merge_close(BgMerge *merge)
{
        if (!merge)
                return;
        for (size_t i = 0; i < merge->n_runs; i++) {
                bg_reader_close(merge->runs[i].reader);
                free(merge->runs[i].keys);
        }
        free(merge->runs);
        bg_intern_deinit(&merge->models);
        bg_text_chunks_deinit(&merge->bytes);
        free(merge);
}

/* ---- the stream ------------------------------------------------------------------------------------------------------------ */

/* Get the next head of a run; a streamed file has to be what it was when it was looked at. */
static int run_advance(Run *run)
{
        run->has_head = false;
        if (!run->reader) {
                if (run->next_key == run->n_keys)
                        return 0;
                run->head = run->keys[run->next_key++];
        } else {
                Key before = run->head;
                bool first = run->event.type == BG_EVENT_NONE;
                int r = bg_reader_next(run->reader, &run->event, &run->head.time);
                if (r == BG_READER_E_END)
                        return run->n_left ? -ESTALE : 0;
                if (r)
                        return r;
                run->head.order = event_rank(run->event.type);
                if (run->n_left == 0 || (!first && key_compare(&before, &run->head) > 0))
                        return -ESTALE;
        }
        run->rank = run->reader ? run->head.order : run->head.order >> PLACE_BITS;
        run->n_left--;
        run->has_head = true;
        return 0;
}

int bg_merge_next(BgMerge *merge, BgEvent *event, int64_t *timep)
{
        Run *least = NULL;

        if (merge->error)
                return merge->error;
        for (size_t i = 0; i < merge->n_runs; i++) {
                Run *run = &merge->runs[i];
                if (merge->last == SIZE_MAX || merge->last == i)
                        merge->error = run_advance(run);
                if (merge->error)
                        return merge->error;
                if (!run->has_head)
                        continue;
                if (!least || run->head.time < least->head.time ||
                    (run->head.time == least->head.time && run->rank < least->rank))
                        least = run;
        }
        if (!least) {
                merge->last = merge->n_runs; /* nothing more to move on */
                return BG_READER_E_END;
        }
        merge->last = (size_t)(least - merge->runs);
        *timep = least->head.time;
        if (least->reader)
                *event = least->event;
        else
                run_get(merge, &least->head, event);
        return 0;
}

size_t bg_merge_n_events(const BgMerge *merge)
{
        return merge->n_events;
}

int64_t bg_merge_n_bad(const BgMerge *merge)
{
        return merge->n_bad;
}

size_t bg_merge_n_streamed(const BgMerge *merge)
{
        size_t n = 0;

        for (size_t i = 0; i < merge->n_runs; i++)
                n += merge->runs[i].reader != NULL;
        return n;
}
