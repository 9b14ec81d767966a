/* SPDX-License-Identifier: MIT */
/* Structs to bytes, in the order of the tables. */

#include <assert.h>
#include <msgpack/pack.h>

#include "proto/wire.h"

static int append(void *buffer, const char *bytes, size_t n) { return bg_buffer_append(buffer, bytes, n); }

static int pack_text(msgpack_packer *packer, const char *data, size_t len)
{
        int r = msgpack_pack_str(packer, len);

        return r ? r : msgpack_pack_str_body(packer, data, len);
}

/*
 * What is computed from input, a likelihood ratio from a count of 1e12, may leave its range without anybody's mistake: it
 * saturates. Integers and texts are copied or counted: out of range they are a bug.
 */
static int pack_f64(msgpack_packer *packer, double value, double min, double max)
{
        if (!isfinite(value))
                return msgpack_pack_nil(packer);
        return msgpack_pack_double(packer, value < min ? min : value > max ? max : value);
}

static int pack_struct(msgpack_packer *packer, const BgProtoType *type, const void *message);

static int pack_item(msgpack_packer *packer, const BgField *field, const void *items, size_t i)
{
        const BgStr *text = (const BgStr *)items + i;

        switch ((BgFieldKind)field->kind) {
        case BG_FIELD_I64S:
                return msgpack_pack_int64(packer, ((const int64_t *)items)[i]);
        case BG_FIELD_F64S:
                return pack_f64(packer, ((const double *)items)[i], -INFINITY, INFINITY);
        case BG_FIELD_STRS:
                assert(text->len <= BG_ITEM_TEXT_MAX && bg_text_valid(*text));
                return pack_text(packer, text->data, text->len);
        default:
                return pack_struct(packer, bg_proto_types[field->inner],
                                   (const char *)items + i * bg_proto_types[field->inner]->size);
        }
}

static int pack_list(msgpack_packer *packer, const BgField *field, const BgAnyList *list)
{
        assert(list->n >= (uint64_t)field->min && list->n <= (uint64_t)field->max);
        int r = msgpack_pack_array(packer, list->n);
        for (size_t i = 0; i < list->n && !r; i++)
                r = pack_item(packer, field, list->items, i);
        return r;
}

static int pack_value(msgpack_packer *packer, const BgField *field, const void *member)
{
        const BgStr *text = member;

        switch ((BgFieldKind)field->kind) {
        case BG_FIELD_I64:
                assert(*(const int64_t *)member >= field->min && *(const int64_t *)member <= field->max);
                return msgpack_pack_int64(packer, *(const int64_t *)member);
        case BG_FIELD_F64:
                return pack_f64(packer, *(const double *)member, field->min_f, field->max_f);
        case BG_FIELD_STR:
                assert(text->len >= (size_t)field->min && text->len <= (size_t)field->max && bg_text_valid(*text));
                return pack_text(packer, text->data, text->len);
        case BG_FIELD_NAME:
                assert(bg_proto_name_valid(*text));
                return pack_text(packer, text->data, text->len);
        case BG_FIELD_BOOL:
                return *(const bool *)member ? msgpack_pack_true(packer) : msgpack_pack_false(packer);
        case BG_FIELD_ENUM: {
                int value = *(const int *)member;
                assert(value >= 0 && value < field->words->n && *field->words->words[value]);
                return pack_text(packer, field->words->words[value], strlen(field->words->words[value]));
        }
        case BG_FIELD_MAP:
                return pack_struct(packer, bg_proto_types[field->inner], *(void *const *)member);
        case BG_FIELD_LIST:
        case BG_FIELD_EVENTS:
        case BG_FIELD_I64S:
        case BG_FIELD_F64S:
        case BG_FIELD_STRS:
                return pack_list(packer, field, member);
        }
        return 0;
}

static int pack_fields(msgpack_packer *packer, const BgField *fields, size_t n_fields, const void *message, const char *event_type)
{
        size_t n_present = event_type != NULL;

        for (size_t i = 0; i < n_fields; i++)
                n_present += fields[i].required || !bg_field_absent(&fields[i], bg_field_member(&fields[i], message));
        int r = msgpack_pack_map(packer, n_present);
        if (!r && event_type)
                r = pack_text(packer, "t", 1);
        if (!r && event_type)
                r = pack_text(packer, event_type, strlen(event_type));
        for (size_t i = 0; i < n_fields && !r; i++) {
                const void *member = bg_field_member(&fields[i], message);
                if (!fields[i].required && bg_field_absent(&fields[i], member))
                        continue;
                r = pack_text(packer, fields[i].key, fields[i].key_len);
                if (!r)
                        r = pack_value(packer, &fields[i], member);
        }
        return r;
}

/* A refused event is packed as an empty map: it keeps its place in the batch. */
static int pack_struct(msgpack_packer *packer, const BgProtoType *type, const void *message)
{
        if (type != &bg_proto_event)
                return pack_fields(packer, type->fields(), type->n_fields, message, NULL);

        const BgEvent *event = message;
        const BgEventTable *table = bg_event_table(event->type);
        assert(event->type < BG_EVENT_N);
        return pack_fields(packer, table->fields, table->n_fields, event, event->type ? bg_proto_event_type_name(event->type) : NULL);
}

int bg_proto_pack(const BgProtoType *type, const void *message, BgBuffer *out)
{
        msgpack_packer packer;
        size_t len = out->len;

        msgpack_packer_init(&packer, out, append);
        if (!pack_struct(&packer, type, message))
                return 0;
        out->len = len; /* the only way to fail is memory */
        return -ENOMEM;
}
