/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/feed/csv.h"
#include "client/feed/input.h"
#include "client/feed/reader.h"

#define COLUMNS_MAX 64

enum { COLUMN_MODEL, COLUMN_CHILD, COLUMN_CREATED_AT, COLUMN_FROM, COLUMN_TO, COLUMN_COUNT, COLUMN_RELEASED_AT, COLUMN_RELATION, COLUMN_N };

static const char *const column_names[COLUMN_N] = { "model", "child", "created_at", "from", "to", "count", "released_at", "relation" };

typedef enum Form { FORM_JSON, FORM_ADDS, FORM_TALLIES, FORM_RELEASES } Form;

struct BgFeedReader {
        BgInput *input;
        const char *path;
        BgFeedComplaint *complain;
        void *data;
        int64_t n_bad;
        Form form;
        int columns[COLUMN_N]; /* where each is, -1 = nowhere */
        char *first;           /* JSON: the line that told the form, to be read again; else NULL */
        size_t n_first;
        bool give_first;
        BgArena arena;
};

static void complain(BgFeedReader *reader, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void complain(BgFeedReader *reader, const char *format, ...)
{
        char what[300];
        va_list arguments;

        reader->n_bad++;
        if (!reader->complain)
                return;
        va_start(arguments, format);
        vsnprintf(what, sizeof(what), format, arguments);
        va_end(arguments);
        reader->complain(reader->data, reader->path, bg_input_number(reader->input), what);
}

static int read_header(BgFeedReader *reader, char *line, size_t n)
{
        BgStr fields[COLUMNS_MAX];
        size_t n_fields = bg_csv_split(line, n, fields, COLUMNS_MAX);
        const int *c = reader->columns;

        for (int k = 0; k < COLUMN_N; k++)
                reader->columns[k] = -1;
        for (size_t i = 0; i < n_fields && i < COLUMNS_MAX; i++) {
                BgStr name = bg_str_equal(fields[i], BG_STR("base")) ? BG_STR("model") : fields[i];

                for (int k = 0; k < COLUMN_N; k++)
                        if (bg_str_equal(name, bg_str(column_names[k])) && reader->columns[k] < 0)
                                reader->columns[k] = (int)i;
        }
        if (c[COLUMN_MODEL] >= 0 && c[COLUMN_CHILD] >= 0 && c[COLUMN_CREATED_AT] >= 0)
                reader->form = FORM_ADDS;
        else if (c[COLUMN_MODEL] >= 0 && c[COLUMN_FROM] >= 0 && c[COLUMN_TO] >= 0 && c[COLUMN_COUNT] >= 0)
                reader->form = FORM_TALLIES;
        else if (c[COLUMN_MODEL] >= 0 && c[COLUMN_RELEASED_AT] >= 0)
                reader->form = FORM_RELEASES;
        else
                return BG_FEED_E_UNUSABLE;
        return 0;
}

static int read_first(BgFeedReader *reader)
{
        char *line;
        size_t n;
        int r;

        do {
                r = bg_input_line(reader->input, &line, &n);
                if (r == 0 && n >= 3 && bg_input_number(reader->input) == 1 && !memcmp(line, "\xef\xbb\xbf", 3)) {
                        line += 3;
                        n -= 3;
                }
        } while (r == 0 && n == 0);
        if (r < 0)
                return r;
        if (r == 0 && line[0] == '{') {
                reader->form = FORM_JSON;
                reader->first = malloc(n);
                if (!reader->first)
                        return -ENOMEM;
                memcpy(reader->first, line, n);
                reader->n_first = n;
                reader->give_first = true;
                return 0;
        }
        if (r == 0 && !read_header(reader, line, n))
                return 0;
        complain(reader, r == BG_INPUT_E_END ? "the file is empty"
                                             : "no file of events: expected a header with model,child,created_at or model,from,to,count "
                                               "or model,released_at, or a JSON object");
        return BG_FEED_E_UNUSABLE;
}

int bg_feed_reader_open(BgFeedReader **readerp, const char *path, BgFeedComplaint *complain_cb, void *data)
{
        BgFeedReader *reader = calloc(1, sizeof(*reader));
        int r;

        *readerp = NULL;
        if (!reader)
                return -ENOMEM;
        reader->path = path;
        reader->complain = complain_cb;
        reader->data = data;
        r = bg_input_open(&reader->input, path);
        if (!r)
                r = read_first(reader);
        if (r) {
                bg_feed_reader_close(reader);
                return r;
        }
        *readerp = reader;
        return 0;
}

void bg_feed_reader_close(BgFeedReader *reader)
{
        if (!reader)
                return;
        bg_input_close(reader->input);
        bg_arena_deinit(&reader->arena);
        free(reader->first);
        free(reader);
}

/* ---- lines ------------------------------------------------------------------------------------------------------------------ */

#define SKIP 1 /* no event here */

typedef struct Row {
        BgFeedReader *reader;
        BgStr fields[COLUMNS_MAX];
        size_t n;
} Row;

static BgStr field(const Row *row, int column)
{
        int i = row->reader->columns[column];

        return i >= 0 && (size_t)i < row->n ? row->fields[i] : (BgStr){ NULL, 0 };
}

static int take_name(const Row *row, int column, BgStr *namep)
{
        *namep = field(row, column);
        if (bg_proto_name_valid(*namep))
                return 0;
        complain(row->reader, "%s: '%.*s' is not of the form %s/name", column_names[column], namep->len > 100 ? 100 : (int)namep->len,
                 namep->len ? namep->data : "", column == COLUMN_CHILD ? "author" : "org");
        return SKIP;
}

static int take_time(const Row *row, int column, int64_t *timep)
{
        BgStr text = field(row, column);

        if (bg_time_parse(timep, text)) {
                complain(row->reader, "%s: '%.*s' is not a time such as 2025-02-01T00:00:00Z", column_names[column],
                         text.len > 60 ? 60 : (int)text.len, text.len ? text.data : "");
                return SKIP;
        }
        if (*timep < BG_TIME_MIN || *timep > BG_TIME_MAX) {
                complain(row->reader, "%s: %.*s is not between 2015 and 2200", column_names[column], (int)text.len, text.data);
                return SKIP;
        }
        return 0;
}

static int take_count(const Row *row, int64_t *countp)
{
        BgStr text = field(row, COLUMN_COUNT);
        int64_t count = 0;
        size_t i = 0;

        for (; i < text.len && text.data[i] >= '0' && text.data[i] <= '9' && count <= BG_COUNT_MAX; i++)
                count = 10 * count + (text.data[i] - '0');
        if (!text.len || i < text.len || count > BG_COUNT_MAX) {
                complain(row->reader, "count: '%.*s' is not an integer in 0 .. 1e12", text.len > 60 ? 60 : (int)text.len,
                         text.len ? text.data : "");
                return SKIP;
        }
        *countp = count;
        return 0;
}

static int take_relation(const Row *row, BgRelation *relationp)
{
        BgStr text = field(row, COLUMN_RELATION);
        int value = BG_RELATION_FINETUNE;

        if (text.len && bg_proto_relation_find(&value, text)) {
                complain(row->reader, "relation: '%.*s' is not known", text.len > 60 ? 60 : (int)text.len, text.data);
                return SKIP;
        }
        *relationp = (BgRelation)value;
        return 0;
}

static int read_row(BgFeedReader *reader, char *line, size_t n, BgEvent *event)
{
        Row row = { .reader = reader };
        int r;

        row.n = bg_csv_split(line, n, row.fields, COLUMNS_MAX);
        if (!row.n) {
                complain(reader, "a quote is not closed, or text follows a closing one");
                return SKIP;
        }
        if (row.n > COLUMNS_MAX)
                row.n = COLUMNS_MAX;
        if (reader->form == FORM_RELEASES && !field(&row, COLUMN_RELEASED_AT).len && field(&row, COLUMN_MODEL).len)
                return SKIP;
        r = take_name(&row, COLUMN_MODEL, &event->model);
        if (r)
                return r;
        if (reader->form == FORM_RELEASES) {
                event->type = BG_EVENT_RELEASE;
                return take_time(&row, COLUMN_RELEASED_AT, &event->at);
        }
        if (take_relation(&row, &event->relation))
                return SKIP;
        if (reader->form == FORM_ADDS) {
                event->type = BG_EVENT_ADD;
                r = take_name(&row, COLUMN_CHILD, &event->child);
                return r ? r : take_time(&row, COLUMN_CREATED_AT, &event->at);
        }
        event->type = BG_EVENT_TALLY;
        if (take_time(&row, COLUMN_FROM, &event->from) || take_time(&row, COLUMN_TO, &event->to) || take_count(&row, &event->count))
                return SKIP;
        if (event->from >= event->to) {
                complain(reader, "from, to: the interval is empty");
                return SKIP;
        }
        return 0;
}

static int read_json(BgFeedReader *reader, const char *line, size_t n, BgEvent *event)
{
        BgProtoError error = { 0 };
        int r;

        bg_arena_clear(&reader->arena);
        r = bg_proto_from_json(&bg_proto_event, line, n, &reader->arena, event, &error);
        if (r < 0)
                return r;
        if (r) {
                complain(reader, "%s", error.text);
                return SKIP;
        }
        if (event->type == BG_EVENT_NONE) {
                complain(reader, "%s%s%s", event->reject_key, event->reject_key[0] ? ": " : "", bg_proto_reject_name(event->reject));
                return SKIP;
        }
        return 0;
}

int bg_feed_reader_next(BgFeedReader *reader, BgEvent *event)
{
        char *line;
        size_t n;
        int r;

        for (;;) {
                if (reader->give_first) {
                        reader->give_first = false;
                        line = reader->first;
                        n = reader->n_first;
                        r = 0;
                } else {
                        r = bg_input_line(reader->input, &line, &n);
                }
                if (r < 0)
                        return r;
                if (r == BG_INPUT_E_END)
                        return BG_FEED_E_END;
                if (r == BG_INPUT_E_LONG) {
                        complain(reader, "the line is longer than %zu bytes", BG_INPUT_LINE_MAX);
                        continue;
                }
                if (r == BG_INPUT_E_DAMAGED) {
                        complain(reader, "the compressed data are damaged or end too early");
                        return BG_FEED_E_END;
                }
                if (!n)
                        continue;
                *event = (BgEvent){ 0 };
                r = reader->form == FORM_JSON ? read_json(reader, line, n, event) : read_row(reader, line, n, event);
                if (r != SKIP)
                        return r;
        }
}

int64_t bg_feed_reader_line(const BgFeedReader *reader)
{
        return bg_input_number(reader->input);
}

int64_t bg_feed_reader_n_bad(const BgFeedReader *reader)
{
        return reader->n_bad;
}

double bg_feed_reader_progress(const BgFeedReader *reader)
{
        return bg_input_progress(reader->input);
}
