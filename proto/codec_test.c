/* SPDX-License-Identifier: MIT */
/* Pack and unpack: round trips, every field's type and range, and what happens to each event of a batch. */

#include <stddef.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <float.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/sample.h"

static BgArena arena;

static int free_arena(void **state)
{
        (void)state;
        bg_arena_deinit(&arena);
        return 0;
}

/* ---- round trips -------------------------------------------------------------------------------------------------------------- */

static void every_message_survives_the_wire(void **state)
{
        (void)state;
        BgSampler sampler = bg_sampler(&arena);
        BgBuffer bytes = { 0 }, again = { 0 };

        for (int i = 0; i < 300 * BG_TYPE_N; i++) {
                const BgProtoType *type = bg_proto_types[i % BG_TYPE_N];
                void *message = bg_arena_alloc(&arena, 1, type->size);
                void *back = bg_arena_alloc(&arena, 1, type->size);
                BgProtoError error;
                bg_sample_message(&sampler, type, message);
                if (type == &bg_proto_event && ((BgEvent *)message)->type == BG_EVENT_MOVE &&
                    bg_str_equal(((BgEvent *)message)->from_name, ((BgEvent *)message)->to_name))
                        continue;

                bg_buffer_clear(&bytes);
                bg_buffer_clear(&again);
                assert_int_equal(bg_proto_pack(type, message, &bytes), 0);
                if (bg_proto_unpack(type, bytes.data, bytes.len, &arena, back, &error))
                        fail_msg("%s: %s", type->name, error.text);
                assert_true(bg_sample_equal(type, message, back));
                assert_int_equal(bg_proto_pack(type, back, &again), 0);
                assert_int_equal(bytes.len, again.len);
                assert_memory_equal(bytes.data, again.data, bytes.len);
        }
        bg_buffer_deinit(&bytes);
        bg_buffer_deinit(&again);
}

static void an_initialised_message_has_only_absent_members(void **state)
{
        (void)state;

        for (int id = 0; id < BG_TYPE_N; id++) {
                const BgProtoType *type = bg_proto_types[id];
                void *message = bg_arena_alloc(&arena, 1, type->size);
                memset(message, 0xa5, type->size);
                bg_proto_init(type, message);
                const BgField *fields = type->fields();
                for (size_t i = 0; i < type->n_fields && type != &bg_proto_event; i++) {
                        if (!strcmp(fields[i].key, "v"))
                                assert_int_equal(*(int64_t *)bg_field_member(&fields[i], message), BG_PROTO_VERSION);
                        else
                                assert_true(bg_field_absent(&fields[i], bg_field_member(&fields[i], message)));
                }
        }
        BgWelcome welcome;
        bg_proto_init(&bg_proto_welcome, &welcome);
        assert_int_equal(welcome.n_last, -1);
}

/* ---- one field exchanged ------------------------------------------------------------------------------------------------------- */

/* A valid message of `type` where the value of field number `i` is `value`. Empty value: the key is left out. */
static void exchange(BgSampler *sampler, const BgProtoType *type, const BgField *field, BgStr value, BgBuffer *out)
{
        BgBuffer bytes = { 0 }, pairs = { 0 };
        void *message = bg_arena_alloc(&arena, 1, type->size);
        size_t n_pairs = 0;
        BgToken head, key;

        bg_sample_message(sampler, type, message);
        assert_int_equal(bg_proto_pack(type, message, &bytes), 0);
        BgCursor cursor = { (unsigned char *)bytes.data, (unsigned char *)bytes.data + bytes.len };
        assert_true(bg_cursor_next(&cursor, &head));
        for (uint32_t i = 0; i < head.n; i++) {
                const unsigned char *start = cursor.at;
                assert_true(bg_cursor_next(&cursor, &key) && bg_cursor_skip(&cursor));
                if (bg_str_equal(key.str, bg_str(field->key)))
                        continue;
                bg_buffer_append(&pairs, start, (size_t)(cursor.at - start));
                n_pairs++;
        }
        if (value.len) {
                unsigned char n_key = (unsigned char)(0xa0 + field->key_len);
                bg_buffer_append(&pairs, &n_key, 1);
                bg_buffer_append(&pairs, field->key, field->key_len);
                bg_buffer_append(&pairs, value.data, value.len);
                n_pairs++;
        }
        unsigned char map[3] = { 0xde, 0, (unsigned char)n_pairs };
        bg_buffer_clear(out);
        bg_buffer_append(out, map, 3);
        bg_buffer_append(out, pairs.data, pairs.len);
        bg_buffer_deinit(&bytes);
        bg_buffer_deinit(&pairs);
}

