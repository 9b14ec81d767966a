/* SPDX-License-Identifier: MIT */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proto/sample.h"

BgSampler bg_sampler(BgArena *arena)
{
        const char *given = getenv("BG_SEED");
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)now.tv_sec * 1000003 + (uint64_t)now.tv_nsec;
        printf("# BG_SEED=%llu\n", (unsigned long long)seed);
        return (BgSampler){ .state = seed, .arena = arena };
}

static uint64_t next(BgSampler *sampler)
{
        uint64_t z = sampler->state += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        return z ^ z >> 31;
}

uint64_t bg_sample_below(BgSampler *sampler, uint64_t n) { return n ? next(sampler) % n : next(sampler); }

/* min and max one time in eight each; else any magnitude between, so that all encodings of integers are met */
static int64_t sample_i64(BgSampler *sampler, int64_t min, int64_t max)
{
        uint64_t span = (uint64_t)max - (uint64_t)min;

        switch (bg_sample_below(sampler, 8)) {
        case 0:
                return min;
        case 1:
                return max;
        default: {
                uint64_t above = next(sampler) >> bg_sample_below(sampler, 64);
                return (int64_t)((uint64_t)min + (span == UINT64_MAX ? above : above % (span + 1)));
        }
        }
}

static double sample_f64(BgSampler *sampler, double min, double max)
{
        double unit = (double)(next(sampler) >> 11) * 0x1p-53;

        switch (bg_sample_below(sampler, 8)) {
        case 0:
                return min;
        case 1:
                return max;
        case 2:
                return NAN;
        case 3: /* whole */
                return fmin(max, fmax(min, floor(unit * 1000)));
        default:
                return fmin(max, fmax(min, min + unit * (max - min) * pow(10, -(double)bg_sample_below(sampler, 12))));
        }
}

static BgStr sample_text(BgSampler *sampler, size_t min, size_t max)
{
        static const char *const chars[] = { "a", "Z", "7", " ", "\"", "\\", "/", "\u00e9", "\u20ac", "\U0001f331", "<", "%" };
        char text[1024];
        size_t want = min + bg_sample_below(sampler, (max < 600 ? max : 600) - min + 1);
        size_t len = 0;

        while (len < want) {
                const char *c = chars[bg_sample_below(sampler, sizeof(chars) / sizeof(chars[0]))];
                if (len + strlen(c) > want)
                        c = "x";
                memcpy(text + len, c, strlen(c));
                len += strlen(c);
        }
        return (BgStr){ bg_arena_copy(sampler->arena, text, len), len };
}

static BgStr sample_name(BgSampler *sampler)
{
        static const char bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
        char text[BG_NAME_MAX];
        size_t len = bg_sample_below(sampler, 16) ? 3 + bg_sample_below(sampler, 40) : BG_NAME_MAX;

        for (size_t i = 0; i < len; i++)
                text[i] = bytes[bg_sample_below(sampler, sizeof(bytes) - 1)];
        text[1 + bg_sample_below(sampler, len - 2)] = '/';
        return (BgStr){ bg_arena_copy(sampler->arena, text, len), len };
}

static void sample_field(BgSampler *sampler, const BgField *field, void *member);

static void sample_event(BgSampler *sampler, BgEvent *event)
{
        memset(event, 0, sizeof(*event));
        event->type = 1 + bg_sample_below(sampler, BG_EVENT_N - 1);
        const BgEventTable *table = bg_event_table(event->type);
        for (size_t i = 0; i < table->n_fields; i++)
                if (table->fields[i].required || bg_sample_below(sampler, 2))
                        sample_field(sampler, &table->fields[i], bg_field_member(&table->fields[i], event));
        if (event->type == BG_EVENT_TALLY && event->from >= event->to) {
                event->from = BG_TIME_MIN;
                event->to = BG_TIME_MIN + 1;
        }
        if (event->type == BG_EVENT_MOVE && !event->model.len != !event->to_model.len)
                event->model = event->to_model = (BgStr){ 0 };
}

static void sample_list(BgSampler *sampler, const BgField *field, BgAnyList *list)
{
        size_t most = field->max < 6 ? (size_t)field->max : 6;
        size_t size = field->kind == BG_FIELD_I64S || field->kind == BG_FIELD_F64S ? 8 :
                      field->kind == BG_FIELD_STRS                                 ? sizeof(BgStr) :
                                                                                     bg_proto_types[field->inner]->size;

        list->n = (size_t)field->min + bg_sample_below(sampler, most - (size_t)field->min + 1);
        list->items = bg_arena_alloc(sampler->arena, list->n, size);
        for (size_t i = 0; i < list->n; i++) {
                char *item = (char *)list->items + i * size;
                if (field->kind == BG_FIELD_I64S)
                        *(int64_t *)item = sample_i64(sampler, INT64_MIN, INT64_MAX);
                else if (field->kind == BG_FIELD_F64S)
                        *(double *)item = sample_f64(sampler, -1e300, 1e300);
                else if (field->kind == BG_FIELD_STRS)
                        *(BgStr *)item = sample_text(sampler, 0, BG_ITEM_TEXT_MAX);
                else
                        bg_sample_message(sampler, bg_proto_types[field->inner], item);
        }
}

