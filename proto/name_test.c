/* SPDX-License-Identifier: MIT */
/* Names, topics, enums, times, buffers and arenas. */

#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proto/sample.h"

/* ---- names ------------------------------------------------------------------------------------------------------------------ */

static void names_have_one_slash_inside(void **state)
{
        (void)state;
        static const char *const good[] = { "a/b", "meta-llama/Llama-3.1-8B", "0/_", ".a/..b", "a/...", "-/-" };
        static const char *const bad[] = { "",    "a",    "a/",   "/b",   "/",     "a//b", "a/b/c", "a b/c", "a/b\n", "\xc3\xa9/b",
                                           "./b", "../b", "a/..", "a/.",  "a\\/b", "a/b?", "a/b%",  "a/b\x7f" };

        for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
                assert_true(bg_proto_name_valid(bg_str(good[i])));
        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
                assert_false(bg_proto_name_valid(bg_str(bad[i])));
        assert_false(bg_proto_name_valid((BgStr){ 0 }));
        assert_false(bg_proto_name_valid((BgStr){ "a/b\0c", 5 }));
}

static void names_end_at_255_bytes(void **state)
{
        (void)state;
        char text[BG_NAME_MAX + 1];

        memset(text, 'x', sizeof(text));
        text[100] = '/';
        assert_true(bg_proto_name_valid((BgStr){ text, BG_NAME_MAX }));
        assert_false(bg_proto_name_valid((BgStr){ text, BG_NAME_MAX + 1 }));
}

static void the_organisation_is_before_the_slash(void **state)
{
        (void)state;
        assert_true(bg_str_equal(bg_proto_name_org(BG_STR("meta-llama/Llama")), BG_STR("meta-llama")));
        assert_true(bg_str_equal(bg_proto_name_org(BG_STR("bare")), BG_STR("bare")));
        assert_int_equal(bg_proto_name_org((BgStr){ 0 }).len, 0);
}

static void topics_end_in_a_slash(void **state)
{
        (void)state;
        BgBuffer topic = { 0 };

        assert_int_equal(bg_proto_topic(&topic, "forecast", BG_STR("a/b")), 0);
        assert_memory_equal(topic.data, "forecast/a/b/", topic.len);
        assert_int_equal(topic.len, 13);
        bg_buffer_clear(&topic);
        assert_int_equal(bg_proto_topic(&topic, "heartbeat", (BgStr){ 0 }), 0);
        assert_memory_equal(topic.data, "heartbeat/", topic.len);
        assert_int_equal(topic.len, 10);
        bg_buffer_deinit(&topic);
}

