/* SPDX-License-Identifier: MIT */
#ifndef BURGEON_PROTO_H
#define BURGEON_PROTO_H

/*
 * The wire: messages as C structs, packed to and unpacked from msgpack, and printed as JSON.
 *
 * The structs come from messages.def; PROTOCOL.md tells the same to people. Unpacked strings alias the input bytes (or the
 * arena), unpacked arrays live in the arena: copy what you keep.
 */

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/buffer.h"
#include "proto/messages.def"

#pragma GCC visibility push(default) /* part of libburgeon's interface */

#define BG_PROTO_VERSION 1

/** Text with a length, not NUL-terminated; {NULL, 0} is the empty string and means "absent". */
typedef struct BgStr {
        const char *data;
        size_t len;
} BgStr;

#define BG_STR(literal) ((BgStr){ (literal), sizeof(literal) - 1 })
static inline BgStr bg_str(const char *text) { return (BgStr){ text, text ? strlen(text) : 0 }; }
static inline bool bg_str_equal(BgStr a, BgStr b) { return a.len == b.len && (a.len == 0 || !memcmp(a.data, b.data, a.len)); }

/* ---- enums: BG_EVENT_ADD, bg_proto_event_type_name(BG_EVENT_ADD) == "add" -------------------------------------------------- */

#define BG_E(name, wire) BG_PREFIX(name),
#define BG_PREFIX(name) BG_EVENT_##name
typedef enum BgEventType { BG_ENUM_EVENT_TYPE(BG_E) BG_EVENT_N } BgEventType;
#undef BG_PREFIX
#define BG_PREFIX(name) BG_RELATION_##name
typedef enum BgRelation { BG_ENUM_RELATION(BG_E) BG_RELATION_N } BgRelation;
#undef BG_PREFIX
#define BG_PREFIX(name) BG_REJECT_##name
typedef enum BgReject { BG_ENUM_REJECT(BG_E) BG_REJECT_N } BgReject;
#undef BG_PREFIX
#define BG_PREFIX(name) BG_STATUS_##name
typedef enum BgStatus { BG_ENUM_STATUS(BG_E) BG_STATUS_N } BgStatus;
#undef BG_PREFIX
#define BG_PREFIX(name) BG_RELEASE_##name
typedef enum BgReleaseBasis { BG_ENUM_RELEASE_BASIS(BG_E) BG_RELEASE_N } BgReleaseBasis;
#undef BG_PREFIX
#define BG_PREFIX(name) BG_START_##name
typedef enum BgStart { BG_ENUM_START(BG_E) BG_START_N } BgStart;
#undef BG_PREFIX
#define BG_PREFIX(name) BG_SURGE_##name
typedef enum BgSurgeState { BG_ENUM_SURGE_STATE(BG_E) BG_SURGE_N } BgSurgeState;
#undef BG_PREFIX
#define BG_PREFIX(name) BG_SURGE_KIND_##name
typedef enum BgSurgeKind { BG_ENUM_SURGE_KIND(BG_E) BG_SURGE_KIND_N } BgSurgeKind;
#undef BG_PREFIX
#define BG_PREFIX(name) BG_INSIDE_##name
typedef enum BgInside { BG_ENUM_INSIDE(BG_E) BG_INSIDE_N } BgInside;
#undef BG_PREFIX
#define BG_PREFIX(name) BG_ERROR_##name
typedef enum BgError { BG_ENUM_ERROR(BG_E) BG_ERROR_N } BgError;
#undef BG_PREFIX
#define BG_PREFIX(name) BG_QUERY_##name
typedef enum BgQuery { BG_ENUM_QUERY(BG_E) BG_QUERY_N } BgQuery;
#undef BG_PREFIX
#define BG_PREFIX(name) BG_SORT_##name
typedef enum BgSort { BG_ENUM_SORT(BG_E) BG_SORT_N } BgSort;
#undef BG_PREFIX
#undef BG_E

