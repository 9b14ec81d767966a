/* SPDX-License-Identifier: MIT */
/*
 * JSON text to structs, by way of msgpack: the text becomes bytes and the unpacker judges those, so that there is one set of
 * rules. All that JSON adds is that times may be RFC 3339 text.
 */

#include <jansson.h>
#include <msgpack/pack.h>

#include "proto/wire.h"

#define DEPTH_MAX 16 /* of the JSON; more than any message has */

static int append(void *buffer, const char *bytes, size_t n) { return bg_buffer_append(buffer, bytes, n); }

static int pack_text(msgpack_packer *packer, const char *data, size_t len)
{
        int r = msgpack_pack_str(packer, len);

        return r ? r : msgpack_pack_str_body(packer, data, len);
}

static int pack_json(msgpack_packer *packer, const json_t *value, unsigned depth)
{
        const char *key;
        json_t *item;
        size_t i;
        int r;

        if (depth > DEPTH_MAX)
                return BG_PROTO_E_MALFORMED;
        switch (json_typeof(value)) {
        case JSON_OBJECT:
                r = msgpack_pack_map(packer, json_object_size(value));
                json_object_foreach((json_t *)value, key, item) {
                        if (!r)
                                r = pack_text(packer, key, strlen(key));
                        if (!r)
                                r = pack_json(packer, item, depth + 1);
                }
                return r;
        case JSON_ARRAY:
                r = msgpack_pack_array(packer, json_array_size(value));
                json_array_foreach(value, i, item) {
                        if (!r)
                                r = pack_json(packer, item, depth + 1);
                }
                return r;
        case JSON_STRING:
                return pack_text(packer, json_string_value(value), json_string_length(value));
        case JSON_INTEGER:
                return msgpack_pack_int64(packer, json_integer_value(value));
        case JSON_REAL:
                return msgpack_pack_double(packer, json_real_value(value));
        case JSON_TRUE:
                return msgpack_pack_true(packer);
        case JSON_FALSE:
                return msgpack_pack_false(packer);
        case JSON_NULL:
                return msgpack_pack_nil(packer);
        }
        return BG_PROTO_E_MALFORMED;
}

int bg_json_to_bytes(const char *text, size_t len, BgBuffer *bytes, BgProtoError *error)
{
        json_error_t why;
        msgpack_packer packer;

        if (len > BG_MESSAGE_BYTES_MAX) {
                bg_error_set(error, BG_ERROR_TOO_LARGE, "%zu bytes; at most %d are accepted", len, BG_MESSAGE_BYTES_MAX);
                return BG_PROTO_E_MALFORMED;
        }
        json_t *json = json_loadb(text, len, JSON_DECODE_ANY, &why);
        if (!json) {
                if (json_error_code(&why) == json_error_out_of_memory)
                        return -ENOMEM;
                bg_error_set(error, BG_ERROR_MALFORMED, "column %d: not JSON", why.column);
                return BG_PROTO_E_MALFORMED;
        }
        msgpack_packer_init(&packer, bytes, append);
        int r = pack_json(&packer, json, 0);
        json_decref(json);
        if (r == BG_PROTO_E_MALFORMED)
                bg_error_set(error, BG_ERROR_MALFORMED, "nested deeper than %d", DEPTH_MAX);
        return r;
}

int bg_proto_from_json(const BgProtoType *type, const char *text, size_t len, BgArena *arena, void *message, BgProtoError *error)
{
        BgBuffer bytes = { 0 };

        memset(message, 0, type->size);
        int r = bg_json_to_bytes(text, len, &bytes, error);
        if (!r) {
                /* the message's strings will point into the bytes */
                char *kept = bg_arena_copy(arena, bytes.data, bytes.len);
                r = kept ? bg_unpack_lenient(type, kept, bytes.len, arena, message, error) : -ENOMEM;
        } else if (type == &bg_proto_event) {
                ((BgEvent *)message)->reject = BG_REJECT_MALFORMED;
        }
        bg_buffer_deinit(&bytes);
        return r;
}
