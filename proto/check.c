/* SPDX-License-Identifier: MIT */
/*
 * The bounded walk over untrusted bytes. It allocates nothing and does not recurse: what is open is a count for each level.
 *
 * Why before a decoder: msgpack-c 4.0.0 believes an array's length and reserves memory for it before it looks for the items;
 * five bytes make it reserve 1 GiB.
 */

#include "proto/wire.h"

const BgProtoLimits bg_proto_limits_default = { .bytes_max = BG_MESSAGE_BYTES_MAX, .depth_max = 8, .items_max = 4 << 20 };

#define DEPTH_MAX 64 /* whatever the limits say */

int bg_proto_check(const void *bytes, size_t n_bytes, const BgProtoLimits *limits, BgProtoError *error)
{
        BgCursor cursor = bg_cursor(bytes, n_bytes);
        const unsigned char *start = cursor.at;
        size_t depth_max = limits->depth_max < DEPTH_MAX ? limits->depth_max : DEPTH_MAX;
        uint64_t n_open[DEPTH_MAX + 1] = { 1 };
        size_t depth = 0;
        size_t n_items = 0;
        BgToken token;

        if (n_bytes > limits->bytes_max) {
                bg_error_set(error, BG_ERROR_TOO_LARGE, "%zu bytes; at most %zu are accepted", n_bytes, limits->bytes_max);
                return BG_PROTO_E_MALFORMED;
        }
        for (;;) {
                while (n_open[depth] == 0) {
                        if (depth-- == 0)
                                goto walked;
                }
                n_open[depth]--;
                size_t at = (size_t)(cursor.at - start);
                if (!bg_cursor_next(&cursor, &token)) {
                        if (n_bytes == 0)
                                bg_error_set(error, BG_ERROR_MALFORMED, "empty");
                        else if (at < n_bytes && (cursor.at[0] == 0xc1 || (cursor.at[0] >= 0xc7 && cursor.at[0] <= 0xc9) ||
                                                  (cursor.at[0] >= 0xd4 && cursor.at[0] <= 0xd8)))
                                bg_error_set(error, BG_ERROR_MALFORMED, "byte %zu: 0x%02x is an ext type or unused", at, cursor.at[0]);
                        else
                                bg_error_set(error, BG_ERROR_MALFORMED, "byte %zu: the value that begins here is cut off", at);
                        return BG_PROTO_E_MALFORMED;
                }
                if (token.kind != BG_TOKEN_ARRAY && token.kind != BG_TOKEN_MAP)
                        continue;

                uint64_t n = token.kind == BG_TOKEN_MAP ? 2 * (uint64_t)token.n : token.n;
                if (n > (size_t)(cursor.end - cursor.at)) { /* an item has at least one byte */
                        bg_error_set(error, BG_ERROR_MALFORMED, "byte %zu: %llu items announced, %zu bytes left", at,
                                     (unsigned long long)n, (size_t)(cursor.end - cursor.at));
                        return BG_PROTO_E_MALFORMED;
                }
                n_items += n;
                if (n_items > limits->items_max) {
                        bg_error_set(error, BG_ERROR_TOO_LARGE, "more than %zu items", limits->items_max);
                        return BG_PROTO_E_MALFORMED;
                }
                if (depth == depth_max) {
                        bg_error_set(error, BG_ERROR_MALFORMED, "byte %zu: nested deeper than %zu", at, depth_max);
                        return BG_PROTO_E_MALFORMED;
                }
                n_open[++depth] = n;
        }
walked:
        if (cursor.at != cursor.end) {
                bg_error_set(error, BG_ERROR_MALFORMED, "byte %zu: bytes after the value",
                             (size_t)(cursor.at - start));
                return BG_PROTO_E_MALFORMED;
        }
        return 0;
}
