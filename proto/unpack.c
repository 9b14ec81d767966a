/* SPDX-License-Identifier: MIT */
/*
 * Bytes to structs. A map is read in two steps: note where each known key's value is (the last one of a key counts), then read
 * the fields in the order of their table. So what is reported wrong does not depend on the order of the keys, a `t` may come
 * anywhere in an event, and unknown keys cost a step over their value.
 *
 * All reads go through the cursor and are bounded even if the check before were wrong.
 */

#include <stdio.h>

#include "proto/wire.h"

#define PATH_MAX_DEPTH 8
#define NO_INDEX SIZE_MAX

typedef enum Fault {
        FAULT_TYPE,    /* wrong type, or text that is none */
        FAULT_MISSING,
        FAULT_RANGE,
        FAULT_EARLY,   /* a time before the accepted range */
        FAULT_WORD,    /* not a word of the enum */
        FAULT_NAME,
        FAULT_KEY,     /* a map with a key that is no string */
} Fault;

typedef struct Decoder {
        BgArena *arena;
        BgProtoError *error; /* may be NULL */
        bool lenient;        /* times may be text */
        bool quiet;          /* within an event of a batch: no text is made, only the reason is kept */
        Fault fault;
        const char *fault_key;
        struct {
                const char *key;
                size_t index;
        } path[PATH_MAX_DEPTH]; /* from the message to the struct being read */
        size_t depth;
} Decoder;

/* ---- saying what is wrong ----------------------------------------------------------------------------------------------------- */

static void describe_expected(const BgField *field, char *text, size_t size)
{
        long long min = field->min, max = field->max;

        switch ((BgFieldKind)field->kind) {
        case BG_FIELD_I64:
                snprintf(text, size, bg_field_is_time(field) ? "a time, microseconds in %lld .. %lld" : "an integer in %lld .. %lld",
                         min, max);
                break;
        case BG_FIELD_F64:
                snprintf(text, size, "a number in %g .. %g", field->min_f, field->max_f);
                break;
        case BG_FIELD_STR:
                snprintf(text, size, "text of %lld .. %lld bytes without control characters", min, max);
                break;
        case BG_FIELD_NAME:
                snprintf(text, size, "a name like org/name of A-Za-z0-9._-");
                break;
        case BG_FIELD_BOOL:
                snprintf(text, size, "true or false");
                break;
        case BG_FIELD_ENUM: {
                size_t n = (size_t)snprintf(text, size, "one of");
                for (int i = 0; i < field->words->n && n < size; i++)
                        if (*field->words->words[i])
                                n += (size_t)snprintf(text + n, size - n, " %s", field->words->words[i]);
                break;
        }
        case BG_FIELD_MAP:
                snprintf(text, size, "a map");
                break;
        case BG_FIELD_LIST:
        case BG_FIELD_EVENTS:
        case BG_FIELD_I64S:
        case BG_FIELD_F64S:
        case BG_FIELD_STRS:
                snprintf(text, size, "an array of %lld .. %lld items", min, max);
                break;
        }
}

/* The text goes back to the sender and into logs: of foreign strings only short printable ASCII is quoted. */
static void describe_got(const BgToken *token, char *text, size_t size)
{
        bool plain = true;

        switch (token->kind) {
        case BG_TOKEN_NIL:
                snprintf(text, size, "nil");
                break;
        case BG_TOKEN_BOOL:
                snprintf(text, size, token->n ? "true" : "false");
                break;
        case BG_TOKEN_INT:
                snprintf(text, size, "%lld", (long long)token->i);
                break;
        case BG_TOKEN_HUGE:
                snprintf(text, size, "%llu", (unsigned long long)token->u);
                break;
        case BG_TOKEN_FLOAT:
                snprintf(text, size, "the float %.9g", token->f);
                break;
        case BG_TOKEN_STR:
                for (size_t i = 0; i < token->str.len && plain; i++)
                        plain = token->str.data[i] >= 0x20 && token->str.data[i] <= 0x7e;
                if (plain && token->str.len <= 40)
                        snprintf(text, size, "the string \"%.*s\"", (int)token->str.len, token->str.data);
                else
                        snprintf(text, size, "a string of %zu bytes", token->str.len);
                break;
        case BG_TOKEN_BIN:
                snprintf(text, size, "binary data");
                break;
        case BG_TOKEN_ARRAY:
                snprintf(text, size, "an array of %u", token->n);
                break;
        case BG_TOKEN_MAP:
                snprintf(text, size, "a map");
                break;
        }
}