static void sample_field(BgSampler *sampler, const BgField *field, void *member)
{
        switch ((BgFieldKind)field->kind) {
        case BG_FIELD_I64:
                *(int64_t *)member = sample_i64(sampler, field->min, field->max);
                break;
        case BG_FIELD_F64:
                *(double *)member = sample_f64(sampler, field->min_f, field->max_f);
                break;
        case BG_FIELD_STR:
                *(BgStr *)member = sample_text(sampler, (size_t)field->min, (size_t)field->max);
                break;
        case BG_FIELD_NAME:
                *(BgStr *)member = sample_name(sampler);
                break;
        case BG_FIELD_BOOL:
                *(bool *)member = bg_sample_below(sampler, 2);
                break;
        case BG_FIELD_ENUM: {
                int first = **field->words->words ? 0 : 1; /* "" is for "absent" */
                *(int *)member = first + (int)bg_sample_below(sampler, (uint64_t)(field->words->n - first));
                break;
        }
        case BG_FIELD_MAP:
                *(void **)member = bg_arena_alloc(sampler->arena, 1, bg_proto_types[field->inner]->size);
                bg_sample_message(sampler, bg_proto_types[field->inner], *(void **)member);
                break;
        default:
                sample_list(sampler, field, member);
        }
}

void bg_sample_message(BgSampler *sampler, const BgProtoType *type, void *message)
{
        if (type == &bg_proto_event) {
                sample_event(sampler, message);
                return;
        }
        const BgField *fields = type->fields();
        bg_proto_init(type, message);
        for (size_t i = 0; i < type->n_fields; i++)
                if (fields[i].required || bg_sample_below(sampler, 2))
                        sample_field(sampler, &fields[i], bg_field_member(&fields[i], message));
}

/* ---- comparison ------------------------------------------------------------------------------------------------------------- */

static bool same_f64(double a, double b) { return a == b || (isnan(a) && isnan(b)); }

static bool same_list(const BgField *field, const BgAnyList *a, const BgAnyList *b)
{
        if (a->n != b->n)
                return false;
        for (size_t i = 0; i < a->n; i++) {
                bool same;
                if (field->kind == BG_FIELD_I64S)
                        same = ((int64_t *)a->items)[i] == ((int64_t *)b->items)[i];
                else if (field->kind == BG_FIELD_F64S)
                        same = same_f64(((double *)a->items)[i], ((double *)b->items)[i]);
                else if (field->kind == BG_FIELD_STRS)
                        same = bg_str_equal(((BgStr *)a->items)[i], ((BgStr *)b->items)[i]);
                else
                        same = bg_sample_equal(bg_proto_types[field->inner],
                                               (char *)a->items + i * bg_proto_types[field->inner]->size,
                                               (char *)b->items + i * bg_proto_types[field->inner]->size);
                if (!same)
                        return false;
        }
        return true;
}

static bool same_field(const BgField *field, const void *a, const void *b)
{
        switch ((BgFieldKind)field->kind) {
        case BG_FIELD_I64:
                return *(const int64_t *)a == *(const int64_t *)b;
        case BG_FIELD_F64:
                return same_f64(*(const double *)a, *(const double *)b);
        case BG_FIELD_STR:
        case BG_FIELD_NAME:
                return bg_str_equal(*(const BgStr *)a, *(const BgStr *)b);
        case BG_FIELD_BOOL:
                return *(const bool *)a == *(const bool *)b;
        case BG_FIELD_ENUM:
                return *(const int *)a == *(const int *)b;
        case BG_FIELD_MAP: {
                const void *one = *(void *const *)a, *two = *(void *const *)b;
                return !one == !two && (!one || bg_sample_equal(bg_proto_types[field->inner], one, two));
        }
        default:
                return same_list(field, a, b);
        }
}

bool bg_sample_equal(const BgProtoType *type, const void *a, const void *b)
{
        const BgField *fields = type->fields();
        size_t n_fields = type->n_fields;

        if (type == &bg_proto_event) {
                const BgEvent *one = a, *two = b;
                if (one->type != two->type)
                        return false;
                fields = bg_event_table(one->type)->fields;
                n_fields = bg_event_table(one->type)->n_fields;
        }
        for (size_t i = 0; i < n_fields; i++)
                if (!same_field(&fields[i], bg_field_member(&fields[i], a), bg_field_member(&fields[i], b)))
                        return false;
        return true;
}
