/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_READER_H
#define BURGEON_STREAM_READER_H

#include <stddef.h>
#include <stdint.h>

#include "proto/proto.h"

/*
 * Files of events: CSV by its header, JSON Lines (one BgEvent object a line, as on the wire), plain or gzip.
 *
 *   model,child,created_at[,relation]      adds            model,from,to,count[,relation]   tallies
 *   model[,org],released_at                releases        `base` is read as `model`, columns in any order, others ignored
 *
 * Quoted CSV fields (RFC 4180), CRLF, a UTF-8 byte order mark, a last line without newline. An empty released_at is no event.
 * A bad line is reported and skipped, never guessed at.
 */

typedef struct BgReader BgReader;

#define BG_READER_E_END 1     /* no more events */
#define BG_READER_E_UNUSABLE 2 /* open: not a file of events; `why` says what was found and what is expected */

/** Called for every line that is not an event: name, line from 1, and what is wrong with it. May be NULL. */
typedef void BgReaderComplaint(void *data, const char *path, int64_t line, const char *what);

int bg_reader_open(BgReader **readerp, const char *path, BgReaderComplaint *complain, void *data, char *why, size_t why_size);
void bg_reader_close(BgReader *reader); /* NULL is fine */
/** Next event; its strings live until the next call. `timep`: when it is to be applied (at; a tally's `to`). */
int bg_reader_next(BgReader *reader, BgEvent *event, int64_t *timep);
int64_t bg_reader_line(const BgReader *reader);
int64_t bg_reader_n_bad(const BgReader *reader);
/** 0 .. 1: share of the file's bytes that was read (for progress). */
double bg_reader_progress(const BgReader *reader);

/*
 * Several files as one stream in time order. Files that are not in time order themselves are sorted: all events are read into
 * memory (about 60 B an event plus names) and ordered by (time, release before tally before add before others, file, line).
 */
typedef struct BgMerge BgMerge;
int bg_merge_open(BgMerge **mergep, const char *const *paths, size_t n_paths, BgReaderComplaint *complain, void *data, char *why,
                  size_t why_size);
int bg_merge_next(BgMerge *merge, BgEvent *event, int64_t *timep); /* as bg_reader_next(); strings live as long as the merge */
size_t bg_merge_n_events(const BgMerge *merge);
int64_t bg_merge_n_bad(const BgMerge *merge);
void bg_merge_close(BgMerge *merge);

#endif