static void describe_place(const Decoder *d, const char *key, size_t index, char *text, size_t size)
{
        size_t n = 0;

        text[0] = '\0';
        for (size_t i = 0; i <= d->depth && n < size; i++) {
                const char *step = i < d->depth ? d->path[i].key : key;
                size_t item = i < d->depth ? d->path[i].index : index;
                if (*step)
                        n += (size_t)snprintf(text + n, size - n, n ? ".%s" : "%s", step);
                if (item != NO_INDEX && n < size)
                        n += (size_t)snprintf(text + n, size - n, "[%zu]", item);
        }
}

static int fail(Decoder *d, Fault fault, const BgField *field, size_t index, const BgToken *got)
{
        static const BgError codes[] = {
                [FAULT_TYPE] = BG_ERROR_MALFORMED, [FAULT_MISSING] = BG_ERROR_MALFORMED, [FAULT_RANGE] = BG_ERROR_RANGE,
                [FAULT_EARLY] = BG_ERROR_RANGE,    [FAULT_WORD] = BG_ERROR_UNSUPPORTED,  [FAULT_NAME] = BG_ERROR_MALFORMED,
                [FAULT_KEY] = BG_ERROR_MALFORMED,
        };
        char place[80], expected[120], found[64];

        d->fault = fault;
        d->fault_key = field ? field->key : "";
        if (d->quiet || !d->error)
                return BG_PROTO_E_MALFORMED;

        describe_place(d, d->fault_key, index, place, sizeof(place));
        const char *colon = *place ? ": " : "";
        if (fault == FAULT_MISSING) {
                bg_error_set(d->error, codes[fault], "%s%smissing", place, colon);
                return BG_PROTO_E_MALFORMED;
        }
        describe_got(got, found, sizeof(found));
        if (fault == FAULT_KEY) {
                bg_error_set(d->error, codes[fault], "%s%skeys of maps must be strings, got %s", place, colon, found);
        } else if (!field) {
                bg_error_set(d->error, codes[fault], "%s%sexpected a map, got %s", place, colon, found);
        } else if (fault == FAULT_RANGE && !strcmp(field->key, "v")) {
                bg_error_set(d->error, BG_ERROR_UNSUPPORTED, "%s%sversion %d is spoken here, got %s", place, colon, BG_PROTO_VERSION,
                             found);
        } else {
                describe_expected(field, expected, sizeof(expected));
                bg_error_set(d->error, codes[fault], "%s%sexpected %s, got %s", place, colon, expected, found);
        }
        return BG_PROTO_E_MALFORMED;
}

/* ---- values -------------------------------------------------------------------------------------------------------------------- */

static int read_struct(Decoder *d, const BgProtoType *type, BgCursor *cursor, void *message);
static int read_event(Decoder *d, BgCursor *cursor, BgEvent *event);

/* A float counts as an integer when it is one exactly: some languages know no other numbers. */
static bool token_as_int(const BgToken *token, int64_t *valuep)
{
        if (token->kind == BG_TOKEN_INT)
                *valuep = token->i;
        else if (token->kind == BG_TOKEN_FLOAT && token->f >= -0x1p63 && token->f < 0x1p63 && trunc(token->f) == token->f)
                *valuep = (int64_t)token->f;
        else
                return false;
        return true;
}

static int read_i64(Decoder *d, const BgField *field, size_t index, const BgToken *token, int64_t *valuep)
{
        BgToken time = { .kind = BG_TOKEN_INT };

        if (d->lenient && bg_field_is_time(field) && token->kind == BG_TOKEN_STR && !bg_time_parse(&time.i, token->str))
                token = &time;
        if (!token_as_int(token, valuep)) {
                bool too_large = token->kind == BG_TOKEN_HUGE || (token->kind == BG_TOKEN_FLOAT && isfinite(token->f) &&
                                                                  trunc(token->f) == token->f);
                bool early = too_large && token->kind == BG_TOKEN_FLOAT && token->f < 0 && field->min == BG_TIME_MIN;
                return fail(d, early ? FAULT_EARLY : too_large ? FAULT_RANGE : FAULT_TYPE, field, index, token);
        }
        if (field->kind == BG_FIELD_I64S)
                return 0; /* there min and max are those of the list */
        if (*valuep < field->min)
                return fail(d, field->min == BG_TIME_MIN ? FAULT_EARLY : FAULT_RANGE, field, index, token);
        if (*valuep > field->max)
                return fail(d, FAULT_RANGE, field, index, token);
        return 0;
}

