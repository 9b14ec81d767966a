/* SPDX-License-Identifier: MIT */
#ifndef BURGEON_PROTO_WIRE_H
#define BURGEON_PROTO_WIRE_H

/* Private to proto/: the descriptors that messages.def turns into, and the cursor over msgpack bytes. */

#include <errno.h>

#include "proto/proto.h"

/* ---- descriptors ---------------------------------------------------------------------------------------------------------- */

typedef enum BgFieldKind {
        BG_FIELD_I64,
        BG_FIELD_F64,
        BG_FIELD_STR,
        BG_FIELD_NAME,
        BG_FIELD_BOOL,
        BG_FIELD_ENUM,
        BG_FIELD_LIST,
        BG_FIELD_EVENTS,
        BG_FIELD_MAP,
        BG_FIELD_I64S,
        BG_FIELD_F64S,
        BG_FIELD_STRS,
} BgFieldKind;

typedef struct BgWords {
        const char *name;
        const char *const *words;
        int n;
} BgWords;

#define BG_M(TABLE, CName, c_name) extern const BgWords bg_words_##c_name;
BG_ENUMS(BG_M)
#undef BG_M

int bg_words_find(const BgWords *words, int *valuep, BgStr text); /* 0 or -ENOENT */

/** Index of every message; inner messages before those that hold them. */
typedef enum BgTypeId {
        BG_TYPE_Event,
#define BG_M(TABLE, CName, c_name, doc) BG_TYPE_##CName,
        BG_MESSAGES(BG_M)
#undef BG_M
        BG_TYPE_N
} BgTypeId;
extern const BgProtoType *const bg_proto_types[BG_TYPE_N];

typedef struct BgField {
        const char *key;
        uint8_t key_len;
        uint8_t kind; /* BgFieldKind */
        bool required;
        uint8_t slot;     /* where bg_proto_unpack() notes the value's place: the index in the table; events share slots by key */
        uint16_t offset;  /* of the member */
        BgTypeId inner;   /* LIST, EVENTS, MAP */
        int64_t min, max; /* I64: value; texts: bytes; lists: items */
        int64_t absent;   /* I64 */
        double min_f, max_f;
        const BgWords *words;
        const char *doc;
} BgField;

#define BG_FIELDS_MAX 32
#define BG_ITEM_TEXT_MAX 255 /* bytes of one item of STRS */

struct BgProtoType {
        const char *name; /* "batch" */
        const char *doc;
        BgTypeId id;
        size_t size;              /* of the C struct */
        const BgField *(*fields)(void); /* Event: its keys, of all event types together; see bg_event_tables */
        size_t n_fields;
};

/** Which keys an event of a type has, besides `t`. */
typedef struct BgEventTable {
        const BgField *fields;
        size_t n_fields;
        const char *doc;
} BgEventTable;
const BgEventTable *bg_event_table(BgEventType type); /* NONE: a table without fields */

static inline bool bg_field_is_time(const BgField *field) { return field->kind == BG_FIELD_I64 && field->max == BG_TIME_MAX; }

/** All lists of messages.def have this layout. */
typedef struct BgAnyList {
        void *items;
        size_t n;
} BgAnyList;

static inline void *bg_field_member(const BgField *field, const void *message) { return (char *)message + field->offset; }
/** Whether an optional member has its "absent" value: what the packers leave out. */
bool bg_field_absent(const BgField *field, const void *member);

/* ---- text ------------------------------------------------------------------------------------------------------------------ */

/** Bytes of the UTF-8 character at `data` (len > 0), or 0 when it is none. */
size_t bg_text_char(const char *data, size_t len);
/** UTF-8 without control characters (C0, DEL, C1): safe to print on a terminal. */
bool bg_text_valid(BgStr text);

#define BG_JSON_NUMBER_MAX 40
/**
 * bg_json_number() - what printf("%g") made of a finite double, as JSON
 * The locale's decimal point, whatever its bytes, becomes a point; whole values get a `.0`, as they stay floats on the wire.
 */
void bg_json_number(const char *printed, char text[BG_JSON_NUMBER_MAX]);

/* ---- cursor ---------------------------------------------------------------------------------------------------------------- */

typedef enum BgTokenKind {
        BG_TOKEN_NIL,
        BG_TOKEN_BOOL,
        BG_TOKEN_INT,   /* fits an int64_t */
        BG_TOKEN_HUGE,  /* an unsigned integer that does not */
        BG_TOKEN_FLOAT,
        BG_TOKEN_STR,
        BG_TOKEN_BIN,
        BG_TOKEN_ARRAY, /* n items follow */
        BG_TOKEN_MAP,   /* n pairs follow */
} BgTokenKind;

typedef struct BgToken {
        BgTokenKind kind;
        uint32_t n;      /* ARRAY, MAP; BOOL: 0 or 1 */
        union {
                int64_t i;
                uint64_t u; /* HUGE */
                double f;
                BgStr str;  /* STR, BIN */
        };
} BgToken;

typedef struct BgCursor {
        const unsigned char *at;
        const unsigned char *end;
} BgCursor;

/** An empty message may come as NULL, on which C allows no arithmetic. */
static inline BgCursor bg_cursor(const void *bytes, size_t n_bytes)
{
        const unsigned char *at = n_bytes ? bytes : (const void *)"";

        return (BgCursor){ at, at + n_bytes };
}

