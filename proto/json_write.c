/* SPDX-License-Identifier: MIT */
/* Structs, and any msgpack value, to one line of JSON. */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/wire.h"

static int put(BgBuffer *out, const char *text) { return bg_buffer_append(out, text, strlen(text)); }

void bg_json_number(const char *printed, char text[BG_JSON_NUMBER_MAX])
{
        bool whole = true, in_point = false;
        size_t n = 0;

        for (const char *c = printed; *c; c++) {
                if ((*c >= '0' && *c <= '9') || *c == '-' || *c == '+' || *c == 'e') {
                        whole &= *c != 'e';
                        in_point = false;
                        text[n++] = *c;
                } else if (!in_point) {
                        whole = false;
                        in_point = true;
                        text[n++] = '.';
                }
        }
        strcpy(text + n, whole ? ".0" : "");
}

/* The shortest of 15 to 17 digits that reads back as the same double. */
static int put_f64(BgBuffer *out, double value)
{
        char printed[BG_JSON_NUMBER_MAX - 3], text[BG_JSON_NUMBER_MAX];

        if (!isfinite(value))
                return put(out, "null");
        for (int precision = 15; precision <= 17; precision++) {
                snprintf(printed, sizeof(printed), "%.*g", precision, value);
                if (strtod(printed, NULL) == value)
                        break;
        }
        bg_json_number(printed, text);
        return put(out, text);
}

static int put_i64(BgBuffer *out, int64_t value)
{
        char text[24];

        snprintf(text, sizeof(text), "%lld", (long long)value);
        return put(out, text);
}