static BgError try_value(BgSampler *sampler, const BgProtoType *type, const BgField *field, BgStr value, BgProtoError *error)
{
        BgBuffer bytes = { 0 };
        void *message = bg_arena_alloc(&arena, 1, type->size);

        exchange(sampler, type, field, value, &bytes);
        *error = (BgProtoError){ .code = BG_ERROR_NONE };
        int r = bg_proto_unpack(type, bytes.data, bytes.len, &arena, message, error);
        if (r) {
                char expected[64];
                snprintf(expected, sizeof(expected), "%s: ", field->key);
                if (strncmp(error->text, field->key, field->key_len))
                        fail_msg("%s.%s: the report names another key: %s", type->name, field->key, error->text);
                /* also on error the message is what the header says: zero */
                for (size_t i = 0; i < type->size; i++)
                        assert_int_equal(((char *)message)[i], 0);
        }
        bg_buffer_deinit(&bytes);
        return error->code;
}

#define BYTES(literal) ((BgStr){ literal, sizeof(literal) - 1 })

typedef struct Sample {
        const char *what;
        BgStr bytes;
        unsigned accepted; /* bits of kinds that take a value of this type, whatever its range */
} Sample;

#define BIT(kind) (1u << BG_FIELD_##kind)
#define LISTS (BIT(LIST) | BIT(EVENTS) | BIT(I64S) | BIT(F64S) | BIT(STRS))

static void values_of_a_wrong_type_are_malformed(void **state)
{
        (void)state;
        static const Sample samples[] = {
                { "true", { "\xc3", 1 }, BIT(BOOL) },
                { "5", { "\x05", 1 }, BIT(I64) | BIT(F64) },
                { "1.5", { "\xcb\x3f\xf8\0\0\0\0\0\0", 9 }, BIT(F64) },
                { "float32 1.5", { "\xca\x3f\xc0\0\0", 5 }, BIT(F64) },
                { "NaN", { "\xcb\x7f\xf8\0\0\0\0\0\0", 9 }, 0 },
                { "infinity", { "\xcb\x7f\xf0\0\0\0\0\0\0", 9 }, BIT(F64) },
                { "text", { "\xa4text", 5 }, BIT(STR) | BIT(NAME) | BIT(ENUM) },
                { "binary", { "\xc4\x01x", 3 }, 0 },
                { "control", { "\xa2\x1b[", 3 }, BIT(NAME) | BIT(ENUM) },
                { "not UTF-8", { "\xa2\xc3(", 3 }, BIT(NAME) | BIT(ENUM) },
                { "array", { "\x90", 1 }, LISTS },
                { "map", { "\x80", 1 }, BIT(MAP) },
                { "array of a map in an array", { "\x91\x91\x80", 3 }, BIT(EVENTS) },
        };
        BgSampler sampler = bg_sampler(&arena);
        BgProtoError error;

        for (int id = 1; id < BG_TYPE_N; id++) {
                const BgProtoType *type = bg_proto_types[id];
                const BgField *fields = type->fields();
                for (size_t i = 0; i < type->n_fields; i++) {
                        for (size_t k = 0; k < sizeof(samples) / sizeof(*samples); k++) {
                                if (samples[k].accepted & 1u << fields[i].kind)
                                        continue;
                                if (try_value(&sampler, type, &fields[i], samples[k].bytes, &error) != BG_ERROR_MALFORMED)
                                        fail_msg("%s.%s takes %s (%d %s)", type->name, fields[i].key, samples[k].what, error.code,
                                                 error.text);
                        }
                        bg_arena_clear(&arena);
                }
        }
}