static int read_f64(Decoder *d, const BgField *field, size_t index, const BgToken *token, double *valuep)
{
        switch (token->kind) {
        case BG_TOKEN_NIL:
                *valuep = NAN;
                return 0;
        case BG_TOKEN_INT:
                *valuep = (double)token->i;
                break;
        case BG_TOKEN_HUGE:
                *valuep = (double)token->u;
                break;
        case BG_TOKEN_FLOAT:
                if (isnan(token->f))
                        return fail(d, FAULT_TYPE, field, index, token);
                *valuep = token->f;
                break;
        default:
                return fail(d, FAULT_TYPE, field, index, token);
        }
        bool inside = field->kind == BG_FIELD_F64S ? !isinf(*valuep) : *valuep >= field->min_f && *valuep <= field->max_f;
        return inside ? 0 : fail(d, FAULT_RANGE, field, index, token);
}

static int read_text(Decoder *d, const BgField *field, size_t index, const BgToken *token, BgStr *textp)
{
        bool item = field->kind == BG_FIELD_STRS;
        size_t min = item ? 0 : (size_t)field->min;
        size_t max = item ? BG_ITEM_TEXT_MAX : (size_t)field->max;

        if (token->kind != BG_TOKEN_STR)
                return fail(d, FAULT_TYPE, field, index, token);
        if (field->kind == BG_FIELD_NAME) {
                if (!bg_proto_name_valid(token->str))
                        return fail(d, FAULT_NAME, field, index, token);
        } else if (token->str.len < min || token->str.len > max) {
                return fail(d, FAULT_RANGE, field, index, token);
        } else if (!bg_text_valid(token->str)) {
                return fail(d, FAULT_TYPE, field, index, token);
        }
        *textp = token->str;
        return 0;
}

static int read_enum(Decoder *d, const BgField *field, const BgToken *token, int *valuep)
{
        if (token->kind != BG_TOKEN_STR)
                return fail(d, FAULT_TYPE, field, NO_INDEX, token);
        /* an empty word says nothing: it may stand for "absent", not for something that must be there */
        if (bg_words_find(field->words, valuep, token->str) || (field->required && token->str.len == 0))
                return fail(d, FAULT_WORD, field, NO_INDEX, token);
        return 0;
}

static int read_map(Decoder *d, const BgField *field, BgCursor *cursor, void **mapp)
{
        const BgProtoType *type = bg_proto_types[field->inner];

        *mapp = bg_arena_alloc(d->arena, 1, type->size);
        if (!*mapp)
                return -ENOMEM;
        d->path[d->depth].key = field->key;
        d->path[d->depth++].index = NO_INDEX;
        int r = read_struct(d, type, cursor, *mapp);
        d->depth--;
        return r;
}

static int read_item(Decoder *d, const BgField *field, size_t index, BgCursor *cursor, void *item)
{
        BgToken token;

        if (field->kind == BG_FIELD_LIST)
                return read_struct(d, bg_proto_types[field->inner], cursor, item);
        if (field->kind == BG_FIELD_EVENTS) {
                d->quiet = true;
                int r = read_event(d, cursor, item);
                d->quiet = false;
                return r == BG_PROTO_E_MALFORMED ? 0 : r;
        }
        if (!bg_cursor_next(cursor, &token))
                return fail(d, FAULT_MISSING, field, index, NULL);
        if (field->kind == BG_FIELD_I64S)
                return read_i64(d, field, index, &token, item);
        if (field->kind == BG_FIELD_F64S)
                return read_f64(d, field, index, &token, item);
        return read_text(d, field, index, &token, item);
}

