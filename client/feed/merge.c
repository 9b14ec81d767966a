/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "client/feed/reader.h"

typedef struct Kept {
        int64_t time;
        int64_t number; /* in its file */
        BgEvent event;
} Kept;

/* One file: read as it goes, or kept and sorted. */
typedef struct Source {
        const char *path;
        BgFeedReader *reader;
        Kept *kept;
        size_t n_kept;
        size_t cap_kept;
        size_t i_kept;
        BgArena texts;
        bool in_order;
        bool has_current;
        BgEvent current;
        int64_t time;
} Source;

struct BgFeedMerge {
        Source *sources;
        size_t n_sources;
        Source *given; /* whose current event was handed out, and is replaced at the next call */
        int64_t n_events;
        int64_t n_bad;
        int64_t first;
        int64_t last;
};

static int rank(const BgEvent *event)
{
        return event->type == BG_EVENT_RELEASE ? 0 : event->type == BG_EVENT_TALLY ? 1 : 2;
}

static int compare_kept(const void *a, const void *b)
{
        const Kept *x = a, *y = b;

        if (x->time != y->time)
                return x->time < y->time ? -1 : 1;
        if (rank(&x->event) != rank(&y->event))
                return rank(&x->event) - rank(&y->event);
        return (x->number > y->number) - (x->number < y->number);
}

static int keep(Source *source, const BgEvent *event)
{
        BgEvent copy = *event;
        BgStr *texts[] = { &copy.model, &copy.child, &copy.from_name, &copy.to_name, &copy.to_model, &copy.source };

        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                if (!texts[i]->len)
                        continue;
                texts[i]->data = bg_arena_copy(&source->texts, texts[i]->data, texts[i]->len);
                if (!texts[i]->data)
                        return -ENOMEM;
        }
        if (source->n_kept == source->cap_kept) {
                size_t cap = source->cap_kept ? source->cap_kept * 2 : 1024;
                Kept *kept = realloc(source->kept, cap * sizeof(*kept));

                if (!kept)
                        return -ENOMEM;
                source->kept = kept;
                source->cap_kept = cap;
        }
        source->kept[source->n_kept] = (Kept){ bg_feed_time(event), (int64_t)source->n_kept, copy };
        source->n_kept++;
        return 0;
}

static void see(BgFeedMerge *merge, int64_t time)
{
        if (!merge->n_events || time < merge->first)
                merge->first = time;
        if (!merge->n_events || time > merge->last)
                merge->last = time;
        merge->n_events++;
}

/* Read to the end: count, look at the order, and keep when asked. */
static int survey(BgFeedMerge *merge, Source *source, bool keep_all, bool count, BgFeedComplaint *complain, void *data)
{
        int64_t before = INT64_MIN;
        BgFeedReader *reader;
        BgEvent event;
        int r = bg_feed_reader_open(&reader, source->path, complain, data);

        if (r)
                return r;
        source->in_order = true;
        while (!(r = bg_feed_reader_next(reader, &event))) {
                if (bg_feed_time(&event) < before)
                        source->in_order = false;
                before = bg_feed_time(&event);
                if (count)
                        see(merge, before);
                if (keep_all) {
                        r = keep(source, &event);
                        if (r)
                                break;
                }
        }
        if (count)
                merge->n_bad += bg_feed_reader_n_bad(reader);
        bg_feed_reader_close(reader);
        return r == BG_FEED_E_END ? 0 : r;
}

static int prepare(BgFeedMerge *merge, Source *source, BgFeedComplaint *complain, void *data)
{
        struct stat info;
        bool again = strcmp(source->path, "-") && !stat(source->path, &info) && S_ISREG(info.st_mode);
        int r = survey(merge, source, !again, true, complain, data);

        if (!r && again && source->in_order)
                return bg_feed_reader_open(&source->reader, source->path, NULL, NULL);
        if (!r && again)
                r = survey(merge, source, true, false, NULL, NULL);
        if (!r && source->n_kept)
                qsort(source->kept, source->n_kept, sizeof(*source->kept), compare_kept);
        return r;
}

static int advance(Source *source)
{
        int r = 0;

        source->has_current = false;
        if (source->reader) {
                r = bg_feed_reader_next(source->reader, &source->current);
                source->has_current = !r;
        } else if (source->i_kept < source->n_kept) {
                source->current = source->kept[source->i_kept++].event;
                source->has_current = true;
        }
        if (source->has_current)
                source->time = bg_feed_time(&source->current);
        return r == BG_FEED_E_END ? 0 : r;
}

int bg_feed_merge_open(BgFeedMerge **mergep, const char *const *paths, size_t n_paths, BgFeedComplaint *complain, void *data)
{
        BgFeedMerge *merge = calloc(1, sizeof(*merge));
        int r = 0;

        *mergep = NULL;
        if (!merge)
                return -ENOMEM;
        merge->sources = calloc(n_paths ? n_paths : 1, sizeof(*merge->sources));
        if (!merge->sources)
                r = -ENOMEM;
        for (size_t i = 0; !r && i < n_paths; i++) {
                merge->n_sources = i + 1;
                merge->sources[i].path = paths[i];
                r = prepare(merge, &merge->sources[i], complain, data);
                if (!r)
                        r = advance(&merge->sources[i]);
        }
        if (r) {
                bg_feed_merge_close(merge);
                return r;
        }
        *mergep = merge;
        return 0;
}

void bg_feed_merge_close(BgFeedMerge *merge)
{
        if (!merge)
                return;
        for (size_t i = 0; i < merge->n_sources; i++) {
                bg_feed_reader_close(merge->sources[i].reader);
                free(merge->sources[i].kept);
                bg_arena_deinit(&merge->sources[i].texts);
        }
        free(merge->sources);
        free(merge);
}

int bg_feed_merge_next(BgFeedMerge *merge, BgEvent *event)
{
        Source *best = NULL;
        int r;

        if (merge->given) {
                r = advance(merge->given);
                if (r)
                        return r;
                merge->given = NULL;
        }
        for (size_t i = 0; i < merge->n_sources; i++) {
                Source *source = &merge->sources[i];

                if (source->has_current && (!best || source->time < best->time ||
                                            (source->time == best->time && rank(&source->current) < rank(&best->current))))
                        best = source;
        }
        if (!best)
                return BG_FEED_E_END;
        merge->given = best;
        *event = best->current;
        return 0;
}

int64_t bg_feed_merge_n_events(const BgFeedMerge *merge)
{
        return merge->n_events;
}

int64_t bg_feed_merge_n_bad(const BgFeedMerge *merge)
{
        return merge->n_bad;
}

void bg_feed_merge_span(const BgFeedMerge *merge, int64_t *firstp, int64_t *lastp)
{
        *firstp = merge->first;
        *lastp = merge->last;
}
