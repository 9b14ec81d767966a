/* SPDX-License-Identifier: MIT */
/* messages.def turned into tables of words and of fields, which the codecs walk. */

#include <stdarg.h>
#include <stdio.h>

#include "proto/wire.h"

/* ---- enums ----------------------------------------------------------------------------------------------------------------- */

#define BG_E(name, wire) wire,
#define BG_M(TABLE, CName, c_name) \
        static const char *const words_##c_name[] = { BG_ENUM_##TABLE(BG_E) }; \
        const BgWords bg_words_##c_name = { #c_name, words_##c_name, sizeof(words_##c_name) / sizeof(words_##c_name[0]) }; \
        const char *bg_proto_##c_name##_name(int value) \
        { \
                return value >= 0 && value < bg_words_##c_name.n ? words_##c_name[value] : "?"; \
        } \
        int bg_proto_##c_name##_find(int *valuep, BgStr text) { return bg_words_find(&bg_words_##c_name, valuep, text); }
BG_ENUMS(BG_M)
#undef BG_M
#undef BG_E

int bg_words_find(const BgWords *words, int *valuep, BgStr text)
{
        for (int i = 0; i < words->n; i++) {
                if (bg_str_equal(text, bg_str(words->words[i]))) {
                        *valuep = i;
                        return 0;
                }
        }
        return -ENOENT;
}

/* ---- fields ---------------------------------------------------------------------------------------------------------------- */

#define NEED_REQ true
#define NEED_OPT false
#define RANGE_I64(lo, hi, extra) .min = lo, .max = hi, .absent = extra
#define RANGE_F64(lo, hi, extra) .min_f = lo, .max_f = hi
#define RANGE_STR(lo, hi, extra) .min = lo, .max = hi
#define RANGE_NAME(lo, hi, extra) .min = lo, .max = hi
#define RANGE_BOOL(lo, hi, extra) .max = 1
#define RANGE_ENUM(lo, hi, extra) .words = &bg_words_##extra
#define RANGE_LIST(lo, hi, extra) .min = lo, .max = hi, .inner = BG_TYPE_##extra
#define RANGE_EVENTS(lo, hi, extra) .min = lo, .max = hi, .inner = BG_TYPE_##extra
#define RANGE_MAP(lo, hi, extra) .inner = BG_TYPE_##extra
#define RANGE_I64S(lo, hi, extra) .min = lo, .max = hi
#define RANGE_F64S(lo, hi, extra) .min = lo, .max = hi
#define RANGE_STRS(lo, hi, extra) .min = lo, .max = hi

#define BG_COUNT(kind, member, key_, need, lo, hi, extra, doc_) +1
#define BG_FIELD(kind_, member, key_, need, slot_, lo, hi, extra, doc_) \
        { \
                .key = key_, .key_len = sizeof(key_) - 1, .kind = BG_FIELD_##kind_, .required = NEED_##need, .slot = slot_, \
                .offset = offsetof(BgSelf, member), .doc = doc_, RANGE_##kind_(lo, hi, extra), \
        },

