/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "daemon/stream/csv.h"

const char *bg_csv_shown(BgStr text, char shown[64])
{
        size_t n = text.len < 60 ? text.len : 60;

        for (size_t i = 0; i < n; i++)
                shown[i] = text.data[i] >= 0x20 && text.data[i] < 0x7f ? text.data[i] : '?';
        memcpy(shown + n, text.len > n ? ".." : "", text.len > n ? 3 : 1);
        return shown;
}

/* ---- fields -------------------------------------------------------------------------------------------------------------------
 */

typedef struct Splitter {
        char *at; /* NULL: no more fields */
        char *end;
} Splitter;

/* A quoted field, taken out of its quotes in place. at[0] is the opening quote. */
static bool quoted_next(Splitter *s, BgStr *field)
{
        char *out = s->at, *in = s->at + 1;

        field->data = out;
        for (;;) {
                char *close = in < s->end ? memchr(in, '"', (size_t)(s->end - in)) : NULL;
                if (!close)
                        return false;
                memmove(out, in, (size_t)(close - in));
                out += close - in;
                in = close + 1;
                if (in == s->end || *in != '"')
                        break;
                *out++ = '"';
                in++;
        }
        field->len = (size_t)(out - field->data);
        if (in < s->end && *in != ',')
                return false;
        s->at = in < s->end ? in + 1 : NULL;
        return true;
}

static bool plain_next(Splitter *s, BgStr *field, bool any_quotes)
{
        size_t n = (size_t)(s->end - s->at);
        char *comma = n ? memchr(s->at, ',', n) : NULL;

        *field = (BgStr){ s->at, comma ? (size_t)(comma - s->at) : n };
        s->at = comma ? comma + 1 : NULL;
        return !any_quotes || !field->len || !memchr(field->data, '"', field->len);
}

/* Return: false when the quotes are wrong. */
static inline bool field_next(Splitter *s, BgStr *field, bool any_quotes)
{
        return any_quotes && s->at < s->end && *s->at == '"' ? quoted_next(s, field) : plain_next(s, field, any_quotes);
}

/* ---- header ---------------------------------------------------------------------------------------------------------------- */

static const struct {
        const char *name;
        BgCsvRole role;
} columns[] = {
        { "model", BG_CSV_MODEL },
        { "base", BG_CSV_MODEL },
        { "child", BG_CSV_CHILD },
        { "created_at", BG_CSV_CREATED_AT },
        { "relation", BG_CSV_RELATION },
        { "from", BG_CSV_FROM },
        { "to", BG_CSV_TO },
        { "count", BG_CSV_COUNT },
        { "released_at", BG_CSV_RELEASED_AT },
};

/* The more a file says, the earlier its kind is tried: a list of children may well tell the models' release, too. */
static const struct {
        BgEventType type;
        unsigned needs; /* bits of roles */
} kinds[] = {
        { BG_EVENT_ADD, 1u << BG_CSV_MODEL | 1u << BG_CSV_CHILD | 1u << BG_CSV_CREATED_AT },
        { BG_EVENT_TALLY, 1u << BG_CSV_MODEL | 1u << BG_CSV_FROM | 1u << BG_CSV_TO | 1u << BG_CSV_COUNT },
        { BG_EVENT_RELEASE, 1u << BG_CSV_MODEL | 1u << BG_CSV_RELEASED_AT },
};

static BgCsvRole role_of(BgStr name)
{
        while (name.len && (name.data[0] == ' ' || name.data[0] == '\t'))
                name = (BgStr){ name.data + 1, name.len - 1 };
        while (name.len && (name.data[name.len - 1] == ' ' || name.data[name.len - 1] == '\t'))
                name.len--;
        for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
                if (name.len == strlen(columns[i].name) && !strncasecmp(name.data, columns[i].name, name.len))
                        return columns[i].role;
        return BG_CSV_OTHER;
}

int bg_csv_header(BgCsv *csv, char *record, size_t len, char what[BG_CSV_WHAT_MAX])
{
        static const char expected[] =
                "expected columns model,child,created_at or model,from,to,count or model,released_at, or lines of JSON";
        Splitter s = { record, record + len };
        unsigned found = 0;
        char shown[64];
        BgStr field, start = { record, len };

        *csv = (BgCsv){ 0 };
        bg_csv_shown(start, shown);
        while (s.at) {
                if (!field_next(&s, &field, true) || csv->n_columns == BG_CSV_COLUMNS_MAX) {
                        snprintf(what, BG_CSV_WHAT_MAX, "begins with \"%s\"; %s", shown, expected);
                        return BG_CSV_E_BAD;
                }
                BgCsvRole role = role_of(field);
                if (role != BG_CSV_OTHER && found & 1u << role) {
                        char name[64];
                        snprintf(what, BG_CSV_WHAT_MAX, "two columns mean the same: \"%s\" is the second",
                                 bg_csv_shown(field, name));
                        return BG_CSV_E_BAD;
                }
                if (role != BG_CSV_OTHER)
                        found |= 1u << role;
                csv->roles[csv->n_columns++] = (unsigned char)role;
        }
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
                if ((found & kinds[i].needs) != kinds[i].needs)
                        continue;
                csv->type = kinds[i].type;
                return 0;
        }
        snprintf(what, BG_CSV_WHAT_MAX, "begins with \"%s\"; %s", shown, expected);
        return BG_CSV_E_BAD;
}

