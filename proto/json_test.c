/* SPDX-License-Identifier: MIT */
/* JSON: the same messages as text, by the same rules. jansson reads what our writer writes. */

#include <stddef.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/sample.h"

static BgArena arena;

static int free_arena(void **state)
{
        (void)state;
        bg_arena_deinit(&arena);
        return 0;
}

static void every_message_survives_json(void **state)
{
        (void)state;
        BgSampler sampler = bg_sampler(&arena);
        BgBuffer text = { 0 }, again = { 0 };

        for (int i = 0; i < 200 * BG_TYPE_N; i++) {
                const BgProtoType *type = bg_proto_types[i % BG_TYPE_N];
                void *message = bg_arena_alloc(&arena, 1, type->size);
                void *back = bg_arena_alloc(&arena, 1, type->size);
                BgProtoError error;
                bg_sample_message(&sampler, type, message);
                bg_buffer_clear(&text);
                bg_buffer_clear(&again);
                assert_int_equal(bg_proto_to_json(type, message, &text), 0);
                assert_null(memchr(text.data, '\n', text.len));
                json_t *json = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
                assert_non_null(json);
                json_decref(json);
                if (bg_proto_from_json(type, text.data, text.len, &arena, back, &error))
                        fail_msg("%s: %s in %.*s", type->name, error.text, (int)text.len, text.data);
                assert_true(bg_sample_equal(type, message, back));

                /* the bytes of the message say the same as the message */
                BgBuffer bytes = { 0 };
                assert_int_equal(bg_proto_pack(type, message, &bytes), 0);
                assert_int_equal(bg_proto_bytes_to_json(bytes.data, bytes.len, &again), 0);
                assert_int_equal(text.len, again.len);
                assert_memory_equal(text.data, again.data, text.len);
                bg_buffer_deinit(&bytes);
        }
        bg_buffer_deinit(&text);
        bg_buffer_deinit(&again);
}

/* A terminal program calls setlocale(); its decimal comma must not get into JSON. */
static void the_locale_does_not_matter(void **state)
{
        (void)state;
        static const char *const cases[][2] = { { "1,5", "1.5" },         { "-0,25e-07", "-0.25e-07" }, { "1.5", "1.5" },
                                                { "7", "7.0" },           { "-0", "-0.0" },             { "1e+20", "1e+20" },
                                                { "1\xd9\xab" "5", "1.5" } }; /* U+066B, the Arabic one */
        char text[BG_JSON_NUMBER_MAX];

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                bg_json_number(cases[i][0], text);
                assert_string_equal(text, cases[i][1]);
        }
}

static void assert_f64_json(double value, const char *expected)
{
        BgHeartbeat heartbeat;
        BgBuffer text = { 0 };

        bg_proto_init(&bg_proto_heartbeat, &heartbeat);
        heartbeat.input_age_s = value;
        assert_int_equal(bg_proto_to_json(&bg_proto_heartbeat, &heartbeat, &text), 0);
        assert_int_equal(bg_buffer_printf(&text, "%s", ""), 0);
        const char *found = strstr(text.data, "\"input_age_s\":");
        assert_non_null(found);
        found += strlen("\"input_age_s\":");
        if (strncmp(found, expected, strlen(expected)) || found[strlen(expected)] != ',')
                fail_msg("%.17g is printed as %.30s, not %s", value, found, expected);
        bg_buffer_deinit(&text);
}

static void numbers_are_short_and_exact(void **state)
{
        (void)state;
        assert_f64_json(0, "0.0");
        assert_f64_json(7, "7.0");
        assert_f64_json(0.1, "0.1");
        assert_f64_json(0.1 + 0.2, "0.30000000000000004");
        assert_f64_json(1e-9, "1e-09");
        assert_f64_json(123456789.25, "123456789.25");
        assert_f64_json(NAN, "null");
        assert_f64_json(1e300, "1000000000000.0"); /* saturates as on the wire */
}

static int from(const BgProtoType *type, const char *text, void *message, BgProtoError *error)
{
        *error = (BgProtoError){ .code = BG_ERROR_NONE };
        return bg_proto_from_json(type, text, strlen(text), &arena, message, error);
}