/* The tables sit in functions because only there can a local type name tell offsetof() whose members a table speaks of. */
#define BG_F(kind, member, key, need, lo, hi, extra, doc) BG_FIELD(kind, member, key, need, 0, lo, hi, extra, doc)
#define BG_M(TABLE, CName, c_name, doc_) \
        static const BgField *fields_##c_name(void) \
        { \
                typedef Bg##CName BgSelf; \
                static const BgField fields[] = { BG_FIELDS_##TABLE(BG_F) }; \
                return fields; \
        } \
        _Static_assert(0 BG_FIELDS_##TABLE(BG_COUNT) <= BG_FIELDS_MAX, "BG_FIELDS_MAX is too small"); \
        _Static_assert(sizeof(Bg##CName) <= UINT16_MAX, "offsets have 16 bits"); \
        const BgProtoType bg_proto_##c_name = { #c_name, doc_, BG_TYPE_##CName, sizeof(Bg##CName), fields_##c_name, \
                                                0 BG_FIELDS_##TABLE(BG_COUNT) };
BG_MESSAGES(BG_M)
#undef BG_M
#undef BG_F

/* ---- events ---------------------------------------------------------------------------------------------------------------- */

/*
 * Until `t` is known, and it need not come first, a key such as `from` may be a name or a time. The places of values are
 * noted by key; only then the fields of the event's type are read, each from the slot of its key.
 */
enum {
        SLOT_type,
        SLOT_model,
        SLOT_child,
        SLOT_at,
        SLOT_relation,
        SLOT_release,
        SLOT_from,
        SLOT_to,
        SLOT_count,
        SLOT_to_model,
        SLOT_source,
        SLOT_N,
        SLOT_from_name = SLOT_from,
        SLOT_to_name = SLOT_to,
};

_Static_assert(SLOT_N <= BG_FIELDS_MAX, "BG_FIELDS_MAX is too small");

typedef BgEvent BgSelf;

static const BgField *fields_event(void)
{
#define KEY(key_, slot_) [slot_] = { .key = key_, .key_len = sizeof(key_) - 1, .slot = slot_ }
        static const BgField fields[SLOT_N] = {
                KEY("t", SLOT_type),      KEY("model", SLOT_model),       KEY("child", SLOT_child),     KEY("at", SLOT_at),
                KEY("from", SLOT_from),   KEY("relation", SLOT_relation), KEY("release", SLOT_release), KEY("to", SLOT_to),
                KEY("count", SLOT_count), KEY("to_model", SLOT_to_model), KEY("source", SLOT_source),
        };
#undef KEY
        return fields;
}

const BgProtoType bg_proto_event = { "event", "something that happened", BG_TYPE_Event, sizeof(BgEvent), fields_event, SLOT_N };

#define BG_F(kind, member, key, need, lo, hi, extra, doc) BG_FIELD(kind, member, key, need, SLOT_##member, lo, hi, extra, doc)
#define BG_M(TABLE, c_name, doc) static const BgField fields_event_##c_name[] = { BG_FIELDS_EVENT_##TABLE(BG_F) };
BG_EVENT_TYPES(BG_M)
#undef BG_M
#undef BG_F

const BgEventTable *bg_event_table(BgEventType type)
{
#define BG_M(TABLE, c_name, doc_) \
        [BG_EVENT_##TABLE] = { fields_event_##c_name, sizeof(fields_event_##c_name) / sizeof(fields_event_##c_name[0]), doc_ },
        static const BgEventTable tables[BG_EVENT_N] = { BG_EVENT_TYPES(BG_M) };
#undef BG_M

        return &tables[type < BG_EVENT_N ? type : BG_EVENT_NONE];
}

const BgProtoType *const bg_proto_types[BG_TYPE_N] = {
        [BG_TYPE_Event] = &bg_proto_event,
#define BG_M(TABLE, CName, c_name, doc) [BG_TYPE_##CName] = &bg_proto_##c_name,
        BG_MESSAGES(BG_M)
#undef BG_M
};

/* ---- absent ---------------------------------------------------------------------------------------------------------------- */

void bg_proto_init(const BgProtoType *type, void *message)
{
        memset(message, 0, type->size);
        if (type == &bg_proto_event)
                return; /* all its optional members are absent when 0 */

        const BgField *fields = type->fields();
        for (size_t i = 0; i < type->n_fields; i++) {
                void *member = bg_field_member(&fields[i], message);
                if (fields[i].kind == BG_FIELD_F64)
                        *(double *)member = NAN;
                else if (fields[i].kind == BG_FIELD_I64)
                        *(int64_t *)member = !strcmp(fields[i].key, "v") ? BG_PROTO_VERSION : fields[i].absent;
        }
}

bool bg_field_absent(const BgField *field, const void *member)
{
        switch ((BgFieldKind)field->kind) {
        case BG_FIELD_I64:
                return *(const int64_t *)member == field->absent;
        case BG_FIELD_F64:
                return !isfinite(*(const double *)member);
        case BG_FIELD_STR:
        case BG_FIELD_NAME:
                return ((const BgStr *)member)->len == 0;
        case BG_FIELD_BOOL:
                return !*(const bool *)member;
        case BG_FIELD_ENUM:
                return *(const int *)member == 0;
        case BG_FIELD_MAP:
                return *(void *const *)member == NULL;
        case BG_FIELD_LIST:
        case BG_FIELD_EVENTS:
        case BG_FIELD_I64S:
        case BG_FIELD_F64S:
        case BG_FIELD_STRS:
                return ((const BgAnyList *)member)->n == 0;
        }
        return false;
}

void bg_error_set(BgProtoError *error, BgError code, const char *format, ...)
{
        va_list args;

        if (!error)
                return;
        error->code = code;
        va_start(args, format);
        vsnprintf(error->text, sizeof(error->text), format, args);
        va_end(args);
}