static int put_text(BgBuffer *out, BgStr text)
{
        static const char hex[] = "0123456789abcdef";
        int r = put(out, "\"");

        for (size_t i = 0, n; i < text.len && !r; i += n) {
                unsigned char c = (unsigned char)text.data[i];
                n = bg_text_char(text.data + i, text.len - i);
                if (n == 0) {
                        n = 1;
                        r = put(out, "\\ufffd");
                } else if (c == '"' || c == '\\') {
                        r = bg_buffer_append(out, (char[]){ '\\', (char)c }, 2);
                } else if (c < 0x20 || c == 0x7f) {
                        r = bg_buffer_append(out, (char[]){ '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] }, 6);
                } else {
                        r = bg_buffer_append(out, text.data + i, n);
                }
        }
        return r ? r : put(out, "\"");
}

/* ---- structs ------------------------------------------------------------------------------------------------------------------ */

static int put_struct(BgBuffer *out, const BgProtoType *type, const void *message);

static int put_item(BgBuffer *out, const BgField *field, const void *items, size_t i)
{
        switch ((BgFieldKind)field->kind) {
        case BG_FIELD_I64S:
                return put_i64(out, ((const int64_t *)items)[i]);
        case BG_FIELD_F64S:
                return put_f64(out, ((const double *)items)[i]);
        case BG_FIELD_STRS:
                return put_text(out, ((const BgStr *)items)[i]);
        default:
                return put_struct(out, bg_proto_types[field->inner], (const char *)items + i * bg_proto_types[field->inner]->size);
        }
}

static int put_list(BgBuffer *out, const BgField *field, const BgAnyList *list)
{
        int r = put(out, "[");

        for (size_t i = 0; i < list->n && !r; i++) {
                r = i ? put(out, ",") : 0;
                if (!r)
                        r = put_item(out, field, list->items, i);
        }
        return r ? r : put(out, "]");
}

static int put_value(BgBuffer *out, const BgField *field, const void *member)
{
        double f;

        switch ((BgFieldKind)field->kind) {
        case BG_FIELD_I64:
                return put_i64(out, *(const int64_t *)member);
        case BG_FIELD_F64: /* saturates like bg_proto_pack() */
                f = *(const double *)member;
                return put_f64(out, f < field->min_f ? field->min_f : f > field->max_f && isfinite(f) ? field->max_f : f);
        case BG_FIELD_STR:
        case BG_FIELD_NAME:
                return put_text(out, *(const BgStr *)member);
        case BG_FIELD_BOOL:
                return put(out, *(const bool *)member ? "true" : "false");
        case BG_FIELD_ENUM: {
                int value = *(const int *)member;
                assert(value >= 0 && value < field->words->n);
                return put_text(out, bg_str(field->words->words[value]));
        }
        case BG_FIELD_MAP:
                return put_struct(out, bg_proto_types[field->inner], *(void *const *)member);
        case BG_FIELD_LIST:
        case BG_FIELD_EVENTS:
        case BG_FIELD_I64S:
        case BG_FIELD_F64S:
        case BG_FIELD_STRS:
                return put_list(out, field, member);
        }
        return 0;
}

static int put_key(BgBuffer *out, bool *firstp, const char *key)
{
        int r = put(out, *firstp ? "\"" : ",\"");

        *firstp = false;
        if (!r)
                r = put(out, key);
        return r ? r : put(out, "\":");
}

static int put_struct(BgBuffer *out, const BgProtoType *type, const void *message)
{
        const BgEvent *event = type == &bg_proto_event ? message : NULL;
        const BgField *fields = event ? bg_event_table(event->type)->fields : type->fields();
        size_t n_fields = event ? bg_event_table(event->type)->n_fields : type->n_fields;
        bool first = true;
        int r = put(out, "{");

        if (!r && event && event->type != BG_EVENT_NONE) {
                r = put_key(out, &first, "t");
                if (!r)
                        r = put_text(out, bg_str(bg_proto_event_type_name(event->type)));
        }
        for (size_t i = 0; i < n_fields && !r; i++) {
                const void *member = bg_field_member(&fields[i], message);
                if (!fields[i].required && bg_field_absent(&fields[i], member))
                        continue;
                r = put_key(out, &first, fields[i].key);
                if (!r)
                        r = put_value(out, &fields[i], member);
        }
        return r ? r : put(out, "}");
}

int bg_proto_to_json(const BgProtoType *type, const void *message, BgBuffer *out)
{
        size_t len = out->len;
        int r = put_struct(out, type, message);

        if (r)
                out->len = len;
        return r;
}

/* ---- any msgpack value -------------------------------------------------------------------------------------------------------- */

/* Recursion is bounded by the depth that bg_proto_check() allows. */
static int put_any(BgBuffer *out, BgCursor *cursor, bool as_key)
{
        BgToken token;
        char text[48];

        if (!bg_cursor_next(cursor, &token))
                return -EINVAL;
        if (as_key && token.kind != BG_TOKEN_STR && token.kind != BG_TOKEN_BIN) {
                BgCursor key = *cursor;
                for (uint64_t n = token.kind == BG_TOKEN_ARRAY ? token.n : token.kind == BG_TOKEN_MAP ? 2 * (uint64_t)token.n : 0; n; n--)
                        bg_cursor_skip(&key);
                *cursor = key;
                return put(out, "\"?\"");
        }
        switch (token.kind) {
        case BG_TOKEN_NIL:
                return put(out, "null");
        case BG_TOKEN_BOOL:
                return put(out, token.n ? "true" : "false");
        case BG_TOKEN_INT:
                return put_i64(out, token.i);
        case BG_TOKEN_HUGE:
                snprintf(text, sizeof(text), "%llu", (unsigned long long)token.u);
                return put(out, text);
        case BG_TOKEN_FLOAT:
                return put_f64(out, token.f);
        case BG_TOKEN_STR:
        case BG_TOKEN_BIN:
                return put_text(out, token.str);
        case BG_TOKEN_ARRAY:
        case BG_TOKEN_MAP:
                break;
        }
        bool map = token.kind == BG_TOKEN_MAP;
        int r = put(out, map ? "{" : "[");
        for (uint32_t i = 0; i < token.n && !r; i++) {
                r = i ? put(out, ",") : 0;
                if (!r && map)
                        r = put_any(out, cursor, true);
                if (!r && map)
                        r = put(out, ":");
                if (!r)
                        r = put_any(out, cursor, false);
        }
        return r ? r : put(out, map ? "}" : "]");
}

int bg_proto_bytes_to_json(const void *bytes, size_t n_bytes, BgBuffer *out)
{
        BgCursor cursor = bg_cursor(bytes, n_bytes);
        size_t len = out->len;
        int r = bg_proto_check(bytes, n_bytes, &bg_proto_limits_default, NULL);

        if (!r)
                r = put_any(out, &cursor, false);
        if (r)
                out->len = len;
        return r;
}
