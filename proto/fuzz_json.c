/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: any text, taken for each kind of message. What is a message says the same when it is printed and read again, and
 * over the wire.
 */

#include <stdlib.h>

#include "proto/sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition) \
        do { \
                if (!(condition)) \
                        __builtin_trap(); \
        } while (0)

static void as_message(const BgProtoType *type, const char *data, size_t size, BgArena *arena)
{
        BgBuffer text = { 0 }, bytes = { 0 };
        BgProtoError error = { .code = BG_ERROR_NONE };
        void *message = bg_arena_alloc(arena, 1, type->size);
        void *back = bg_arena_alloc(arena, 1, type->size);

        int r = bg_proto_from_json(type, data, size, arena, message, &error);
        MUST(r == 0 || r == BG_PROTO_E_MALFORMED);
        if (r) {
                MUST(error.code != BG_ERROR_NONE && *error.text && bg_text_valid(bg_str(error.text)));
        } else {
                MUST(bg_proto_to_json(type, message, &text) == 0);
                MUST(memchr(text.data, '\n', text.len) == NULL);
                MUST(bg_proto_from_json(type, text.data, text.len, arena, back, NULL) == 0);
                MUST(bg_sample_equal(type, message, back));
                MUST(bg_proto_pack(type, message, &bytes) == 0);
                MUST(bg_proto_unpack(type, bytes.data, bytes.len, arena, back, NULL) == 0);
                MUST(bg_sample_equal(type, message, back));
        }
        bg_buffer_deinit(&text);
        bg_buffer_deinit(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        BgArena arena = { 0 };
        char time[BG_TIME_TEXT_MAX];
        int64_t us, back;

        for (int id = 0; id < BG_TYPE_N; id++) {
                as_message(bg_proto_types[id], (const char *)data, size, &arena);
                bg_arena_clear(&arena);
        }
        if (bg_time_parse(&us, (BgStr){ (const char *)data, size }) == 0 && us >= BG_TIME_MIN) {
                size_t len = bg_time_format(us, time);
                MUST(us > INT64_C(253402300799999999) || (bg_time_parse(&back, (BgStr){ time, len }) == 0 && back == us));
        }
        bg_arena_deinit(&arena);
        return 0;
}