static size_t item_size(const BgField *field)
{
        switch ((BgFieldKind)field->kind) {
        case BG_FIELD_I64S:
                return sizeof(int64_t);
        case BG_FIELD_F64S:
                return sizeof(double);
        case BG_FIELD_STRS:
                return sizeof(BgStr);
        default:
                return bg_proto_types[field->inner]->size;
        }
}

/*
 * Memory before the items are seen is bounded by hi times the size of the struct (65536 events: 11 MB), and by the bytes: an
 * item that is a map has one at least.
 */
static int read_list(Decoder *d, const BgField *field, const BgToken *token, BgCursor *cursor, BgAnyList *list)
{
        size_t size = item_size(field);
        bool structs = field->kind == BG_FIELD_LIST;
        int r = 0;

        if (token->kind != BG_TOKEN_ARRAY)
                return fail(d, FAULT_TYPE, field, NO_INDEX, token);
        if (token->n < (uint64_t)field->min || token->n > (uint64_t)field->max)
                return fail(d, FAULT_RANGE, field, NO_INDEX, token);
        if (token->n == 0)
                return 0;
        list->items = bg_arena_alloc(d->arena, token->n, size);
        if (!list->items)
                return -ENOMEM;
        list->n = token->n;

        d->path[d->depth].key = field->key;
        d->depth += structs;
        for (size_t i = 0; i < token->n && !r; i++) {
                d->path[d->depth - structs].index = i;
                r = read_item(d, field, i, cursor, (char *)list->items + i * size);
        }
        d->depth -= structs;
        return r;
}

static int read_field(Decoder *d, const BgField *field, BgCursor cursor, void *member)
{
        BgCursor start = cursor;
        BgToken token;

        if (!bg_cursor_next(&cursor, &token))
                return fail(d, FAULT_MISSING, field, NO_INDEX, NULL);
        if (token.kind == BG_TOKEN_NIL && !field->required)
                return 0; /* as if the key were missing */

        switch ((BgFieldKind)field->kind) {
        case BG_FIELD_I64:
                return read_i64(d, field, NO_INDEX, &token, member);
        case BG_FIELD_F64:
                return read_f64(d, field, NO_INDEX, &token, member);
        case BG_FIELD_STR:
        case BG_FIELD_NAME:
                return read_text(d, field, NO_INDEX, &token, member);
        case BG_FIELD_BOOL:
                if (token.kind != BG_TOKEN_BOOL)
                        return fail(d, FAULT_TYPE, field, NO_INDEX, &token);
                *(bool *)member = token.n;
                return 0;
        case BG_FIELD_ENUM:
                return read_enum(d, field, &token, member);
        case BG_FIELD_MAP:
                return read_map(d, field, &start, member);
        case BG_FIELD_LIST:
        case BG_FIELD_EVENTS:
        case BG_FIELD_I64S:
        case BG_FIELD_F64S:
        case BG_FIELD_STRS:
                return read_list(d, field, &token, &cursor, member);
        }
        return 0;
}

/* ---- maps ------------------------------------------------------------------------------------------------------------------------ */

/* Senders keep to the order of the tables: the key after the last one found is the first guess. */
static size_t find_key(const BgField *fields, size_t n_fields, size_t guess, BgStr key)
{
        if (guess < n_fields && fields[guess].key_len == key.len && !memcmp(fields[guess].key, key.data, key.len))
                return guess;
        for (size_t i = 0; i < n_fields; i++)
                if (fields[i].key_len == key.len && !memcmp(fields[i].key, key.data, key.len))
                        return i;
        return n_fields;
}

/* Where the value of each field is, of those seen. Not cleared for every event: that took a tenth of the time. */
typedef struct Places {
        uint32_t seen; /* bits */
        const unsigned char *at[BG_FIELDS_MAX];
} Places;

static const unsigned char *place_of(const Places *places, size_t i) { return places->seen >> i & 1 ? places->at[i] : NULL; }