/* ---- rows ------------------------------------------------------------------------------------------------------------------ */

__attribute__((format(printf, 3, 4))) static int bad(char what[BG_CSV_WHAT_MAX], BgStr text, const char *format, ...)
{
        char shown[64];
        va_list args;

        va_start(args, format);
        int n = vsnprintf(what, BG_CSV_WHAT_MAX, format, args);
        va_end(args);
        if (n >= 0 && n < BG_CSV_WHAT_MAX)
                snprintf(what + n, BG_CSV_WHAT_MAX - (size_t)n, ", got \"%s\"", bg_csv_shown(text, shown));
        return BG_CSV_E_BAD;
}

static int take_name(BgStr text, const char *column, BgStr *namep, char what[BG_CSV_WHAT_MAX])
{
        if (!bg_proto_name_valid(text))
                return bad(what, text, "%s: expected a name like org/name of A-Za-z0-9._-", column);
        *namep = text;
        return 0;
}

static int take_time(BgStr text, const char *column, int64_t *usp, char what[BG_CSV_WHAT_MAX])
{
        if (bg_time_parse(usp, text))
                return bad(what, text, "%s: expected a time like 2025-02-01T00:00:00Z", column);
        if (*usp < BG_TIME_MIN || *usp > BG_TIME_MAX)
                return bad(what, text, "%s: expected a time in 2015 .. 2200", column);
        return 0;
}

static int take_count(BgStr text, int64_t *countp, char what[BG_CSV_WHAT_MAX])
{
        int64_t count = 0;

        for (size_t i = 0; i < text.len; i++) {
                if (text.data[i] < '0' || text.data[i] > '9' || count > BG_COUNT_MAX)
                        return bad(what, text, "count: expected an integer in 0 .. %lld", (long long)BG_COUNT_MAX);
                count = count * 10 + (text.data[i] - '0');
        }
        if (!text.len || count > BG_COUNT_MAX)
                return bad(what, text, "count: expected an integer in 0 .. %lld", (long long)BG_COUNT_MAX);
        *countp = count;
        return 0;
}

static int take_relation(BgStr text, BgRelation *relationp, char what[BG_CSV_WHAT_MAX])
{
        int value = BG_RELATION_FINETUNE;

        if (text.len && bg_proto_relation_find(&value, text))
                return bad(what, text, "relation: expected finetune, adapter, quantized, merge or download");
        *relationp = (BgRelation)value;
        return 0;
}

int bg_csv_row(const BgCsv *csv, char *record, size_t len, BgEvent *event, char what[BG_CSV_WHAT_MAX])
{
        BgStr fields[BG_CSV_ROLE_N + 1] = { 0 }; /* the last is for all others */
        Splitter s = { record, record + len };
        size_t n = 0;
        int r;

        if (len == 0)
                return BG_CSV_E_NOTHING;
        bool any_quotes = memchr(record, '"', len) != NULL;
        for (; s.at; n++) {
                BgStr *field = &fields[n < csv->n_columns ? csv->roles[n] : BG_CSV_OTHER];
                if (!field_next(&s, field, any_quotes))
                        return bad(what, (BgStr){ record, len }, "field %zu: its quotes are wrong", n + 1);
        }
        if (n != csv->n_columns) {
                snprintf(what, BG_CSV_WHAT_MAX, "expected %zu fields as in the header, got %zu", csv->n_columns, n);
                return BG_CSV_E_BAD;
        }

        *event = (BgEvent){ .type = csv->type };
        r = take_name(fields[BG_CSV_MODEL], "model", &event->model, what);
        if (!r && csv->type != BG_EVENT_RELEASE)
                r = take_relation(fields[BG_CSV_RELATION], &event->relation, what);
        if (r)
                return r;
        switch (csv->type) {
        case BG_EVENT_ADD:
                r = take_name(fields[BG_CSV_CHILD], "child", &event->child, what);
                return r ? r : take_time(fields[BG_CSV_CREATED_AT], "created_at", &event->at, what);
        case BG_EVENT_TALLY:
                r = take_time(fields[BG_CSV_FROM], "from", &event->from, what);
                if (!r)
                        r = take_time(fields[BG_CSV_TO], "to", &event->to, what);
                if (!r)
                        r = take_count(fields[BG_CSV_COUNT], &event->count, what);
                return !r && event->from >= event->to ? bad(what, fields[BG_CSV_TO], "to: expected a time after `from`") : r;
        default:
                if (!fields[BG_CSV_RELEASED_AT].len)
                        return BG_CSV_E_NOTHING;
                return take_time(fields[BG_CSV_RELEASED_AT], "released_at", &event->at, what);
        }
}
