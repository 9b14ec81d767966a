/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_LINES_H
#define BURGEON_STREAM_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zlib.h>

#include "proto/proto.h"

/* The records of a text file, plain or gzip: lines, or lines joined by quoted line breaks. Memory: one buffer of 256 KiB. */

#define BG_LINES_RECORD_MAX 65536 /* bytes of a record, without its line break */
#define BG_LINES_BUFFER (4 * BG_LINES_RECORD_MAX)

typedef struct BgLines {
        gzFile file;
        char *buffer;
        size_t start, end; /* of what is not yet used */
        int64_t size;      /* of the file as it lies on disk; 0 = unknown (a pipe) */
        int64_t line;      /* of the first line of the record returned last, from 1 */
        int64_t n_lines;   /* line breaks passed */
        int64_t n_filled;
        bool plain; /* not compressed */
        bool eof;
        bool quotes;   /* a line break inside a quoted CSV field does not end the record */
        char why[128]; /* after a negative errno */
} BgLines;

#define BG_LINES_E_END 1
#define BG_LINES_E_LONG 2     /* the line was longer than BG_LINES_RECORD_MAX and is passed */
#define BG_LINES_E_UNCLOSED 3 /* a quote was not closed within BG_LINES_RECORD_MAX bytes; only its first line is passed */

/** 0, -ENOMEM, or why the file cannot be opened. `lines` is wholly overwritten. */
int bg_lines_open(BgLines *lines, const char *path);
void bg_lines_close(BgLines *lines); /* accepts the zero value, and twice */

/** Pass a byte order mark at the start, spaces and empty lines. *bytep: the byte that follows, which stays. 0, BG_LINES_E_END, or
 * a negative errno. */
int bg_lines_first(BgLines *lines, char *bytep);
/** Next record, without its line break, writable, valid until the next call. Return: 0, a code above, or a negative errno
 * (damaged gzip data: -EBADMSG), which then stays. */
int bg_lines_next(BgLines *lines, char **recordp, size_t *lenp);
/** 0 .. 1: share of the file that was read; 0 when its size is not known. */
double bg_lines_progress(const BgLines *lines);

#endif
