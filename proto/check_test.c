/* SPDX-License-Identifier: MIT */
/* The bounded walk: bombs, limits, truncation, and agreement with msgpack-c about what is a value. */

#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdarg.h>
#include <cmocka.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/sample.h"

#define CHECK(literal, error) bg_proto_check(literal, sizeof(literal) - 1, &bg_proto_limits_default, error)

static void announced_but_missing_items_cost_nothing(void **state)
{
        (void)state;
        BgProtoError error;

        assert_int_equal(CHECK("\xdd\xff\xff\xff\xff", &error), BG_PROTO_E_MALFORMED);
        assert_int_equal(error.code, BG_ERROR_MALFORMED);
        assert_string_equal(error.text, "byte 0: 4294967295 items announced, 0 bytes left");
        assert_int_equal(CHECK("\xdf\xff\xff\xff\xff", NULL), BG_PROTO_E_MALFORMED);
        assert_int_equal(CHECK("\xdb\xff\xff\xff\xff", NULL), BG_PROTO_E_MALFORMED);
        assert_int_equal(CHECK("\xc6\xff\xff\xff\xff", NULL), BG_PROTO_E_MALFORMED);
        assert_int_equal(CHECK("\x81\xa1" "a", NULL), BG_PROTO_E_MALFORMED); /* half a pair */
        assert_int_equal(CHECK("\x92\x01", NULL), BG_PROTO_E_MALFORMED);
}

static void nesting_ends_at_the_limit(void **state)
{
        (void)state;
        static unsigned char bomb[1 << 20];
        BgProtoError error;

        memset(bomb, 0x91, sizeof(bomb));
        assert_int_equal(bg_proto_check(bomb, sizeof(bomb), &bg_proto_limits_default, &error), BG_PROTO_E_MALFORMED);
        assert_non_null(strstr(error.text, "nested deeper than 8"));
        for (size_t depth = 0; depth < 80; depth++) {
                bomb[depth] = 0x01;
                BgProtoLimits limits = { .bytes_max = 100, .depth_max = depth, .items_max = 100 };
                int expected = depth <= 64 ? 0 : BG_PROTO_E_MALFORMED; /* beyond 64 no limit is believed */
                assert_int_equal(bg_proto_check(bomb, depth + 1, &limits, NULL), expected);
                if (depth) {
                        limits.depth_max--;
                        assert_int_equal(bg_proto_check(bomb, depth + 1, &limits, NULL), BG_PROTO_E_MALFORMED);
                }
                bomb[depth] = 0x91;
        }
}

static void bytes_and_items_end_at_the_limit(void **state)
{
        (void)state;
        BgProtoLimits limits = { .bytes_max = 6, .depth_max = 8, .items_max = 5 };
        BgProtoError error;

        assert_int_equal(bg_proto_check("\x95\x01\x02\x03\x04\x05", 6, &limits, &error), 0);
        limits.bytes_max = 5;
        assert_int_equal(bg_proto_check("\x95\x01\x02\x03\x04\x05", 6, &limits, &error), BG_PROTO_E_MALFORMED);
        assert_int_equal(error.code, BG_ERROR_TOO_LARGE);
        limits = (BgProtoLimits){ .bytes_max = 6, .depth_max = 8, .items_max = 4 };
        assert_int_equal(bg_proto_check("\x95\x01\x02\x03\x04\x05", 6, &limits, &error), BG_PROTO_E_MALFORMED);
        assert_int_equal(error.code, BG_ERROR_TOO_LARGE);
        assert_int_equal(bg_proto_check("\x82\x01\x02\x03\x04", 5, &limits, &error), 0); /* a pair is two */
        limits.items_max = 3;
        assert_int_equal(bg_proto_check("\x82\x01\x02\x03\x04", 5, &limits, &error), BG_PROTO_E_MALFORMED);
}

static void exactly_one_value_fills_the_bytes(void **state)
{
        (void)state;
        BgProtoError error;

        assert_int_equal(CHECK("", &error), BG_PROTO_E_MALFORMED);
        assert_string_equal(error.text, "empty");
        assert_int_equal(CHECK("\x01", &error), 0);
        assert_int_equal(CHECK("\x01\x01", &error), BG_PROTO_E_MALFORMED);
        assert_string_equal(error.text, "byte 1: bytes after the value");
        assert_int_equal(CHECK("\x90", &error), 0);
        assert_int_equal(CHECK("\x90\xc0", &error), BG_PROTO_E_MALFORMED);
        assert_int_equal(CHECK("\xc1", &error), BG_PROTO_E_MALFORMED);
        assert_int_equal(CHECK("\xd4\x01\x01", &error), BG_PROTO_E_MALFORMED);
        assert_non_null(strstr(error.text, "ext type"));
        assert_int_equal(CHECK("\xc7\x01\x01\x01", &error), BG_PROTO_E_MALFORMED);
        assert_int_equal(bg_proto_check(NULL, 0, &bg_proto_limits_default, NULL), BG_PROTO_E_MALFORMED);
}