/** bg_proto_relation_name(r) and its like: the wire's word, "" for 0 of most; "?" out of range. */
#define BG_M(TABLE, CName, c_name) const char *bg_proto_##c_name##_name(int value);
BG_ENUMS(BG_M)
#undef BG_M
/** bg_proto_relation_find(&r, text): 0, or -ENOENT. */
#define BG_M(TABLE, CName, c_name) int bg_proto_##c_name##_find(int *valuep, BgStr text);
BG_ENUMS(BG_M)
#undef BG_M

/* ---- structs --------------------------------------------------------------------------------------------------------------- */

/** One event. `type` says which members mean something (messages.def). A refused event has type NONE and says why. */
typedef struct BgEvent {
        BgEventType type;
        BgReject reject;     /* unpacking: why this event was refused; NONE otherwise */
        char reject_key[16]; /* the key at fault, "" = the event as a whole */
        BgStr refused;       /* of a refused event: its bytes as they came, for a dead letter (bg_proto_bytes_to_json) */
        BgStr model;
        BgStr child;
        BgStr from_name;
        BgStr to_name;
        BgStr to_model;
        BgStr source;
        int64_t at; /* microseconds UTC, all times */
        int64_t from;
        int64_t to;
        int64_t release; /* 0 = absent */
        int64_t count;
        BgRelation relation;
} BgEvent;

#define BG_LIST_OF(T) struct { T *items; size_t n; }
#define BG_MEMBER_I64(member, extra) int64_t member;
#define BG_MEMBER_F64(member, extra) double member;
#define BG_MEMBER_STR(member, extra) BgStr member;
#define BG_MEMBER_NAME(member, extra) BgStr member;
#define BG_MEMBER_BOOL(member, extra) bool member;
#define BG_MEMBER_ENUM(member, extra) int member;
#define BG_MEMBER_LIST(member, extra) BG_LIST_OF(struct Bg##extra) member;
#define BG_MEMBER_EVENTS(member, extra) BG_LIST_OF(struct Bg##extra) member;
#define BG_MEMBER_MAP(member, extra) struct Bg##extra *member;
#define BG_MEMBER_I64S(member, extra) BG_LIST_OF(int64_t) member;
#define BG_MEMBER_F64S(member, extra) BG_LIST_OF(double) member;
#define BG_MEMBER_STRS(member, extra) BG_LIST_OF(BgStr) member;
#define BG_F(kind, member, key, need, lo, hi, extra, doc) BG_MEMBER_##kind(member, extra)
#define BG_M(TABLE, CName, c_name, doc) typedef struct Bg##CName { BG_FIELDS_##TABLE(BG_F) } Bg##CName;
BG_MESSAGES(BG_M)
#undef BG_M
#undef BG_F

/* ---- descriptors and codec -------------------------------------------------------------------------------------------------- */

typedef struct BgProtoType BgProtoType; /* opaque descriptor of one message */

#define BG_M(TABLE, CName, c_name, doc) extern const BgProtoType bg_proto_##c_name;
BG_MESSAGES(BG_M)
#undef BG_M
extern const BgProtoType bg_proto_event; /* BgEvent alone: what a JSON line of `burgeon send` holds */

/** What was wrong with some bytes: for an answer to their sender. */
typedef struct BgProtoError {
        BgError code;   /* MALFORMED, UNSUPPORTED (version), RANGE, TOO_LARGE */
        char text[200]; /* "seq: expected an integer in 0 .. 9223372036854775807, got a string" */
} BgProtoError;

/** Limits of the bounded walk that comes before msgpack-c sees a byte. */
typedef struct BgProtoLimits {
        size_t bytes_max; /* of the message */
        size_t depth_max; /* nesting of maps and arrays */
        size_t items_max; /* elements in all */
} BgProtoLimits;
extern const BgProtoLimits bg_proto_limits_default; /* 16 MiB, depth 8, 4 Mi items */

#define BG_PROTO_E_MALFORMED 1

/**
 * bg_proto_check() - walk the bytes of one msgpack value without building anything
 *
 * Verifies that exactly one value, within the limits, fills the bytes: lengths of strings and arrays against the bytes that are
 * left, depth, count, no ext types.      Cost: O(n_bytes), no allocation.
 *
 * Return: 0, or BG_PROTO_E_MALFORMED with *error set (error may be NULL).
 */
