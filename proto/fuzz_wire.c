/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: any bytes, taken for each kind of message. What must hold, besides no crash:
 *  - what the walk passes, msgpack-c takes for one value as well;
 *  - what was unpacked can be packed, unpacks to the same, and packs to the same bytes;
 *  - what was refused says why.
 */

#include <msgpack.h>
#include <stdlib.h>

#include "proto/sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition) \
        do { \
                if (!(condition)) \
                        __builtin_trap(); \
        } while (0)

static void one_value_for_msgpack_c(const char *data, size_t size)
{
        msgpack_unpacked result;
        size_t used = 0;

        msgpack_unpacked_init(&result);
        MUST(msgpack_unpack_next(&result, data, size, &used) == MSGPACK_UNPACK_SUCCESS && used == size);
        msgpack_unpacked_destroy(&result);
}

static void as_message(const BgProtoType *type, const void *data, size_t size, BgArena *arena)
{
        BgBuffer first = { 0 }, second = { 0 };
        BgProtoError error = { .code = BG_ERROR_NONE };
        void *message = bg_arena_alloc(arena, 1, type->size);
        void *back = bg_arena_alloc(arena, 1, type->size);

        int r = bg_proto_unpack(type, data, size, arena, message, &error);
        MUST(r == 0 || r == BG_PROTO_E_MALFORMED);
        MUST((r == 0) == (error.code == BG_ERROR_NONE));
        if (r) {
                MUST(*error.text && bg_text_valid(bg_str(error.text)));
        } else {
                MUST(bg_proto_pack(type, message, &first) == 0);
                MUST(bg_proto_unpack(type, first.data, first.len, arena, back, NULL) == 0);
                MUST(bg_sample_equal(type, message, back));
                MUST(bg_proto_pack(type, back, &second) == 0);
                MUST(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
        }
        bg_buffer_deinit(&first);
        bg_buffer_deinit(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        BgArena arena = { 0 };
        BgBuffer text = { 0 };
        BgStr event;
        bool good = bg_proto_check(data, size, &bg_proto_limits_default, NULL) == 0;

        if (good)
                one_value_for_msgpack_c((const char *)data, size);
        for (int id = 0; id < BG_TYPE_N; id++) {
                as_message(bg_proto_types[id], data, size, &arena);
                bg_arena_clear(&arena);
        }
        MUST((bg_proto_bytes_to_json(data, size, &text) == 0) == good);
        if (bg_proto_event_bytes(data, size, 1, &event) == 0)
                MUST(bg_proto_check(event.data, event.len, &bg_proto_limits_default, NULL) == 0);
        bg_buffer_deinit(&text);
        bg_arena_deinit(&arena);
        return 0;
}