/* Every proper prefix of every kind of message is refused. The copy has its exact size, so that a read beyond it is seen. */
static void every_truncation_is_noticed(void **state)
{
        (void)state;
        BgArena arena = { 0 };
        BgBuffer bytes = { 0 };
        BgSampler sampler = bg_sampler(&arena);

        for (int id = 0; id < BG_TYPE_N; id++) {
                const BgProtoType *type = bg_proto_types[id];
                void *message = bg_arena_alloc(&arena, 1, type->size);
                bg_sample_message(&sampler, type, message);
                bg_buffer_clear(&bytes);
                assert_int_equal(bg_proto_pack(type, message, &bytes), 0);
                assert_int_equal(bg_proto_check(bytes.data, bytes.len, &bg_proto_limits_default, NULL), 0);
                size_t most = bytes.len < 3000 ? bytes.len : 3000;
                for (size_t n = 0; n < most; n++) {
                        char *cut = malloc(n ? n : 1);
                        memcpy(cut, bytes.data, n);
                        BgProtoError error = { .code = BG_ERROR_NONE };
                        assert_int_equal(bg_proto_unpack(type, cut, n, &arena, message, &error), BG_PROTO_E_MALFORMED);
                        assert_int_equal(error.code, BG_ERROR_MALFORMED);
                        free(cut);
                }
        }
        bg_buffer_deinit(&bytes);
        bg_arena_deinit(&arena);
}

static bool has_ext(const msgpack_object *object)
{
        if (object->type == MSGPACK_OBJECT_ARRAY) {
                for (uint32_t i = 0; i < object->via.array.size; i++)
                        if (has_ext(&object->via.array.ptr[i]))
                                return true;
        } else if (object->type == MSGPACK_OBJECT_MAP) {
                for (uint32_t i = 0; i < object->via.map.size; i++)
                        if (has_ext(&object->via.map.ptr[i].key) || has_ext(&object->via.map.ptr[i].val))
                                return true;
        }
        return object->type == MSGPACK_OBJECT_EXT;
}

/* Random short bytes, heads of containers frequent: msgpack-c and the walk agree on which are one value. */
static void the_walk_agrees_with_msgpack_c(void **state)
{
        (void)state;
        static const unsigned char heads[] = { 0x81, 0x82, 0x91, 0x92, 0xa2, 0xc0, 0xc3, 0xcc, 0xcd, 0xd0, 0xd9, 0xc4, 0xca, 0xdc };
        BgSampler sampler = bg_sampler(NULL);
        BgProtoLimits limits = { .bytes_max = 100, .depth_max = 16, .items_max = 100 };
        int n_good = 0;

        for (int i = 0; i < 200000; i++) {
                unsigned char bytes[12];
                size_t n = 1 + bg_sample_below(&sampler, sizeof(bytes));
                for (size_t k = 0; k < n; k++)
                        bytes[k] = bg_sample_below(&sampler, 2) ? heads[bg_sample_below(&sampler, sizeof(heads))] :
                                                                  (unsigned char)bg_sample_below(&sampler, 5);
                bool good = bg_proto_check(bytes, n, &limits, NULL) == 0;
                msgpack_unpacked result;
                msgpack_unpacked_init(&result);
                size_t used = 0;
                bool theirs = msgpack_unpack_next(&result, (const char *)bytes, n, &used) == MSGPACK_UNPACK_SUCCESS && used == n &&
                              !has_ext(&result.data);
                msgpack_unpacked_destroy(&result);
                if (good != theirs)
                        fail_msg("disagreement at try %d", i);
                n_good += good;
        }
        assert_true(n_good > 5000); /* the comparison is about something */
}

/* Mutated messages: whatever comes, the unpacker answers; under the sanitizers this is a proof for these inputs. */
static void mutations_do_no_harm(void **state)
{
        (void)state;
        BgArena arena = { 0 };
        BgBuffer bytes = { 0 }, again = { 0 };
        BgSampler sampler = bg_sampler(&arena);
        int n_good = 0, n_bad = 0;

        for (int i = 0; i < 20000; i++) {
                const BgProtoType *type = bg_proto_types[bg_sample_below(&sampler, BG_TYPE_N)];
                void *message = bg_arena_alloc(&arena, 1, type->size);
                bg_sample_message(&sampler, type, message);
                bg_buffer_clear(&bytes);
                assert_int_equal(bg_proto_pack(type, message, &bytes), 0);
                for (uint64_t n = 1 + bg_sample_below(&sampler, 3); n; n--)
                        bytes.data[bg_sample_below(&sampler, bytes.len)] = (char)bg_sample_below(&sampler, 256);
                BgProtoError error = { .code = BG_ERROR_NONE };
                int r = bg_proto_unpack(type, bytes.data, bytes.len, &arena, message, &error);
                if (r) {
                        assert_int_equal(r, BG_PROTO_E_MALFORMED);
                        assert_int_not_equal(error.code, BG_ERROR_NONE);
                        assert_true(strlen(error.text) > 0);
                        assert_true(bg_text_valid(bg_str(error.text)));
                        n_bad++;
                } else {
                        bg_buffer_clear(&again);
                        assert_int_equal(bg_proto_pack(type, message, &again), 0);
                        n_good++;
                }
                if (i % 64 == 0)
                        bg_arena_clear(&arena);
        }
        assert_true(n_good > 500 && n_bad > 500);
        bg_buffer_deinit(&again);
        bg_buffer_deinit(&bytes);
        bg_arena_deinit(&arena);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(announced_but_missing_items_cost_nothing),
                cmocka_unit_test(nesting_ends_at_the_limit),
                cmocka_unit_test(bytes_and_items_end_at_the_limit),
                cmocka_unit_test(exactly_one_value_fills_the_bytes),
                cmocka_unit_test(every_truncation_is_noticed),
                cmocka_unit_test(the_walk_agrees_with_msgpack_c),
                cmocka_unit_test(mutations_do_no_harm),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