static void times_may_be_text_in_json_alone(void **state)
{
        (void)state;
        BgEvent event;
        BgProtoError error;

        assert_int_equal(from(&bg_proto_event, "{\"t\":\"add\",\"model\":\"a/b\",\"child\":\"c/d\",\"at\":\"2024-01-01\"}", &event, &error), 0);
        assert_true(event.at == INT64_C(1704067200000000));
        assert_int_equal(from(&bg_proto_event, "{\"t\":\"tally\",\"model\":\"a/b\",\"from\":\"2024-01-01T00:00:00Z\",\"to\":1704067200000001,"
                              "\"count\":\"2024-01-01\"}", &event, &error), BG_PROTO_E_MALFORMED); /* a count is no time */
        assert_string_equal(event.reject_key, "count");
        assert_int_equal(from(&bg_proto_event, "{\"t\":\"release\",\"model\":\"a/b\",\"at\":\"2014-12-31T23:59:59Z\"}", &event, &error),
                         BG_PROTO_E_MALFORMED);
        assert_int_equal(event.reject, BG_REJECT_TOO_OLD);
        assert_int_equal(from(&bg_proto_event, "{\"t\":\"release\",\"model\":\"a/b\",\"at\":\"yesterday\"}", &event, &error),
                         BG_PROTO_E_MALFORMED);
        assert_int_equal(event.reject, BG_REJECT_MALFORMED);
        assert_non_null(strstr(error.text, "got the string \"yesterday\""));

        static const char wire[] = "\x83\xa1t\xa7release\xa5model\xa3" "a/b\xa2" "at\xaa" "2024-01-01";
        assert_int_equal(bg_proto_unpack(&bg_proto_event, wire, sizeof(wire) - 1, &arena, &event, &error), BG_PROTO_E_MALFORMED);
}

static void text_that_is_no_json_is_refused(void **state)
{
        (void)state;
        static const char *const bad[] = { "",      "{",           "{}x",   "nonsense", "{\"t\":}", "[1,2", "{\"t\":\"\\u0000\"}", "\xff",
                                           "{\"t\":1e999}", "{\"t\":99999999999999999999}", "NaN", "{'t':1}" };
        BgEvent event;
        BgProtoError error;

        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
                assert_int_equal(from(&bg_proto_event, bad[i], &event, &error), BG_PROTO_E_MALFORMED);
                assert_int_equal(error.code, BG_ERROR_MALFORMED);
                assert_true(*error.text);
                assert_true(bg_text_valid(bg_str(error.text)));
                assert_int_equal(event.reject, BG_REJECT_MALFORMED);
                assert_int_equal(event.type, BG_EVENT_NONE);
        }
        assert_int_equal(from(&bg_proto_event, "[]", &event, &error), BG_PROTO_E_MALFORMED);
        assert_string_equal(error.text, "expected a map, got an array of 0");

        char bomb[4001];
        memset(bomb, '[', 4000);
        bomb[4000] = '\0';
        assert_int_equal(from(&bg_proto_event, bomb, &event, &error), BG_PROTO_E_MALFORMED);
        memset(bomb + 1000, ']', 1000);
        bomb[2000] = '\0';
        assert_int_equal(from(&bg_proto_event, bomb, &event, &error), BG_PROTO_E_MALFORMED);
        assert_string_equal(error.text, "nested deeper than 16");
}

static void strings_are_escaped(void **state)
{
        (void)state;
        static const char wire[] = "\x94\xa5\"\\\n\x7f\x1b\xa4\xf0\x9f\x8c\xb1\xa3" "a\xff" "b\xc4\x02\x00\x01";
        static const char map[] = "\x83\xa1" "a\x01\x05\xc3\x91\x01\xca\x7f\xc0\0\0";
        BgBuffer text = { 0 };

        assert_int_equal(bg_proto_bytes_to_json(wire, sizeof(wire) - 1, &text), 0);
        bg_buffer_append(&text, "", 1);
        assert_string_equal(text.data, "[\"\\\"\\\\\\u000a\\u007f\\u001b\",\"\xf0\x9f\x8c\xb1\",\"a\\ufffdb\",\"\\u0000\\u0001\"]");
        bg_buffer_clear(&text);
        assert_int_equal(bg_proto_bytes_to_json(map, sizeof(map) - 1, &text), 0);
        bg_buffer_append(&text, "", 1);
        assert_string_equal(text.data, "{\"a\":1,\"?\":true,\"?\":null}"); /* JSON has no other keys */
        bg_buffer_clear(&text);
        assert_int_equal(bg_proto_bytes_to_json("\x91", 1, &text), BG_PROTO_E_MALFORMED);
        assert_int_equal(text.len, 0);
        bg_buffer_deinit(&text);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(every_message_survives_json, free_arena),
                cmocka_unit_test_teardown(the_locale_does_not_matter, free_arena),
                cmocka_unit_test_teardown(numbers_are_short_and_exact, free_arena),
                cmocka_unit_test_teardown(times_may_be_text_in_json_alone, free_arena),
                cmocka_unit_test_teardown(text_that_is_no_json_is_refused, free_arena),
                cmocka_unit_test_teardown(strings_are_escaped, free_arena),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