static inline uint64_t bg_wire_big_endian(const unsigned char *at, unsigned n)
{
        uint64_t value = 0;

        for (unsigned i = 0; i < n; i++)
                value = value << 8 | at[i];
        return value;
}

static inline double bg_wire_float(const unsigned char *at, unsigned n)
{
        uint64_t bits = bg_wire_big_endian(at, n);
        uint32_t half = (uint32_t)bits;
        double f64;
        float f32;

        memcpy(&f64, &bits, 8);
        memcpy(&f32, &half, 4);
        return n == 8 ? f64 : (double)f32;
}

/**
 * bg_cursor_next() - read one token; of strings with their bytes, of arrays and maps the head
 * Never reads beyond the end.     Cost: O(1).
 * Return: false when the bytes end within the token, or it is an ext or the unused byte 0xc1.
 */
static inline bool bg_cursor_next(BgCursor *cursor, BgToken *token)
{
        const unsigned char *at = cursor->at;
        size_t left = (size_t)(cursor->end - at);
        unsigned n_head = 0; /* bytes of number or length after the first */
        size_t n_text = 0;

        if (left == 0)
                return false;
        unsigned char first = *at++;
        left--;

        switch (first) {
        case 0x00 ... 0x7f:
                token->kind = BG_TOKEN_INT;
                token->i = first;
                break;
        case 0xe0 ... 0xff:
                token->kind = BG_TOKEN_INT;
                token->i = (int8_t)first;
                break;
        case 0x80 ... 0x8f:
                token->kind = BG_TOKEN_MAP;
                token->n = first & 0x0f;
                break;
        case 0x90 ... 0x9f:
                token->kind = BG_TOKEN_ARRAY;
                token->n = first & 0x0f;
                break;
        case 0xa0 ... 0xbf:
                token->kind = BG_TOKEN_STR;
                n_text = first & 0x1f;
                break;
        case 0xc0:
                token->kind = BG_TOKEN_NIL;
                break;
        case 0xc2:
        case 0xc3:
                token->kind = BG_TOKEN_BOOL;
                token->n = first & 1;
                break;
        case 0xc4 ... 0xc6:
        case 0xd9 ... 0xdb:
                n_head = 1u << (first - (first < 0xd0 ? 0xc4 : 0xd9));
                if (left < n_head)
                        return false;
                token->kind = first < 0xd0 ? BG_TOKEN_BIN : BG_TOKEN_STR;
                n_text = (size_t)bg_wire_big_endian(at, n_head);
                break;
        case 0xca:
        case 0xcb:
                n_head = first == 0xca ? 4 : 8;
                if (left < n_head)
                        return false;
                token->kind = BG_TOKEN_FLOAT;
                token->f = bg_wire_float(at, n_head);
                break;
        case 0xcc ... 0xcf:
                n_head = 1u << (first - 0xcc);
                if (left < n_head)
                        return false;
                token->u = bg_wire_big_endian(at, n_head);
                token->kind = token->u > INT64_MAX ? BG_TOKEN_HUGE : BG_TOKEN_INT;
                break;
        case 0xd0 ... 0xd3:
                n_head = 1u << (first - 0xd0);
                if (left < n_head)
                        return false;
                token->kind = BG_TOKEN_INT; /* sign extension: shift up unsigned, down signed */
                token->i = (int64_t)(bg_wire_big_endian(at, n_head) << (64 - 8 * n_head)) >> (64 - 8 * n_head);
                break;
        case 0xdc ... 0xdf:
                n_head = first & 1 ? 4 : 2;
                if (left < n_head)
                        return false;
                token->kind = first < 0xde ? BG_TOKEN_ARRAY : BG_TOKEN_MAP;
                token->n = (uint32_t)bg_wire_big_endian(at, n_head);
                break;
        default: /* 0xc1, ext and fixext */
                return false;
        }

        at += n_head;
        left -= n_head;
        if (token->kind == BG_TOKEN_STR || token->kind == BG_TOKEN_BIN) {
                if (left < n_text)
                        return false;
                token->str = (BgStr){ (const char *)at, n_text };
                at += n_text;
        }
        cursor->at = at;
        return true;
}

/** Step over one value with all that is in it. Only on bytes that bg_proto_check() has passed. */
static inline bool bg_cursor_skip(BgCursor *cursor)
{
        BgToken token;

        for (uint64_t n_open = 1; n_open > 0; n_open--) {
                if (!bg_cursor_next(cursor, &token))
                        return false;
                if (token.kind == BG_TOKEN_ARRAY)
                        n_open += token.n;
                else if (token.kind == BG_TOKEN_MAP)
                        n_open += 2 * (uint64_t)token.n;
        }
        return true;
}

/** Set *error, when there is one. */
void bg_error_set(BgProtoError *error, BgError code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/** Append JSON text as msgpack, whatever it says (in proto_json_dep). 0, BG_PROTO_E_MALFORMED, or -ENOMEM. */
int bg_json_to_bytes(const char *text, size_t len, BgBuffer *bytes, BgProtoError *error);

/** bg_proto_unpack(), where times may also be RFC 3339 text: what JSON is turned into. */
int bg_unpack_lenient(const BgProtoType *type, const void *bytes, size_t n_bytes, BgArena *arena, void *message,
                      BgProtoError *error);

#endif
