/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/stream/lines.h"

#define GZIP_BUFFER (128 << 10)

int bg_lines_open(BgLines *lines, const char *path)
{
        struct stat st;

        *lines = (BgLines){ 0 };
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) || S_ISDIR(st.st_mode)) {
                close(fd);
                return -EISDIR;
        }
        lines->size = S_ISREG(st.st_mode) ? st.st_size : 0;
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
        lines->buffer = malloc(BG_LINES_BUFFER);
        lines->file = lines->buffer ? gzdopen(fd, "rb") : NULL;
        if (!lines->file) {
                close(fd);
                free(lines->buffer);
                *lines = (BgLines){ 0 };
                return -ENOMEM;
        }
        gzbuffer(lines->file, GZIP_BUFFER);
        return 0;
}

void bg_lines_close(BgLines *lines)
{
        if (lines->file)
                gzclose_r(lines->file);
        free(lines->buffer);
        *lines = (BgLines){ 0 };
}

/* More bytes behind those that wait; these move to the front. */
static int lines_fill(BgLines *lines)
{
        if (lines->start) {
                memmove(lines->buffer, lines->buffer + lines->start, lines->end - lines->start);
                lines->end -= lines->start;
                lines->start = 0;
        }
        if (lines->n_filled++ == 0)
                lines->plain = gzdirect(lines->file);
        int n = gzread(lines->file, lines->buffer + lines->end, (unsigned)(BG_LINES_BUFFER - lines->end));
        if (n > 0) {
                lines->end += (size_t)n;
                return 0;
        }

        int code;
        const char *text = gzerror(lines->file, &code);
        if (n == 0 && (code == Z_OK || code == Z_STREAM_END)) {
                lines->eof = true;
                return 0;
        }
        int r = code == Z_ERRNO ? -errno : code == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
        snprintf(lines->why, sizeof(lines->why), "%s", code == Z_ERRNO ? strerror(-r) : text);
        return r < 0 ? r : -EIO;
}

/*
 * Where the record that begins at data[0] ends: index of its line break; n when that is not among the n bytes. A quote opens a
 * field only at its beginning (RFC 4180); elsewhere it is a byte like others, for the CSV reader to object to.
 */
static size_t record_end(const char *data, size_t n, bool quotes, bool *openp)
{
        const char *end = memchr(data, '\n', n);

        *openp = false;
        if (!quotes || !memchr(data, '"', end ? (size_t)(end - data) : n))
                return end ? (size_t)(end - data) : n;

        bool at_field = true;
        for (size_t i = 0; i < n; i++) {
                if (data[i] == '\n')
                        return i;
                if (at_field && data[i] == '"') {
                        do { /* to the quote that is not doubled */
                                const char *close = memchr(data + i + 1, '"', n - i - 1);
                                if (!close) {
                                        *openp = true;
                                        return n;
                                }
                                i = (size_t)(close - data) + 1;
                        } while (i < n && data[i] == '"');
                        i--;
                        at_field = false;
                        continue;
                }
                at_field = data[i] == ',';
        }
        return n;
}

static int64_t count_breaks(const char *data, size_t n)
{
        int64_t count = 0;

        for (const char *at = data, *end = data + n; (at = memchr(at, '\n', (size_t)(end - at))); at++)
                count++;
        return count;
}

/* Pass everything up to and including the next line break. */
static int skip_line(BgLines *lines)
{
        for (;;) {
                char *from = lines->buffer + lines->start;
                char *end = memchr(from, '\n', lines->end - lines->start);
                if (end) {
                        lines->start = (size_t)(end - lines->buffer) + 1;
                        lines->n_lines++;
                        return 0;
                }
                lines->start = lines->end;
                if (lines->eof)
                        return 0;
                int r = lines_fill(lines);
                if (r)
                        return r;
        }
}

int bg_lines_first(BgLines *lines, char *bytep)
{
        bool at_start = true;

        for (;;) {
                while (lines->end - lines->start < 3 && !lines->eof) {
                        int r = lines_fill(lines);
                        if (r)
                                return r;
                }
                if (at_start && lines->end >= 3 && !memcmp(lines->buffer, "\xef\xbb\xbf", 3))
                        lines->start = 3;
                at_start = false;
                if (lines->start == lines->end)
                        return BG_LINES_E_END;

                char byte = lines->buffer[lines->start];
                if (byte != ' ' && byte != '\t' && byte != '\r' && byte != '\n') {
                        *bytep = byte;
                        return 0;
                }
                lines->n_lines += byte == '\n';
                lines->start++;
        }
}

int bg_lines_next(BgLines *lines, char **recordp, size_t *lenp)
{
        size_t n, len;
        bool open;
        char *record;

        for (;;) {
                n = lines->end - lines->start;
                record = lines->buffer + lines->start;
                /* one byte more than the longest record: its line break */
                size_t look = n < BG_LINES_RECORD_MAX + 1 ? n : BG_LINES_RECORD_MAX + 1;
                len = record_end(record, look, lines->quotes, &open);
                if (len < look || look == BG_LINES_RECORD_MAX + 1 || lines->eof)
                        break;
                int r = lines_fill(lines);
                if (r)
                        return r;
        }
        if (n == 0)
                return BG_LINES_E_END;
        lines->line = lines->n_lines + 1;

        if (open || len > BG_LINES_RECORD_MAX) {
                int r = skip_line(lines);
                return r ? r : open ? BG_LINES_E_UNCLOSED : BG_LINES_E_LONG;
        }
        lines->n_lines += count_breaks(record, len);
        lines->start += len;
        if (len < n) {
                lines->start++;
                lines->n_lines++;
        }
        if (len && record[len - 1] == '\r')
                len--;
        *recordp = record;
        *lenp = len;
        return 0;
}

double bg_lines_progress(const BgLines *lines)
{
        /* Plain: what was given out, to the byte. Compressed: what was taken from the file; nobody knows how much of that waits.
         */
        int64_t at = lines->plain ? (int64_t)gztell(lines->file) - (int64_t)(lines->end - lines->start)
                                  : (int64_t)gzoffset(lines->file);

        if (lines->size <= 0 || at < 0)
                return 0;
        return at < lines->size ? (double)at / (double)lines->size : 1;
}
