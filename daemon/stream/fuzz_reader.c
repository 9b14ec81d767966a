/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Any bytes as a file of events. What comes out is within the ranges that the rest of the daemon relies on, and the merge gives
 * the same events in the same order whether it streams the file or sorts it in memory.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/stream/merge_private.h"

#define MUST(condition) \
        do { \
                if (!(condition)) { \
                        fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
                        abort(); \
                } \
        } while (0)

static int64_t last_line;

static void complain(void *data, const char *path, int64_t line, const char *what)
{
        (void)path;
        MUST(line >= last_line); /* several lines may be wrong, each once or (a broken stream) twice */
        MUST(what[0] && strlen(what) < 512);
        last_line = line;
        ++*(int64_t *)data;
}

static void check_time(int64_t us)
{
        MUST(us >= BG_TIME_MIN && us <= BG_TIME_MAX);
}

static void check_event(const BgEvent *event, int64_t time)
{
        MUST(event->type > BG_EVENT_NONE && event->type < BG_EVENT_N);
        MUST((int)event->relation >= 0 && event->relation < BG_RELATION_N);
        if (event->type == BG_EVENT_TALLY) {
                check_time(event->from);
                check_time(event->to);
                MUST(event->from < event->to && event->count >= 0 && event->count <= BG_COUNT_MAX && time == event->to);
        } else {
                check_time(event->at);
                MUST(time == event->at);
        }
        if (event->type == BG_EVENT_ADD || event->type == BG_EVENT_REMOVE)
                MUST(bg_proto_name_valid(event->child));
        if (event->type == BG_EVENT_MOVE) {
                MUST(bg_proto_name_valid(event->from_name) && bg_proto_name_valid(event->to_name));
                MUST(!event->model.len == !event->to_model.len);
        } else if (event->type != BG_EVENT_ALIVE) {
                MUST(bg_proto_name_valid(event->model));
        }
}

static void same_event(const BgEvent *a, const BgEvent *b)
{
        MUST(a->type == b->type && a->relation == b->relation && a->at == b->at && a->from == b->from && a->to == b->to &&
             a->release == b->release && a->count == b->count);
        MUST(bg_str_equal(a->model, b->model) && bg_str_equal(a->child, b->child) && bg_str_equal(a->from_name, b->from_name) &&
             bg_str_equal(a->to_name, b->to_name) && bg_str_equal(a->to_model, b->to_model) &&
             bg_str_equal(a->source, b->source));
}

static void both_merges(const char *path, size_t n_events, int64_t n_bad)
{
        const char *paths[] = { path };
        BgMerge *streamed, *sorted;
        BgEvent a, b;
        int64_t time_a, time_b, before = INT64_MIN;
        char why[512];

        MUST(bg_merge_open_limit(&streamed, paths, 1, NULL, NULL, why, sizeof(why), 0) == 0);
        MUST(bg_merge_open_limit(&sorted, paths, 1, NULL, NULL, why, sizeof(why), INT64_MAX) == 0);
        MUST(bg_merge_n_events(streamed) == n_events && bg_merge_n_events(sorted) == n_events);
        MUST(bg_merge_n_bad(streamed) == n_bad && bg_merge_n_bad(sorted) == n_bad);
        for (size_t i = 0; i < n_events; i++) {
                MUST(bg_merge_next(streamed, &a, &time_a) == 0 && bg_merge_next(sorted, &b, &time_b) == 0);
                MUST(time_a == time_b && time_a >= before);
                same_event(&a, &b);
                check_event(&a, time_a);
                before = time_a;
        }
        MUST(bg_merge_next(streamed, &a, &time_a) == BG_READER_E_END && bg_merge_next(sorted, &b, &time_b) == BG_READER_E_END);
        bg_merge_close(streamed);
        bg_merge_close(sorted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static int fd = -1;
        char path[64], why[512] = "";
        int64_t n_bad = 0, time;
        size_t n_events = 0;
        BgReader *reader;
        BgEvent event;
        int r;

        if (fd < 0)
                fd = memfd_create("fuzz_reader", MFD_CLOEXEC);
        MUST(fd >= 0 && ftruncate(fd, 0) == 0 && (size == 0 || pwrite(fd, data, size, 0) == (ssize_t)size));
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        last_line = 0;
        r = bg_reader_open(&reader, path, complain, &n_bad, why, sizeof(why));
        if (r) {
                MUST(r == BG_READER_E_UNUSABLE && !reader && why[0]);
                return 0;
        }
        while ((r = bg_reader_next(reader, &event, &time)) == 0) {
                check_event(&event, time);
                double progress = bg_reader_progress(reader);
                MUST(progress >= 0 && progress <= 1);
                n_events++;
        }
        MUST(bg_reader_n_bad(reader) == n_bad);
        bg_reader_close(reader);
        if (r == BG_READER_E_END)
                both_merges(path, n_events, n_bad);
        return 0;
}
