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
 * Column names in any case; rows have as many fields as the header. A bad line is reported and skipped, never guessed at, and so
 * is one of more than 64 KiB; an opening quote that is not closed within that costs only its own line. Memory: a fixed 0.5 MiB a
 * file.
 */

typedef struct BgReader BgReader;

#define BG_READER_E_END 1      /* no more events */
#define BG_READER_E_UNUSABLE 2 /* open: not a file of events; `why` says what was found and what is expected */

/** Called for every line that is not an event: name, line from 1, and what is wrong with it. May be NULL. */
typedef void BgReaderComplaint(void *data, const char *path, int64_t line, const char *what);

/** 0, BG_READER_E_UNUSABLE with `why` set, or -ENOMEM. */
int bg_reader_open(BgReader **readerp, const char *path, BgReaderComplaint *complain, void *data, char *why, size_t why_size);
void bg_reader_close(BgReader *reader); /* NULL is fine */
/**
 * bg_reader_next() - next event; its strings live until the next call
 * @timep: when it is to be applied (at; a tally's `to`)
 * Names, times and counts are within the ranges of messages.def.
 * Return: 0, BG_READER_E_END, or a negative errno when the rest cannot be read (-EBADMSG: damaged or cut off gzip data,
 * complained of); then every further call returns the same.
 */
int bg_reader_next(BgReader *reader, BgEvent *event, int64_t *timep);
int64_t bg_reader_line(const BgReader *reader);
int64_t bg_reader_n_bad(const BgReader *reader);
/** 0 .. 1: share of the file's bytes that was read (for progress). */
double bg_reader_progress(const BgReader *reader);

/*
 * Several files as one stream in time order: by (time, release before tally before add before others, file, line).
 *
 * Small files, pipes and files that are not in that order are read into memory and sorted: 16 B an event, its own bytes (an
 * `add`: 18 B and the child's name), and each model's name once. Large files are read through once, to count their events and to
 * see whether they are in order; those that are, are then read a second time as the stream goes, with one buffer each.
 */
typedef struct BgMerge BgMerge;
/** 0, BG_READER_E_UNUSABLE with `why` set (also: damaged gzip data), or a negative errno. Complaints come when a line is read for
 * good: now, or as the stream passes it. */
int bg_merge_open(BgMerge **mergep, const char *const *paths, size_t n_paths, BgReaderComplaint *complain, void *data, char *why,
                  size_t why_size);
/** As bg_reader_next(): strings live until the next call. -ESTALE: a file was changed since bg_merge_open(). */
int bg_merge_next(BgMerge *merge, BgEvent *event, int64_t *timep);
size_t bg_merge_n_events(const BgMerge *merge); /* in all files */
int64_t bg_merge_n_bad(const BgMerge *merge);
void bg_merge_close(BgMerge *merge); /* NULL is fine */

#endif
