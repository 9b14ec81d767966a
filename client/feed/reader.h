/* SPDX-License-Identifier: MIT */
#ifndef BURGEON_CLIENT_FEED_READER_H
#define BURGEON_CLIENT_FEED_READER_H

#include <stddef.h>
#include <stdint.h>

#include "proto/proto.h"

/*
 * Files of events: CSV by its header, or JSON Lines of events as on the wire; plain or gzip; "-" is standard input.
 *
 *   model,child,created_at[,relation]   adds         model,from,to,count[,relation]   tallies
 *   model[,org],released_at             releases     `base` is read as `model`; columns in any order, others are ignored
 *
 * A line that is no event is reported and skipped, never guessed at. An empty released_at is no event and no complaint.
 */

typedef struct BgFeedReader BgFeedReader;

#define BG_FEED_E_END 1
#define BG_FEED_E_UNUSABLE 2 /* no file of events; the complaint said what was found */

/** A line (from 1) of a file and what is wrong with it. */
typedef void BgFeedComplaint(void *data, const char *path, int64_t line, const char *what);

/** Return: 0, BG_FEED_E_UNUSABLE, or negative errno (-ENOENT, ..). `path` and `complain` must outlive the reader. */
int bg_feed_reader_open(BgFeedReader **readerp, const char *path, BgFeedComplaint *complain, void *data);
void bg_feed_reader_close(BgFeedReader *reader); /* NULL is fine */
/** The next valid event; its texts live until the next call. Return: 0, BG_FEED_E_END, or negative errno. */
int bg_feed_reader_next(BgFeedReader *reader, BgEvent *event);

int64_t bg_feed_reader_line(const BgFeedReader *reader);
int64_t bg_feed_reader_n_bad(const BgFeedReader *reader);
double bg_feed_reader_progress(const BgFeedReader *reader); /* as bg_input_progress() */

/** When an event belongs in the stream: `at`, or the end of a tally. */
static inline int64_t bg_feed_time(const BgEvent *event)
{
        return event->type == BG_EVENT_TALLY ? event->to : event->at;
}

/* ---- several files as one stream in time order -------------------------------------------------------------------------------- */

/*
 * Files that are in time order are read twice (to know, then to send) and held in no memory; others, and pipes, are read into
 * memory (about 160 B and the texts an event) and sorted. Equal times: releases, then tallies, then the others in file order.
 */
typedef struct BgFeedMerge BgFeedMerge;

int bg_feed_merge_open(BgFeedMerge **mergep, const char *const *paths, size_t n_paths, BgFeedComplaint *complain, void *data);
void bg_feed_merge_close(BgFeedMerge *merge); /* NULL is fine */
int bg_feed_merge_next(BgFeedMerge *merge, BgEvent *event); /* as bg_feed_reader_next() */
int64_t bg_feed_merge_n_events(const BgFeedMerge *merge);
int64_t bg_feed_merge_n_bad(const BgFeedMerge *merge);
void bg_feed_merge_span(const BgFeedMerge *merge, int64_t *firstp, int64_t *lastp); /* of times; 0, 0 when there is nothing */

#endif