static void nil_and_missing_keys_are_absent_or_malformed(void **state)
{
        (void)state;
        BgSampler sampler = bg_sampler(&arena);
        BgProtoError error;

        for (int id = 1; id < BG_TYPE_N; id++) {
                const BgProtoType *type = bg_proto_types[id];
                const BgField *fields = type->fields();
                for (size_t i = 0; i < type->n_fields; i++) {
                        BgError missing = try_value(&sampler, type, &fields[i], (BgStr){ 0 }, &error);
                        assert_int_equal(missing, fields[i].required ? BG_ERROR_MALFORMED : BG_ERROR_NONE);
                        if (missing)
                                assert_non_null(strstr(error.text, ": missing"));
                        BgError nil = try_value(&sampler, type, &fields[i], BYTES("\xc0"), &error);
                        bool fine = !fields[i].required || fields[i].kind == BG_FIELD_F64;
                        assert_int_equal(nil, fine ? BG_ERROR_NONE : BG_ERROR_MALFORMED);
                }
                bg_arena_clear(&arena);
        }
}

static BgStr int_bytes(int64_t value)
{
        char bytes[9] = { (char)0xd3 };

        for (int i = 0; i < 8; i++)
                bytes[1 + i] = (char)((uint64_t)value >> (56 - 8 * i));
        return (BgStr){ bg_arena_copy(&arena, bytes, 9), 9 };
}

static BgStr float_bytes(double value)
{
        char bytes[9] = { (char)0xcb };
        uint64_t bits;

        memcpy(&bits, &value, 8);
        for (int i = 0; i < 8; i++)
                bytes[1 + i] = (char)(bits >> (56 - 8 * i));
        return (BgStr){ bg_arena_copy(&arena, bytes, 9), 9 };
}

static BgStr text_bytes(size_t len)
{
        char *bytes = bg_arena_alloc(&arena, len + 3, 1);

        bytes[0] = (char)0xda;
        bytes[1] = (char)(len >> 8);
        bytes[2] = (char)len;
        memset(bytes + 3, 'x', len);
        return (BgStr){ bytes, len + 3 };
}

static BgStr list_bytes(const BgField *field, size_t n)
{
        char *bytes = bg_arena_alloc(&arena, n + 5, 1);

        bytes[0] = (char)0xdd;
        for (int i = 0; i < 4; i++)
                bytes[1 + i] = (char)(n >> (24 - 8 * i));
        memset(bytes + 5, field->kind == BG_FIELD_STRS ? 0xa0 : field->kind == BG_FIELD_LIST ? 0x80 : 0x01, n);
        return (BgStr){ bytes, n + 5 };
}

static void expect(BgSampler *sampler, const BgProtoType *type, const BgField *field, BgStr value, bool inside)
{
        BgProtoError error;
        BgError code = try_value(sampler, type, field, value, &error);
        BgError outside = strcmp(field->key, "v") ? BG_ERROR_RANGE : BG_ERROR_UNSUPPORTED;

        if (code != (inside ? BG_ERROR_NONE : outside))
                fail_msg("%s.%s: expected it %s: %d %s", type->name, field->key, inside ? "inside" : "outside", code, error.text);
}