/* The cursor ends behind the map, also when a key is bad. */
static int find_places(Decoder *d, const BgProtoType *type, BgCursor *cursor, Places *places)
{
        const BgField *fields = type->fields();
        size_t guess = 0;
        BgCursor start = *cursor;
        BgToken head, key;
        int r = 0;

        places->seen = 0;
        if (!bg_cursor_next(cursor, &head))
                return fail(d, FAULT_MISSING, NULL, NO_INDEX, NULL);
        if (head.kind != BG_TOKEN_MAP) {
                *cursor = start;
                bg_cursor_skip(cursor);
                return fail(d, FAULT_TYPE, NULL, NO_INDEX, &head);
        }
        for (uint32_t i = 0; i < head.n; i++) {
                start = *cursor;
                if (!bg_cursor_next(cursor, &key))
                        return fail(d, FAULT_MISSING, NULL, NO_INDEX, NULL);
                if (key.kind == BG_TOKEN_STR) {
                        size_t found = find_key(fields, type->n_fields, guess, key.str);
                        if (found < type->n_fields) {
                                places->at[found] = cursor->at;
                                places->seen |= UINT32_C(1) << found;
                                guess = found + 1;
                        }
                } else {
                        r = fail(d, FAULT_KEY, NULL, NO_INDEX, &key);
                        *cursor = start;
                        bg_cursor_skip(cursor);
                }
                bg_cursor_skip(cursor);
        }
        return r;
}

static int read_struct(Decoder *d, const BgProtoType *type, BgCursor *cursor, void *message)
{
        const BgField *fields = type->fields();
        Places places;

        if (type == &bg_proto_event)
                return read_event(d, cursor, message);
        bg_proto_init(type, message);
        int r = find_places(d, type, cursor, &places);
        for (size_t i = 0; i < type->n_fields && !r; i++) {
                const unsigned char *place = place_of(&places, i);
                if (place)
                        r = read_field(d, &fields[i], (BgCursor){ place, cursor->end }, bg_field_member(&fields[i], message));
                else if (fields[i].required)
                        r = fail(d, FAULT_MISSING, &fields[i], NO_INDEX, NULL);
        }
        return r;
}

/* ---- events ---------------------------------------------------------------------------------------------------------------------- */

static int refuse(Decoder *d, BgEvent *event, BgReject reason, const char *key)
{
        memset(event, 0, sizeof(*event));
        event->reject = reason;
        strncpy(event->reject_key, key, sizeof(event->reject_key) - 1);
        if (!d->quiet && d->error && d->error->code == BG_ERROR_NONE)
                bg_error_set(d->error, BG_ERROR_RANGE, "%s%s%s", key, *key ? ": " : "", bg_proto_reject_name(reason));
        return BG_PROTO_E_MALFORMED;
}

static int refuse_fault(Decoder *d, BgEvent *event)
{
        static const BgReject reasons[] = {
                [FAULT_TYPE] = BG_REJECT_MALFORMED, [FAULT_MISSING] = BG_REJECT_MISSING, [FAULT_RANGE] = BG_REJECT_RANGE,
                [FAULT_EARLY] = BG_REJECT_TOO_OLD,  [FAULT_WORD] = BG_REJECT_RANGE,      [FAULT_NAME] = BG_REJECT_NAME,
                [FAULT_KEY] = BG_REJECT_MALFORMED,
        };

        return refuse(d, event, reasons[d->fault], d->fault_key);
}

static int read_event_type(const unsigned char *place, const unsigned char *end, BgEventType *typep, BgReject *reasonp)
{
        BgCursor cursor = { place, end };
        BgToken token;
        int type;

        if (!place)
                *reasonp = BG_REJECT_MISSING;
        else if (!bg_cursor_next(&cursor, &token) || token.kind != BG_TOKEN_STR)
                *reasonp = BG_REJECT_MALFORMED;
        else if (bg_proto_event_type_find(&type, token.str) || type == BG_EVENT_NONE)
                *reasonp = BG_REJECT_UNKNOWN_TYPE;
        else {
                *typep = (BgEventType)type;
                return 0;
        }
        return BG_PROTO_E_MALFORMED;
}

/* What must hold between the members of an event. */
static int check_whole(Decoder *d, BgEvent *event)
{
        if (event->type == BG_EVENT_TALLY && event->to <= event->from)
                return refuse(d, event, BG_REJECT_INTERVAL, "to");
        if (event->type == BG_EVENT_MOVE) {
                if (!event->model.len != !event->to_model.len)
                        return refuse(d, event, BG_REJECT_MISSING, event->model.len ? "to_model" : "model");
                if (bg_str_equal(event->from_name, event->to_name) && bg_str_equal(event->model, event->to_model))
                        return refuse(d, event, BG_REJECT_SELF, "to");
        }
        return 0;
}

