/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "client/feed/input.h"

#define BUFFER_BYTES (4 * BG_INPUT_LINE_MAX)

struct BgInput {
        gzFile file;
        int64_t size; /* on disk; 0 = not known */
        int64_t number;
        size_t begin; /* unread bytes of the buffer */
        size_t end;
        bool at_end;
        char buffer[BUFFER_BYTES];
};

int bg_input_open(BgInput **inputp, const char *path)
{
        BgInput *input = calloc(1, sizeof(*input));
        struct stat info;
        int fd, r = 0;

        *inputp = NULL;
        if (!input)
                return -ENOMEM;
        fd = !strcmp(path, "-") ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                r = -errno;
        if (!r && !fstat(fd, &info)) {
                if (S_ISREG(info.st_mode))
                        input->size = info.st_size;
                else if (S_ISDIR(info.st_mode))
                        r = -EISDIR;
        }
        if (!r) {
                input->file = gzdopen(fd, "rb");
                r = input->file ? 0 : -ENOMEM;
        }
        if (r) {
                if (fd >= 0)
                        close(fd);
                free(input);
                return r;
        }
        gzbuffer(input->file, 1 << 17);
        *inputp = input;
        return 0;
}

void bg_input_close(BgInput *input)
{
        if (!input)
                return;
        gzclose_r(input->file);
        free(input);
}

static int fill(BgInput *input)
{
        int n, e;

        if (input->begin) {
                memmove(input->buffer, input->buffer + input->begin, input->end - input->begin);
                input->end -= input->begin;
                input->begin = 0;
        }
        n = gzread(input->file, input->buffer + input->end, (unsigned)(BUFFER_BYTES - input->end));
        if (n > 0) {
                input->end += (size_t)n;
                return 0;
        }
        gzerror(input->file, &e);
        if (n < 0 && e == Z_ERRNO)
                return errno == EINTR ? 0 : -(errno ? errno : EIO);
        input->at_end = true;
        return n < 0 || e == Z_BUF_ERROR ? BG_INPUT_E_DAMAGED : 0;
}

int bg_input_line(BgInput *input, char **linep, size_t *lenp)
{
        bool too_long = false;
        int r;

        for (;;) {
                char *line = input->buffer + input->begin, *newline;
                size_t n = input->end - input->begin;

                newline = n ? memchr(line, '\n', n) : NULL;
                if (newline || (input->at_end && n)) {
                        size_t len = newline ? (size_t)(newline - line) : n;

                        input->begin += newline ? len + 1 : len;
                        input->number++;
                        if (too_long || len > BG_INPUT_LINE_MAX)
                                return BG_INPUT_E_LONG;
                        if (len && line[len - 1] == '\r')
                                len--;
                        *linep = line;
                        *lenp = len;
                        return 0;
                }
                if (input->at_end) {
                        if (!too_long)
                                return BG_INPUT_E_END;
                        input->number++;
                        return BG_INPUT_E_LONG;
                }
                if (n > BG_INPUT_LINE_MAX) {
                        too_long = true;
                        input->begin = input->end;
                }
                r = fill(input);
                if (r)
                        return r;
        }
}

int64_t bg_input_number(const BgInput *input)
{
        return input->number;
}

double bg_input_progress(const BgInput *input)
{
        double share;

        if (!input->size)
                return -1;
        share = (double)gzoffset(input->file) / (double)input->size;
        return share > 1 ? 1 : share;
}