static void ranges_include_their_ends_and_no_more(void **state)
{
        (void)state;
        BgSampler sampler = bg_sampler(&arena);

        for (int id = 1; id < BG_TYPE_N; id++) {
                const BgProtoType *type = bg_proto_types[id];
                for (size_t i = 0; i < type->n_fields; i++) {
                        const BgField *field = &type->fields()[i];
                        switch ((BgFieldKind)field->kind) {
                        case BG_FIELD_I64:
                                expect(&sampler, type, field, int_bytes(field->min), true);
                                expect(&sampler, type, field, int_bytes(field->max), true);
                                expect(&sampler, type, field, int_bytes(field->min - 1), false);
                                expect(&sampler, type, field, int_bytes(INT64_MIN), false);
                                if (field->max < INT64_MAX)
                                        expect(&sampler, type, field, int_bytes(field->max + 1), false);
                                expect(&sampler, type, field, BYTES("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), false);
                                expect(&sampler, type, field, float_bytes(0x1p63), false);
                                expect(&sampler, type, field, float_bytes(-DBL_MAX), false);
                                if (field->min == 0)
                                        expect(&sampler, type, field, float_bytes(-0.0), true);
                                break;
                        case BG_FIELD_F64:
                                expect(&sampler, type, field, float_bytes(field->min_f), true);
                                expect(&sampler, type, field, float_bytes(field->max_f), true);
                                expect(&sampler, type, field, float_bytes(nextafter(field->min_f, -INFINITY)), false);
                                expect(&sampler, type, field, float_bytes(nextafter(field->max_f, INFINITY)), false);
                                expect(&sampler, type, field, float_bytes(INFINITY), false);
                                expect(&sampler, type, field, float_bytes(-INFINITY), false);
                                break;
                        case BG_FIELD_STR:
                                expect(&sampler, type, field, text_bytes((size_t)field->min), true);
                                expect(&sampler, type, field, text_bytes((size_t)field->max), true);
                                expect(&sampler, type, field, text_bytes((size_t)field->max + 1), false);
                                if (field->min)
                                        expect(&sampler, type, field, text_bytes((size_t)field->min - 1), false);
                                break;
                        case BG_FIELD_EVENTS:
                        case BG_FIELD_I64S:
                        case BG_FIELD_F64S:
                        case BG_FIELD_STRS:
                                expect(&sampler, type, field, list_bytes(field, (size_t)field->max), true);
                                __attribute__((fallthrough));
                        case BG_FIELD_LIST:
                                expect(&sampler, type, field, list_bytes(field, (size_t)field->max + 1), false);
                                break;
                        default:
                                break;
                        }
                        bg_arena_clear(&arena);
                }
        }
}

static void unknown_words_are_unsupported(void **state)
{
        (void)state;
        BgSampler sampler = bg_sampler(&arena);
        BgProtoError error;

        for (int id = 1; id < BG_TYPE_N; id++) {
                const BgProtoType *type = bg_proto_types[id];
                for (size_t i = 0; i < type->n_fields; i++) {
                        const BgField *field = &type->fields()[i];
                        if (field->kind != BG_FIELD_ENUM)
                                continue;
                        assert_int_equal(try_value(&sampler, type, field, BYTES("\xa3odd"), &error), BG_ERROR_UNSUPPORTED);
                        bool empty_is_fine = !field->required && !**field->words->words;
                        assert_int_equal(try_value(&sampler, type, field, BYTES("\xa0"), &error),
                                         empty_is_fine ? BG_ERROR_NONE : BG_ERROR_UNSUPPORTED);
                }
        }
}

/* ---- maps ------------------------------------------------------------------------------------------------------------------------- */

static int unpack_request(BgStr bytes, BgRequest *request, BgProtoError *error)
{
        return bg_proto_unpack(&bg_proto_request, bytes.data, bytes.len, &arena, request, error);
}

static void unknown_keys_are_skipped_and_the_last_of_a_key_counts(void **state)
{
        (void)state;
        BgRequest request;
        BgProtoError error;

        assert_int_equal(unpack_request(BYTES("\x86" "\xa4more\x92\x81\xa1v\x07\xc0" "\xa2id\x01" "\xa1v\x01" "\xa1q\xa3get" "\xa2id\xa1x" "\xa2id\x02"),
                                        &request, &error), 0);
        assert_int_equal(request.id, 2); /* neither the first id nor the wrong one between */
        assert_int_equal(request.query, BG_QUERY_GET);
        assert_int_equal(unpack_request(BYTES("\x84" "\xa2id\x02" "\xa1v\x01" "\xa1q\xa3get" "\xa2id\xa1x"), &request, &error),
                         BG_PROTO_E_MALFORMED);
        assert_string_equal(error.text, "id: expected an integer in 0 .. 9223372036854775807, got the string \"x\"");
}

static void keys_must_be_strings(void **state)
{
        (void)state;
        BgRequest request;
        BgProtoError error;

        assert_int_equal(unpack_request(BYTES("\x84" "\x05\x91\x01" "\xa2id\x01" "\xa1v\x01" "\xa1q\xa3get"), &request, &error),
                         BG_PROTO_E_MALFORMED);
        assert_string_equal(error.text, "keys of maps must be strings, got 5");
        assert_int_equal(unpack_request(BYTES("\x83" "\xc4\x02id\x01" "\xa1v\x01" "\xa1q\xa3get"), &request, &error), BG_PROTO_E_MALFORMED);
        assert_string_equal(error.text, "keys of maps must be strings, got binary data");
        assert_int_equal(unpack_request(BYTES("\x93\x01\x02\x03"), &request, &error), BG_PROTO_E_MALFORMED);
        assert_string_equal(error.text, "expected a map, got an array of 3");
}

static void reports_name_the_place(void **state)
{
        (void)state;
        BgHorizon horizons[3];
        BgForecast forecast;
        BgReply reply;
        BgBuffer bytes = { 0 };
        BgSampler sampler = bg_sampler(&arena);
        BgProtoError error;

        bg_sample_message(&sampler, &bg_proto_forecast, &forecast);
        for (int i = 0; i < 3; i++)
                bg_sample_message(&sampler, &bg_proto_horizon, &horizons[i]);
        horizons[2].q05 = 0.123456789;
        forecast.horizons.items = horizons;
        forecast.horizons.n = 3;
        bg_proto_init(&bg_proto_reply, &reply);
        reply.forecasts.items = &forecast;
        reply.forecasts.n = 1;
        assert_int_equal(bg_proto_pack(&bg_proto_reply, &reply, &bytes), 0);
        BgStr good = float_bytes(0.123456789), bad = float_bytes(-1);
        char *place = memmem(bytes.data, bytes.len, good.data, good.len);
        assert_non_null(place);
        memcpy(place, bad.data, bad.len);
        assert_int_equal(bg_proto_unpack(&bg_proto_reply, bytes.data, bytes.len, &arena, &reply, &error), BG_PROTO_E_MALFORMED);
        assert_string_equal(error.text, "forecasts[0].horizons[2].q05: expected a number in 0 .. 1e+15, got the float -1");
        assert_int_equal(error.code, BG_ERROR_RANGE);
        bg_buffer_deinit(&bytes);
}

/* ---- what C gives and what the wire gets ------------------------------------------------------------------------------------------ */

static void what_is_not_finite_becomes_nil_and_scores_saturate(void **state)
{
        (void)state;
        BgParameters parameters = { 0 }, back;
        BgBuffer bytes = { 0 };

        parameters.lambda = NAN;
        parameters.lambda_sd = INFINITY;
        parameters.mu = -1e9;
        parameters.m = 1e9;
        parameters.moved = NAN;
        parameters.sigma = 7; /* a whole value stays a float */
        assert_int_equal(bg_proto_pack(&bg_proto_parameters, &parameters, &bytes), 0);
        assert_int_equal(bytes.data[0] & 0xff, 0x88); /* without `moved` */
        assert_non_null(memmem(bytes.data, bytes.len, "\xa6lambda\xc0", 8));
        assert_non_null(memmem(bytes.data, bytes.len, "\xa9lambda_sd\xc0", 11));
        assert_non_null(memmem(bytes.data, bytes.len, "\xa5sigma\xcb\x40\x1c\0\0\0\0\0\0", 15));
        assert_int_equal(bg_proto_unpack(&bg_proto_parameters, bytes.data, bytes.len, &arena, &back, NULL), 0);
        assert_true(isnan(back.lambda) && isnan(back.lambda_sd) && isnan(back.moved));
        assert_true(back.mu == -100 && back.m == 1e6 && back.sigma == 7);
        bg_buffer_deinit(&bytes);
}

/* ---- events ------------------------------------------------------------------------------------------------------------------------ */

typedef struct EventCase {
        BgStr bytes;
        BgReject reason;
        const char *key;
} EventCase;

#define T0 "\xcf\x00\x05\x0b\x8b\xe7\xbf\x80\x00" /* 2015-01-01 */
#define T1 "\xcf\x00\x05\x0b\x8b\xe7\xbf\x80\x01"
#define MODEL "\xa5model\xa3" "a/b"
#define CHILD "\xa5" "child\xa3" "c/d"
#define AT "\xa2" "at" T0
#define ADD "\xa1t\xa3" "add"
#define TALLY "\xa1t\xa5tally"
#define MOVE "\xa1t\xa4move"

static const EventCase event_cases[] = {
        { BYTES("\x84" ADD MODEL CHILD AT), BG_REJECT_NONE, "" },
        { BYTES("\x84" AT CHILD MODEL ADD), BG_REJECT_NONE, "" },
        { BYTES("\x85" ADD MODEL CHILD AT "\xa1t\xa3" "add"), BG_REJECT_NONE, "" },
        { BYTES("\x85" "\xa1t\xa6remove" MODEL CHILD AT ADD), BG_REJECT_NONE, "" },
        { BYTES("\x85" ADD MODEL CHILD AT "\xa8relation\xc0"), BG_REJECT_NONE, "" },
        { BYTES("\x84" ADD MODEL CHILD "\xa2" "at\xcb\x43\x14\x2e\x2f\x9e\xfe\x00\x00"), BG_REJECT_NONE, "" },
        { BYTES("\xc0"), BG_REJECT_MALFORMED, "" },
        { BYTES("\x93\x01\x02\x03"), BG_REJECT_MALFORMED, "" },
        { BYTES("\xa3" "add"), BG_REJECT_MALFORMED, "" },
        { BYTES("\x80"), BG_REJECT_MISSING, "t" },
        { BYTES("\x81\x01\x01"), BG_REJECT_MALFORMED, "" },
        { BYTES("\x83" MODEL CHILD AT), BG_REJECT_MISSING, "t" },
        { BYTES("\x84" "\xa1t\x01" MODEL CHILD AT), BG_REJECT_MALFORMED, "t" },
        { BYTES("\x84" "\xa1t\xa0" MODEL CHILD AT), BG_REJECT_UNKNOWN_TYPE, "t" },
        { BYTES("\x84" "\xa1t\xa4grow" MODEL CHILD AT), BG_REJECT_UNKNOWN_TYPE, "t" },
        { BYTES("\x83" ADD MODEL AT), BG_REJECT_MISSING, "child" },
        { BYTES("\x83" ADD MODEL CHILD), BG_REJECT_MISSING, "at" },
        { BYTES("\x84" ADD "\xa5model\xa1" "a" CHILD AT), BG_REJECT_NAME, "model" },
        { BYTES("\x84" ADD MODEL "\xa5" "child\xa5" "c/d\n/" AT), BG_REJECT_NAME, "child" },
        { BYTES("\x84" ADD MODEL "\xa5" "child\x07" AT), BG_REJECT_MALFORMED, "child" },
        { BYTES("\x84" ADD MODEL CHILD "\xa2" "at\xa1x"), BG_REJECT_MALFORMED, "at" },
        { BYTES("\x84" ADD MODEL CHILD "\xa2" "at\xc0"), BG_REJECT_MALFORMED, "at" },
        { BYTES("\x84" ADD MODEL CHILD "\xa2" "at\xcb\x7f\xf8\0\0\0\0\0\0"), BG_REJECT_MALFORMED, "at" },
        { BYTES("\x84" ADD MODEL CHILD "\xa2" "at\xcb\x7f\xf0\0\0\0\0\0\0"), BG_REJECT_MALFORMED, "at" },
        { BYTES("\x84" ADD MODEL CHILD "\xa2" "at\xcb\x3f\xf8\0\0\0\0\0\0"), BG_REJECT_MALFORMED, "at" },
        { BYTES("\x84" ADD MODEL CHILD "\xa2" "at\x00"), BG_REJECT_TOO_OLD, "at" },
        { BYTES("\x84" ADD MODEL CHILD "\xa2" "at\xff"), BG_REJECT_TOO_OLD, "at" },
        { BYTES("\x84" ADD MODEL CHILD "\xa2" "at\xcb\xff\xef\xff\xff\xff\xff\xff\xff"), BG_REJECT_TOO_OLD, "at" },
        { BYTES("\x84" ADD MODEL CHILD "\xa2" "at\xcb\x7f\xef\xff\xff\xff\xff\xff\xff"), BG_REJECT_RANGE, "at" },
        { BYTES("\x84" ADD MODEL CHILD "\xa2" "at\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"), BG_REJECT_RANGE, "at" },
        { BYTES("\x84" ADD MODEL CHILD "\xa2" "at\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), BG_REJECT_RANGE, "at" },
        { BYTES("\x85" ADD MODEL CHILD AT "\xa8relation\xa5" "clone"), BG_REJECT_RANGE, "relation" },
        { BYTES("\x85" ADD MODEL CHILD AT "\xa8relation\x01"), BG_REJECT_MALFORMED, "relation" },
        { BYTES("\x85" ADD MODEL CHILD AT "\xa7release\x01"), BG_REJECT_TOO_OLD, "release" },
        { BYTES("\x85" TALLY MODEL "\xa4" "from" T0 "\xa2to" T1 "\xa5" "count\x07"), BG_REJECT_NONE, "" },
        { BYTES("\x85" TALLY MODEL "\xa4" "from" T0 "\xa2to" T0 "\xa5" "count\x07"), BG_REJECT_INTERVAL, "to" },
        { BYTES("\x85" TALLY MODEL "\xa4" "from" T1 "\xa2to" T0 "\xa5" "count\x07"), BG_REJECT_INTERVAL, "to" },
        { BYTES("\x85" TALLY MODEL "\xa4" "from" T0 "\xa2to" T1 "\xa5" "count\xff"), BG_REJECT_RANGE, "count" },
        { BYTES("\x85" TALLY MODEL "\xa4" "from\xa3" "a/b" "\xa2to" T1 "\xa5" "count\x01"), BG_REJECT_MALFORMED, "from" },
        { BYTES("\x84" MOVE "\xa4" "from\xa3" "a/b" "\xa2to\xa3" "c/d" AT), BG_REJECT_NONE, "" },
        { BYTES("\x84" MOVE "\xa4" "from" T0 "\xa2to\xa3" "c/d" AT), BG_REJECT_MALFORMED, "from" },
        { BYTES("\x84" MOVE "\xa4" "from\xa3" "a/b" "\xa2to\xa3" "a/b" AT), BG_REJECT_SELF, "to" },
        { BYTES("\x85" MOVE "\xa4" "from\xa3" "c/d" "\xa2to\xa3" "c/d" AT MODEL), BG_REJECT_MISSING, "to_model" },
        { BYTES("\x85" MOVE "\xa4" "from\xa3" "c/d" "\xa2to\xa3" "c/d" AT "\xa8to_model\xa3" "e/f"), BG_REJECT_MISSING, "model" },
        { BYTES("\x86" MOVE "\xa4" "from\xa3" "c/d" "\xa2to\xa3" "c/d" AT MODEL "\xa8to_model\xa3" "e/f"), BG_REJECT_NONE, "" },
        { BYTES("\x86" MOVE "\xa4" "from\xa3" "c/d" "\xa2to\xa3" "c/d" AT MODEL "\xa8to_model\xa3" "a/b"), BG_REJECT_SELF, "to" },
        { BYTES("\x83" "\xa1t\xa7release" MODEL AT), BG_REJECT_NONE, "" },
        { BYTES("\x82" "\xa1t\xa5" "alive" AT), BG_REJECT_NONE, "" },
        { BYTES("\x83" "\xa1t\xa5" "alive" AT "\xa6source\xa0"), BG_REJECT_RANGE, "source" },
        { BYTES("\x83" "\xa1t\xa5" "alive" AT "\xa6source\xa1\x07"), BG_REJECT_MALFORMED, "source" },
};
#define N_EVENT_CASES (sizeof(event_cases) / sizeof(*event_cases))

static void assert_event(const EventCase *expected, const BgEvent *event, size_t i)
{
        if (event->reject != expected->reason || strcmp(event->reject_key, expected->key))
                fail_msg("case %zu: %s %s, not %s %s", i, bg_proto_reject_name(event->reject), event->reject_key,
                         bg_proto_reject_name(expected->reason), expected->key);
        assert_int_equal(event->type == BG_EVENT_NONE, expected->reason != BG_REJECT_NONE);
}

static void each_event_of_a_batch_is_judged_alone(void **state)
{
        (void)state;
        BgBuffer bytes = { 0 };
        BgBatch batch;
        BgProtoError error;

        static const char head[] = "\x84\xa1v\x01\xa6source\xa1s\xa3seq\x09\xa6" "events\xdc";
        _Static_assert(N_EVENT_CASES < 256, "one byte of length is written");
        bg_buffer_append(&bytes, head, sizeof(head) - 1);
        bg_buffer_append(&bytes, (char[]){ 0, (char)N_EVENT_CASES }, 2);
        for (size_t i = 0; i < N_EVENT_CASES; i++)
                bg_buffer_append(&bytes, event_cases[i].bytes.data, event_cases[i].bytes.len);
        int r = bg_proto_unpack(&bg_proto_batch, bytes.data, bytes.len, &arena, &batch, &error);
        if (r)
                fail_msg("%s", error.text);
        assert_int_equal(batch.seq, 9);
        assert_int_equal(batch.events.n, N_EVENT_CASES);
        for (size_t i = 0; i < N_EVENT_CASES; i++)
                assert_event(&event_cases[i], &batch.events.items[i], i);

        /* the bytes of a refused event can be had for the dead letters */
        for (size_t i = 0; i < N_EVENT_CASES; i++) {
                BgStr event;
                assert_int_equal(bg_proto_event_bytes(bytes.data, bytes.len, i, &event), 0);
                assert_true(bg_str_equal(event, event_cases[i].bytes));
        }
        BgStr event;
        assert_int_equal(bg_proto_event_bytes(bytes.data, bytes.len, N_EVENT_CASES, &event), -ENOENT);
        assert_int_equal(bg_proto_event_bytes("\x80", 1, 0, &event), -ENOENT);
        assert_int_equal(bg_proto_event_bytes("\x01", 1, 0, &event), -EINVAL);
        bg_buffer_deinit(&bytes);
}

static void an_event_alone_says_why_it_is_refused(void **state)
{
        (void)state;

        for (size_t i = 0; i < N_EVENT_CASES; i++) {
                BgEvent event;
                BgProtoError error;
                BgStr bytes = event_cases[i].bytes;
                int r = bg_proto_unpack(&bg_proto_event, bytes.data, bytes.len, &arena, &event, &error);
                assert_int_equal(r, event_cases[i].reason ? BG_PROTO_E_MALFORMED : 0);
                assert_event(&event_cases[i], &event, i);
                if (r) {
                        assert_int_not_equal(error.code, BG_ERROR_NONE);
                        assert_true(*error.text);
                        assert_memory_equal(error.text, event_cases[i].key, strlen(event_cases[i].key));
                }
                assert_int_equal(bg_proto_unpack(&bg_proto_event, bytes.data, bytes.len, &arena, &event, NULL), r);
        }
}

static void a_refused_event_keeps_its_place(void **state)
{
        (void)state;
        BgEvent events[3] = { { .type = BG_EVENT_RELEASE, .model = BG_STR("a/b"), .at = BG_TIME_MIN },
                              { .type = BG_EVENT_NONE, .reject = BG_REJECT_NAME, .reject_key = "model" },
                              { .type = BG_EVENT_ALIVE, .at = BG_TIME_MIN } };
        BgBatch batch = { .v = 1, .source = BG_STR("s"), .events = { events, 3 } }, back;
        BgBuffer bytes = { 0 };

        assert_int_equal(bg_proto_pack(&bg_proto_batch, &batch, &bytes), 0);
        assert_int_equal(bg_proto_unpack(&bg_proto_batch, bytes.data, bytes.len, &arena, &back, NULL), 0);
        assert_int_equal(back.events.n, 3);
        assert_int_equal(back.events.items[0].type, BG_EVENT_RELEASE);
        assert_int_equal(back.events.items[1].type, BG_EVENT_NONE);
        assert_int_equal(back.events.items[2].type, BG_EVENT_ALIVE);
        bg_buffer_deinit(&bytes);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(every_message_survives_the_wire, free_arena),
                cmocka_unit_test_teardown(an_initialised_message_has_only_absent_members, free_arena),
                cmocka_unit_test_teardown(values_of_a_wrong_type_are_malformed, free_arena),
                cmocka_unit_test_teardown(nil_and_missing_keys_are_absent_or_malformed, free_arena),
                cmocka_unit_test_teardown(ranges_include_their_ends_and_no_more, free_arena),
                cmocka_unit_test_teardown(unknown_words_are_unsupported, free_arena),
                cmocka_unit_test_teardown(unknown_keys_are_skipped_and_the_last_of_a_key_counts, free_arena),
                cmocka_unit_test_teardown(keys_must_be_strings, free_arena),
                cmocka_unit_test_teardown(reports_name_the_place, free_arena),
                cmocka_unit_test_teardown(what_is_not_finite_becomes_nil_and_scores_saturate, free_arena),
                cmocka_unit_test_teardown(each_event_of_a_batch_is_judged_alone, free_arena),
                cmocka_unit_test_teardown(an_event_alone_says_why_it_is_refused, free_arena),
                cmocka_unit_test_teardown(a_refused_event_keeps_its_place, free_arena),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