static void words_and_values_agree(void **state)
{
        (void)state;
        int value = -1;

        assert_string_equal(bg_proto_relation_name(BG_RELATION_ADAPTER), "adapter");
        assert_string_equal(bg_proto_relation_name(BG_RELATION_N), "?");
        assert_string_equal(bg_proto_relation_name(-1), "?");
        assert_string_equal(bg_proto_reject_name(BG_REJECT_NONE), "");
        assert_int_equal(bg_proto_query_find(&value, BG_STR("snapshot")), 0);
        assert_int_equal(value, BG_QUERY_SNAPSHOT);
        assert_int_equal(bg_proto_query_find(&value, BG_STR("snapshots")), -ENOENT);
        assert_int_equal(bg_proto_relation_find(&value, BG_STR("")), -ENOENT); /* there is no empty relation .. */
        assert_int_equal(bg_proto_error_find(&value, (BgStr){ 0 }), 0);        /* .. but there may be no error */
        assert_int_equal(value, BG_ERROR_NONE);
#define BG_M(TABLE, CName, c_name) \
        for (int i = 0; i < bg_words_##c_name.n; i++) { \
                assert_int_equal(bg_proto_##c_name##_find(&value, bg_str(bg_proto_##c_name##_name(i))), 0); \
                assert_int_equal(value, i); \
        }
        BG_ENUMS(BG_M)
#undef BG_M
}

/* ---- texts ------------------------------------------------------------------------------------------------------------------ */

static void text_is_utf8_without_controls(void **state)
{
        (void)state;
        static const char *const good[] = { "", "plain", "\u00e9\u20ac\U0001f331", "\u00a0", "\U0010ffff" };
        static const char *const bad[] = { "\n",           "\x1b[31m",         "\x7f",     "\xc2\x85",   "\x80",     "\xc0\x80",
                                           "\xe0\x80\x80", "\xed\xa0\x80",     "\xf5\x80\x80\x80", "\xf4\x90\x80\x80", "\xc3",
                                           "\xe2\x82",     "\xf0\x9f\x8c",     "\xc3(",    "\xff",     "a\xe2\x28\xa1" };

        for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
                assert_true(bg_text_valid(bg_str(good[i])));
        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
                assert_false(bg_text_valid(bg_str(bad[i])));
        assert_false(bg_text_valid((BgStr){ "a\0b", 3 }));
}

/* ---- times ------------------------------------------------------------------------------------------------------------------- */

static void assert_time(const char *text, int64_t expected)
{
        int64_t us = -1;

        if (bg_time_parse(&us, bg_str(text)))
                fail_msg("%s is refused", text);
        if (us != expected)
                fail_msg("%s gives %lld, not %lld", text, (long long)us, (long long)expected);
}

static void times_are_read_as_rfc_3339(void **state)
{
        (void)state;
        assert_time("1970-01-01T00:00:00Z", 0);
        assert_time("2015-01-01", BG_TIME_MIN);
        assert_time("2200-01-01T00:00:00Z", BG_TIME_MAX);
        assert_time("2024-02-29T23:59:59.999999Z", INT64_C(1709251199999999));
        assert_time("2022-03-02T23:29:04.000Z", INT64_C(1646263744000000));
        assert_time("2024-01-01t12:00:00z", INT64_C(1704110400000000));
        assert_time("2024-01-01 12:00:00+05:30", INT64_C(1704090600000000));
        assert_time("2024-01-01T00:00:00-00:30", INT64_C(1704069000000000));
        assert_time("2024-01-01T00:00:00.1234567Z", INT64_C(1704067200123456));
        assert_time("2016-12-31T23:59:60Z", INT64_C(1483228800000000)); /* the leap second is the next second */
        assert_time("1969-12-31T23:59:59.5Z", -500000);
        assert_time("0000-03-01T00:00:00Z", INT64_C(-62162035200000000));
}

static void times_that_are_none_are_refused(void **state)
{
        (void)state;
        static const char *const bad[] = { "",
                                           "2024",
                                           "2024-1-1",
                                           "2024-00-01",
                                           "2024-13-01",
                                           "2024-02-30",
                                           "2023-02-29",
                                           "1900-02-29",
                                           "2024-01-00",
                                           "2024-01-01T",
                                           "2024-01-01T00:00Z",
                                           "2024-01-01T24:00:00Z",
                                           "2024-01-01T00:60:00Z",
                                           "2024-01-01T00:00:61Z",
                                           "2024-01-01T00:00:00",
                                           "2024-01-01T00:00:00.Z",
                                           "2024-01-01T00:00:00+24:00",
                                           "2024-01-01T00:00:00+01:60",
                                           "2024-01-01T00:00:00+0100",
                                           "2024-01-01T00:00:00Zx",
                                           " 2024-01-01",
                                           "2024-01-01 ",
                                           "+024-01-01",
                                           "tomorrow" };
        int64_t us;

        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
                assert_int_equal(bg_time_parse(&us, bg_str(bad[i])), -EINVAL);
        assert_int_equal(bg_time_parse(&us, (BgStr){ "2024-01-01\0", 11 }), -EINVAL);
}

static void times_agree_with_the_c_library(void **state)
{
        (void)state;
        BgSampler sampler = bg_sampler(NULL);

        for (int i = 0; i < 20000; i++) {
                /* years 0000 .. 9999 */
                int64_t us = (int64_t)bg_sample_below(&sampler, UINT64_C(315569520000000000)) - INT64_C(62167219200000000);
                char text[BG_TIME_TEXT_MAX], libc[40];
                int64_t back;
                if (i % 2)
                        us -= us % 1000000;
                size_t len = bg_time_format(us, text);
                assert_int_equal(len, strlen(text));
                assert_int_equal(bg_time_parse(&back, (BgStr){ text, len }), 0);
                assert_true(back == us);

                time_t seconds = us / 1000000 - (us % 1000000 < 0);
                struct tm tm;
                assert_non_null(gmtime_r(&seconds, &tm));
                snprintf(libc, sizeof(libc), "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                         tm.tm_min, tm.tm_sec);
                assert_memory_equal(text, libc, 19);
        }
}

static void any_integer_can_be_printed_as_a_time(void **state)
{
        (void)state;
        char text[BG_TIME_TEXT_MAX];

        size_t len = bg_time_format(INT64_MIN, text);
        assert_int_equal(len, strlen(text));
        assert_string_equal(text, "-290308-12-21T19:59:05.224192Z");
        len = bg_time_format(INT64_MAX, text);
        assert_int_equal(len, strlen(text));
        assert_string_equal(text, "294247-01-10T04:00:54.775807Z");
        bg_time_format(-1, text);
        assert_string_equal(text, "1969-12-31T23:59:59.999999Z");
        bg_time_format(BG_TIME_MIN, text);
        assert_string_equal(text, "2015-01-01T00:00:00Z");
}

/* ---- memory ------------------------------------------------------------------------------------------------------------------ */

static void buffers_grow_and_keep_what_they_had(void **state)
{
        (void)state;
        BgBuffer buffer = { 0 };
        size_t len = 0;

        bg_buffer_deinit(&buffer);
        assert_int_equal(bg_buffer_append(&buffer, NULL, 0), 0);
        for (int i = 0; i < 10000; i++) {
                assert_int_equal(bg_buffer_printf(&buffer, "%d,", i), 0);
                assert_int_equal(buffer.data[buffer.len], '\0');
                len += (size_t)snprintf(NULL, 0, "%d,", i);
        }
        assert_int_equal(buffer.len, len);
        assert_memory_equal(buffer.data, "0,1,2,3,", 8);
        assert_string_equal(buffer.data + buffer.len - 5, "9999,");
        char *data = buffer.data;
        bg_buffer_clear(&buffer);
        assert_int_equal(bg_buffer_append(&buffer, "x", 1), 0);
        assert_ptr_equal(buffer.data, data);
        assert_int_equal(bg_buffer_reserve(&buffer, SIZE_MAX - 4), -ENOMEM);
        assert_int_equal(buffer.len, 1);
        bg_buffer_deinit(&buffer);
        bg_buffer_deinit(&buffer);
}

static void arenas_give_aligned_zeroed_disjoint_memory(void **state)
{
        (void)state;
        BgArena arena = { 0 };
        BgSampler sampler = bg_sampler(&arena);
        unsigned char *blocks[300];
        size_t sizes[300];

        for (int round = 0; round < 3; round++) {
                for (int i = 0; i < 300; i++) {
                        sizes[i] = bg_sample_below(&sampler, i % 50 == 0 ? 3000000 : 700);
                        blocks[i] = bg_arena_alloc(&arena, sizes[i], 1);
                        assert_non_null(blocks[i]);
                        assert_int_equal((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
                        for (size_t k = 0; k < sizes[i]; k++)
                                if (blocks[i][k])
                                        fail_msg("not zero");
                        memset(blocks[i], 1 + i % 255, sizes[i]);
                }
                for (int i = 0; i < 300; i++)
                        for (size_t k = 0; k < sizes[i]; k++)
                                if (blocks[i][k] != 1 + i % 255)
                                        fail_msg("block %d was overwritten", i);
                bg_arena_clear(&arena);
        }
        assert_null(bg_arena_alloc(&arena, SIZE_MAX / 2, 3));
        assert_null(bg_arena_alloc(&arena, SIZE_MAX, 1));
        assert_string_equal(bg_arena_copy(&arena, "text", 2), "te");
        assert_string_equal(bg_arena_copy(&arena, NULL, 0), "");
        bg_arena_deinit(&arena);
        bg_arena_deinit(&arena);
        assert_non_null(bg_arena_alloc(&arena, 1, 1));
        bg_arena_deinit(&arena);
}

/* A daemon clears and refills its arena with every message: that must reach a steady state. */
static void a_cleared_arena_allocates_nothing_new(void **state)
{
        (void)state;
        BgArena arena = { 0 };
        void *first = NULL;

        for (int round = 0; round < 4; round++) {
                void *one = bg_arena_alloc(&arena, 1, 100);
                for (int i = 0; i < 20; i++)
                        assert_non_null(bg_arena_alloc(&arena, 1, 50000));
                void *last = bg_arena_alloc(&arena, 1, 50000);
                if (round == 0)
                        first = last;
                assert_non_null(one);
                assert_ptr_equal(last, first);
                bg_arena_clear(&arena);
        }
        bg_arena_deinit(&arena);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_have_one_slash_inside),
                cmocka_unit_test(names_end_at_255_bytes),
                cmocka_unit_test(the_organisation_is_before_the_slash),
                cmocka_unit_test(topics_end_in_a_slash),
                cmocka_unit_test(words_and_values_agree),
                cmocka_unit_test(text_is_utf8_without_controls),
                cmocka_unit_test(times_are_read_as_rfc_3339),
                cmocka_unit_test(times_that_are_none_are_refused),
                cmocka_unit_test(times_agree_with_the_c_library),
                cmocka_unit_test(any_integer_can_be_printed_as_a_time),
                cmocka_unit_test(buffers_grow_and_keep_what_they_had),
                cmocka_unit_test(arenas_give_aligned_zeroed_disjoint_memory),
                cmocka_unit_test(a_cleared_arena_allocates_nothing_new),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
