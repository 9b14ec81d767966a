/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_TESTING_H
#define BURGEON_STREAM_TESTING_H

/* Shared by the unit tests of this room: random events, scratch directories. Included once by each test program. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/proto.h"

static uint64_t testing_seed = 1;
static uint64_t testing_state;

/* From BURGEON_TEST_SEED, else always the same; printed, so that a failure can be repeated. */
static inline void testing_seed_init(void)
{
        const char *text = getenv("BURGEON_TEST_SEED");

        testing_seed = text ? strtoull(text, NULL, 0) : 20250201;
        testing_state = testing_seed;
        fprintf(stderr, "# BURGEON_TEST_SEED=%llu\n", (unsigned long long)testing_seed);
}

static inline uint64_t testing_random(void) /* splitmix64 */
{
        uint64_t z = (testing_state += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
}

static inline int64_t testing_between(int64_t low, int64_t high)
{
        return low + (int64_t)(testing_random() % (uint64_t)(high - low + 1));
}

/* A valid name, now and then of the greatest length. */
static inline BgStr testing_name(BgArena *arena, int n_different)
{
        char text[BG_NAME_MAX + 1];
        int n = snprintf(text, sizeof(text), "org-%d/model_%d.x", (int)testing_between(0, 9),
                         (int)testing_between(0, n_different));

        if (testing_between(0, 49) == 0) {
                memset(text + n, 'z', BG_NAME_MAX - (size_t)n);
                n = BG_NAME_MAX;
        }
        return (BgStr){ bg_arena_copy(arena, text, (size_t)n), (size_t)n };
}

/* Any valid event; its texts live in the arena. */
static inline BgEvent testing_event(BgArena *arena)
{
        BgEvent event = { .type = (BgEventType)testing_between(BG_EVENT_ADD, BG_EVENT_ALIVE) };
        int64_t time = testing_between(BG_TIME_MIN, BG_TIME_MAX - 1);

        if (testing_between(0, 9) == 0)
                time = BG_TIME_MIN;
        if (event.type == BG_EVENT_TALLY) {
                event.model = testing_name(arena, 50);
                event.from = time;
                event.to = testing_between(time + 1, BG_TIME_MAX);
                event.count = testing_between(0, 2) == 0 ? 0 : testing_between(0, BG_COUNT_MAX);
                event.relation = (BgRelation)testing_between(0, BG_RELATION_N - 1);
                return event;
        }
        event.at = time;
        switch (event.type) {
        case BG_EVENT_ADD:
                event.relation = (BgRelation)testing_between(0, BG_RELATION_N - 1);
                event.release = testing_between(0, 1) ? testing_between(BG_TIME_MIN, BG_TIME_MAX) : 0;
                /* fallthrough */
        case BG_EVENT_REMOVE:
                event.model = testing_name(arena, 50);
                event.child = testing_name(arena, 100000);
                break;
        case BG_EVENT_MOVE:
                event.from_name = testing_name(arena, 1000);
                event.to_name = testing_name(arena, 1000);
                if (testing_between(0, 1)) {
                        event.model = testing_name(arena, 50);
                        event.to_model = testing_name(arena, 50);
                }
                break;
        case BG_EVENT_RELEASE:
                event.model = testing_name(arena, 50);
                break;
        default:
                event.source = testing_between(0, 1) ? (BgStr){ bg_arena_copy(arena,
                                                                              "f\xc3\xa9"
                                                                              "ed 1",
                                                                              7),
                                                                7 }
                                                     : (BgStr){ NULL, 0 };
                break;
        }
        return event;
}

static inline void testing_assert_text(BgStr a, BgStr b)
{
        assert_int_equal(a.len, b.len);
        if (a.len)
                assert_memory_equal(a.data, b.data, a.len);
}

static inline void testing_assert_event(const BgEvent *a, const BgEvent *b)
{
        assert_int_equal(a->type, b->type);
        assert_int_equal(a->relation, b->relation);
        assert_int_equal(a->at, b->at);
        assert_int_equal(a->from, b->from);
        assert_int_equal(a->to, b->to);
        assert_int_equal(a->release, b->release);
        assert_int_equal(a->count, b->count);
        testing_assert_text(a->model, b->model);
        testing_assert_text(a->child, b->child);
        testing_assert_text(a->from_name, b->from_name);
        testing_assert_text(a->to_name, b->to_name);
        testing_assert_text(a->to_model, b->to_model);
        testing_assert_text(a->source, b->source);
}

/* A directory of its own for each test; `state` is its path. */
static inline int testing_setup(void **state)
{
        const char *base = getenv("TMPDIR");
        char path[256];

        snprintf(path, sizeof(path), "%s/burgeon-test.XXXXXX", base ? base : "/tmp");
        if (!mkdtemp(path))
                return -1;
        *state = strdup(path);
        return *state ? 0 : -1;
}

static inline int testing_teardown(void **state)
{
        char command[300];

        snprintf(command, sizeof(command), "rm -rf '%s'", (char *)*state);
        free(*state);
        return system(command);
}

static inline void testing_path(void **state, const char *name, char path[512])
{
        snprintf(path, 512, "%s/%s", (char *)*state, name);
}

static inline void testing_write_file(const char *path, const void *bytes, size_t n)
{
        FILE *file = fopen(path, "wb");

        assert_non_null(file);
        assert_int_equal(n ? fwrite(bytes, 1, n, file) : 0, n);
        assert_int_equal(fclose(file), 0);
}

/* malloc'ed */
static inline char *testing_read_file(const char *path, size_t *np)
{
        FILE *file = fopen(path, "rb");
        struct stat st;

        assert_non_null(file);
        assert_int_equal(fstat(fileno(file), &st), 0);
        char *bytes = malloc((size_t)st.st_size + 1);
        assert_non_null(bytes);
        *np = fread(bytes, 1, (size_t)st.st_size, file);
        assert_int_equal(*np, st.st_size);
        fclose(file);
        return bytes;
}

#endif