/* *event is zero when this begins. */
static int read_event_members(Decoder *d, BgCursor *cursor, BgEvent *event)
{
        Places places;
        BgReject reason;

        if (find_places(d, &bg_proto_event, cursor, &places))
                return refuse_fault(d, event);
        if (read_event_type(place_of(&places, 0), cursor->end, &event->type, &reason))
                return refuse(d, event, reason, "t");

        const BgEventTable *table = bg_event_table(event->type);
        for (size_t i = 0; i < table->n_fields; i++) {
                const BgField *field = &table->fields[i];
                const unsigned char *place = place_of(&places, field->slot);
                int r = 0;
                if (place)
                        r = read_field(d, field, (BgCursor){ place, cursor->end }, bg_field_member(field, event));
                else if (field->required)
                        r = fail(d, FAULT_MISSING, field, NO_INDEX, NULL);
                if (r)
                        return refuse_fault(d, event);
        }
        return check_whole(d, event);
}

static int read_event(Decoder *d, BgCursor *cursor, BgEvent *event)
{
        const unsigned char *start = cursor->at;
        int r = read_event_members(d, cursor, event);

        if (r == BG_PROTO_E_MALFORMED)
                event->refused = (BgStr){ (const char *)start, (size_t)(cursor->at - start) };
        return r;
}

/* ---- doors ----------------------------------------------------------------------------------------------------------------------- */

static int unpack(const BgProtoType *type, const void *bytes, size_t n_bytes, BgArena *arena, void *message, BgProtoError *error,
                  bool lenient)
{
        BgCursor cursor = bg_cursor(bytes, n_bytes);
        Decoder decoder = { .arena = arena, .error = error, .lenient = lenient };

        if (error)
                *error = (BgProtoError){ .code = BG_ERROR_NONE };
        int r = bg_proto_check(bytes, n_bytes, &bg_proto_limits_default, error);
        if (r) {
                memset(message, 0, type->size);
                if (type == &bg_proto_event)
                        ((BgEvent *)message)->reject = BG_REJECT_MALFORMED;
                return r;
        }
        memset(message, 0, type->size);
        r = read_struct(&decoder, type, &cursor, message);
        if (r && type != &bg_proto_event) /* an event keeps why it was refused */
                memset(message, 0, type->size);
        return r;
}

int bg_proto_unpack(const BgProtoType *type, const void *bytes, size_t n_bytes, BgArena *arena, void *message, BgProtoError *error)
{
        return unpack(type, bytes, n_bytes, arena, message, error, false);
}

int bg_unpack_lenient(const BgProtoType *type, const void *bytes, size_t n_bytes, BgArena *arena, void *message,
                      BgProtoError *error)
{
        return unpack(type, bytes, n_bytes, arena, message, error, true);
}

int bg_proto_event_bytes(const void *bytes, size_t n_bytes, size_t index, BgStr *eventp)
{
        BgCursor cursor = bg_cursor(bytes, n_bytes);
        Places places;
        const BgField *fields = bg_proto_batch.fields();
        Decoder decoder = { .quiet = true };
        BgToken list;

        if (bg_proto_check(bytes, n_bytes, &bg_proto_limits_default, NULL) || find_places(&decoder, &bg_proto_batch, &cursor, &places))
                return -EINVAL;
        size_t i = 0;
        while (i < bg_proto_batch.n_fields && fields[i].kind != BG_FIELD_EVENTS)
                i++;
        if (i == bg_proto_batch.n_fields || !place_of(&places, i))
                return -ENOENT;
        cursor = (BgCursor){ place_of(&places, i), cursor.end };
        if (!bg_cursor_next(&cursor, &list) || list.kind != BG_TOKEN_ARRAY || index >= list.n)
                return -ENOENT;
        for (size_t n = 0; n < index; n++)
                bg_cursor_skip(&cursor);
        const unsigned char *start = cursor.at;
        bg_cursor_skip(&cursor);
        *eventp = (BgStr){ (const char *)start, (size_t)(cursor.at - start) };
        return 0;
}