int bg_proto_check(const void *bytes, size_t n_bytes, const BgProtoLimits *limits, BgProtoError *error);

/**
 * bg_proto_unpack() - check, then unpack one message
 * @message:  the struct that belongs to `type`; wholly overwritten, also on error (then zero)
 * @arena:    receives arrays, inner messages and texts; must outlive the message, as must the bytes
 *
 * A batch is taken apart event by event: an event that is wrong gets type NONE and its reason, the batch still succeeds.
 * Absent optional members get their "absent" value (messages.def); an absent or nil F64 is NaN.
 *
 * `bg_proto_event` alone: a wrong event is BG_PROTO_E_MALFORMED too, and its `reject` and `reject_key` are set.
 *
 * Return: 0, BG_PROTO_E_MALFORMED with *error set (error may be NULL), or -ENOMEM.
 */
int bg_proto_unpack(const BgProtoType *type, const void *bytes, size_t n_bytes, BgArena *arena, void *message,
                    BgProtoError *error);

/**
 * bg_proto_pack() - append one message as msgpack
 *
 * NaN and infinities become nil. F64 saturates at its range, since a score may leave it without anybody's mistake; other members
 * out of range are a bug of the caller (assert), as is an ENUM that must be there and is 0 with an empty word. A refused event
 * (type NONE) becomes an empty map.
 *
 * Return: 0 or -ENOMEM.
 */
int bg_proto_pack(const BgProtoType *type, const void *message, BgBuffer *out);

/** The same as one line of JSON (no newline): same keys as the wire. Times named in messages.def stay integers. 0 or -ENOMEM. */
int bg_proto_to_json(const BgProtoType *type, const void *message, BgBuffer *out);
/** The raw bytes of event number `index` of a packed batch, for a dead letter. 0, -ENOENT, or -EINVAL when it is no batch. */
int bg_proto_event_bytes(const void *bytes, size_t n_bytes, size_t index, BgStr *eventp);
/** Any msgpack value as one line of JSON (bytes that are no text: \ufffd). 0, BG_PROTO_E_MALFORMED, or -ENOMEM. */
int bg_proto_bytes_to_json(const void *bytes, size_t n_bytes, BgBuffer *out);

/** JSON text to message (in proto_json_dep), same rules as bg_proto_unpack(). Times may also be RFC 3339 text. `bg_proto_event`: one event. */
int bg_proto_from_json(const BgProtoType *type, const char *text, size_t len, BgArena *arena, void *message, BgProtoError *error);

/** A message of type `type` with every member at its "absent" value (F64: NaN, ENUM: 0, ..) and v = 1. */
void bg_proto_init(const BgProtoType *type, void *message);

/** Name of an enum-free event type's reject reason etc. come from the enum functions above. */

/* ---- names, topics, times ----------------------------------------------------------------------------------------------------*/

/** `org/name` of [A-Za-z0-9._-]: 3 .. BG_NAME_MAX bytes, exactly one slash, neither part empty, "." or "..". */
bool bg_proto_name_valid(BgStr name);
/** The part before the slash: organisation of a model, author of a child. */
BgStr bg_proto_name_org(BgStr name);

/** Append `kind/NAME/`, e.g. forecast/meta-llama/Llama-3.1-8B/ ; the relation is not in the topic but in the payload. */
int bg_proto_topic(BgBuffer *out, const char *kind, BgStr name);

#define BG_TIME_TEXT_MAX 32
/** Microseconds to RFC 3339 in UTC: 2025-02-01T00:00:00Z, with .ffffff only when not whole seconds. Return: length. */
size_t bg_time_format(int64_t us, char text[BG_TIME_TEXT_MAX]);
/** RFC 3339 (`Z` or an offset; date alone = midnight; fraction to microseconds) to microseconds. 0, or -EINVAL. */
int bg_time_parse(int64_t *usp, BgStr text);

#pragma GCC visibility pop

#endif
