/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files as people write them give the events they mean; what is wrong is told by line and skipped; order is total and stable. */

#include "daemon/stream/testing.h"

#include <errno.h>
#include <zlib.h>

#include "daemon/stream/lines.h"
#include "daemon/stream/merge_private.h"

#define T0 INT64_C(1738368000000000) /* 2025-02-01T00:00:00Z */
#define DAY INT64_C(86400000000)

/* ---- helpers --------------------------------------------------------------------------------------------------------------- */

typedef struct Heard {
        int n;
        int64_t lines[64];
        char what[64][256];
} Heard;

static void hear(void *data, const char *path, int64_t line, const char *what)
{
        Heard *heard = data;

        assert_non_null(path);
        if (heard->n < 64) {
                heard->lines[heard->n] = line;
                snprintf(heard->what[heard->n], sizeof(heard->what[0]), "%s", what);
        }
        heard->n++;
}

static BgReader *open_text(void **state, const char *text, size_t n, Heard *heard)
{
        char path[512], why[300] = "";
        BgReader *reader;

        testing_path(state, "file", path);
        testing_write_file(path, text, n);
        *heard = (Heard){ 0 };
        int r = bg_reader_open(&reader, path, hear, heard, why, sizeof(why));
        if (r)
                fail_msg("%d %s", r, why);
        return reader;
}

static BgReader *open_string(void **state, const char *text, Heard *heard)
{
        return open_text(state, text, strlen(text), heard);
}

static void expect_add(BgReader *reader, const char *model, const char *child, int64_t at, BgRelation relation)
{
        BgEvent event, expected = {
                .type = BG_EVENT_ADD, .model = bg_str(model), .child = bg_str(child), .at = at, .relation = relation
        };
        int64_t time;

        assert_int_equal(bg_reader_next(reader, &event, &time), 0);
        testing_assert_event(&event, &expected);
        assert_int_equal(time, at);
}

static void expect_end(BgReader *reader, const Heard *heard, int n_bad)
{
        BgEvent event;
        int64_t time;

        assert_int_equal(bg_reader_next(reader, &event, &time), BG_READER_E_END);
        assert_int_equal(bg_reader_next(reader, &event, &time), BG_READER_E_END);
        assert_int_equal(heard->n, n_bad);
        assert_int_equal(bg_reader_n_bad(reader), n_bad);
        bg_reader_close(reader);
}

static void heard_at(const Heard *heard, int i, int64_t line, const char *part)
{
        assert_true(i < heard->n);
        assert_int_equal(heard->lines[i], line);
        if (!strstr(heard->what[i], part))
                fail_msg("expected \"%s\" in \"%s\"", part, heard->what[i]);
}

static void unusable(void **state, const char *text, size_t n, const char *part)
{
        char path[512], why[400] = "";
        BgReader *reader = (BgReader *)state;

        testing_path(state, "file", path);
        testing_write_file(path, text, n);
        assert_int_equal(bg_reader_open(&reader, path, NULL, NULL, why, sizeof(why)), BG_READER_E_UNUSABLE);
        assert_null(reader);
        if (!strstr(why, part))
                fail_msg("expected \"%s\" in \"%s\"", part, why);
}

/* ---- CSV ------------------------------------------------------------------------------------------------------------------- */

static void test_csv_adds(void **state)
{
        Heard heard;
        BgReader *reader = open_string(state,
                                       "\xef\xbb\xbf"
                                       "created_at,Base , notes,child,relation\r\n"
                                       "2025-02-01T00:00:00Z,org/a,,me/x,adapter\r\n"
                                       "2025-02-01,org/a,\"a \"\"quoted\"\" note,\nover two lines\",me/y,\r\n"
                                       "\r\n"
                                       "\"2025-02-01T01:00:00.5+01:00\",\"org/a\",\"\",\"me/z\",\"merge\"",
                                       &heard);

        expect_add(reader, "org/a", "me/x", T0, BG_RELATION_ADAPTER);
        assert_int_equal(bg_reader_line(reader), 2);
        expect_add(reader, "org/a", "me/y", T0, BG_RELATION_FINETUNE);
        assert_int_equal(bg_reader_line(reader), 3);
        expect_add(reader, "org/a", "me/z", T0 + 500000, BG_RELATION_MERGE);
        assert_int_equal(bg_reader_line(reader), 6);
        expect_end(reader, &heard, 0);
}

static void test_csv_tallies_and_releases(void **state)
{
        BgEvent event;
        int64_t time;
        Heard heard;

        BgReader *reader = open_string(state,
                                       "model,from,to,count,relation\n"
                                       "org/a,2025-02-01T00:00:00Z,2025-02-02T00:00:00Z,1000000000000,download\n"
                                       "org/a,2025-02-02T00:00:00Z,2025-02-03T00:00:00Z,0,\n",
                                       &heard);
        assert_int_equal(bg_reader_next(reader, &event, &time), 0);
        testing_assert_event(&event, &(BgEvent){ .type = BG_EVENT_TALLY,
                                                 .model = BG_STR("org/a"),
                                                 .from = T0,
                                                 .to = T0 + DAY,
                                                 .count = BG_COUNT_MAX,
                                                 .relation = BG_RELATION_DOWNLOAD });
        assert_int_equal(time, T0 + DAY);
        assert_int_equal(bg_reader_next(reader, &event, &time), 0);
        assert_int_equal(event.count, 0);
        expect_end(reader, &heard, 0);

        /* without a release there is nothing to say, and nothing wrong either */
        reader = open_string(state, "model,org,released_at\norg/a,org,\norg/b,org,2025-02-01T00:00:00Z\n", &heard);
        assert_int_equal(bg_reader_next(reader, &event, &time), 0);
        testing_assert_event(&event, &(BgEvent){ .type = BG_EVENT_RELEASE, .model = BG_STR("org/b"), .at = T0 });
        assert_int_equal(time, T0);
        expect_end(reader, &heard, 0);
}

static void test_csv_complaints(void **state)
{
        Heard heard;
        BgReader *reader = open_string(state,
                                       "model,child,created_at,relation\n"
                                       "gpt2,me/x,2025-02-01,\n"            /* 2 */
                                       "org/a,me/x\x01y,2025-02-01,\n"      /* 3 */
                                       "org/a,me/x,yesterday,\n"            /* 4 */
                                       "org/a,me/x,2014-12-31T23:59:59Z,\n" /* 5 */
                                       "org/a,me/x,2025-02-30,\n"           /* 6 */
                                       "org/a,me/x,2025-02-01,cousin\n"     /* 7 */
                                       "org/a,me/x,2025-02-01\n"            /* 8 */
                                       "org/a,me/x,2025-02-01,,\n"          /* 9 */
                                       "org/a,me/\"x\",2025-02-01,\n"       /* 10 */
                                       "org/a,\"me/x\"y,2025-02-01,\n"      /* 11 */
                                       "org/a,\"me/x,2025-02-01,\n"         /* 12: never closed */
                                       "org/a,me/good,2025-02-01,\n"        /* 13 */
                                       ",,,\n"                              /* 14 */
                                       "org/a,me/last,2025-02-01,finetune", /* 15 */
                                       &heard);

        expect_add(reader, "org/a", "me/good", T0, BG_RELATION_FINETUNE);
        expect_add(reader, "org/a", "me/last", T0, BG_RELATION_FINETUNE);
        expect_end(reader, &heard, 12);
        heard_at(&heard, 0, 2, "model: expected a name like org/name of A-Za-z0-9._-, got \"gpt2\"");
        heard_at(&heard, 1, 3, "got \"me/x?y\"");
        heard_at(&heard, 2, 4, "created_at: expected a time");
        heard_at(&heard, 3, 5, "in 2015 .. 2200");
        heard_at(&heard, 4, 6, "created_at");
        heard_at(&heard, 5, 7, "relation: expected finetune");
        heard_at(&heard, 6, 8, "expected 4 fields as in the header, got 3");
        heard_at(&heard, 7, 9, "expected 4 fields as in the header, got 5");
        heard_at(&heard, 8, 10, "quotes");
        heard_at(&heard, 9, 11, "quotes");
        heard_at(&heard, 10, 12, "not closed");
        heard_at(&heard, 11, 14, "model");

        reader = open_string(state,
                             "model,from,to,count\n"
                             "org/a,2025-02-01,2025-02-02,-1\n"
                             "org/a,2025-02-01,2025-02-02,1.0\n"
                             "org/a,2025-02-01,2025-02-02,\n"
                             "org/a,2025-02-01,2025-02-02,1000000000001\n"
                             "org/a,2025-02-01,2025-02-02,99999999999999999999999999\n"
                             "org/a,2025-02-02,2025-02-02,1\n"
                             "org/a,2025-02-03,2025-02-02,1\n",
                             &heard);
        expect_end(reader, &heard, 7);
        for (int i = 0; i < 5; i++)
                heard_at(&heard, i, 2 + i, "count: expected an integer in 0 .. 1000000000000");
        heard_at(&heard, 5, 7, "after `from`");
        heard_at(&heard, 6, 8, "after `from`");
}

static void test_unusable_files(void **state)
{
        char path[512], why[300] = "", wide[3 * 300 + 64];
        BgReader *reader;

        unusable(state, "", 0, "is empty");
        unusable(state, "\xef\xbb\xbf\n\n  \n", 8, "is empty");
        unusable(state, "model,lambda,mu\n", 16, "begins with \"model,lambda,mu\"; expected columns model,child,created_at or");
        unusable(state, "child,created_at\n", 17, "expected columns");
        unusable(state, "model,base,child,created_at\n", 28, "two columns mean the same: \"base\"");
        unusable(state, "[1,2]\n", 6, "expected columns");
        unusable(state, "model,\"child,created_at\n", 24, "no header");
        unusable(state,
                 "\xff\xfe"
                 "m\0o\0",
                 6, "begins with \"??m?o?\"");
        memset(wide, ',', sizeof(wide));
        unusable(state, wide, sizeof(wide), "expected columns");
        unusable(state, "\x1f\x8b\x08\x00 not really gzip", 20, "");

        testing_path(state, "missing", path);
        assert_int_equal(bg_reader_open(&reader, path, NULL, NULL, why, sizeof(why)), BG_READER_E_UNUSABLE);
        assert_non_null(strstr(why, "No such file"));
        assert_int_equal(bg_reader_open(&reader, (char *)*state, NULL, NULL, why, sizeof(why)), BG_READER_E_UNUSABLE);
        assert_non_null(strstr(why, "Is a directory"));
        bg_reader_close(NULL);
}

/* Lines around the limit of 64 KiB, and quotes left open over buffers' ends: each costs itself and nothing else. */
static void test_long_lines(void **state)
{
        static const size_t lengths[] = { BG_LINES_RECORD_MAX - 1, BG_LINES_RECORD_MAX, BG_LINES_RECORD_MAX + 1,
                                          3 * BG_LINES_BUFFER };
        BgBuffer text = { 0 };
        Heard heard;

        for (int quoted = 0; quoted < 2; quoted++) {
                for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
                        char field[64];
                        bg_buffer_clear(&text);
                        bg_buffer_printf(&text, "model,child,created_at,note\n");
                        for (int lead = (int)testing_between(0, 3000); lead > 0; lead--)
                                bg_buffer_printf(&text, "org/a,me/%d,2025-02-01,\n", lead);
                        size_t n_lead = (size_t)(text.len ? 1 : 0), start = text.len;
                        for (const char *c = text.data; (c = memchr(c, '\n', (size_t)(text.data + text.len - c))); c++)
                                n_lead++;
                        bg_buffer_printf(&text, "org/a,me/long,2025-02-01,%s", quoted ? "\"" : "");
                        while (text.len - start < lengths[i] - (quoted ? 1 : 0))
                                bg_buffer_append(&text, quoted && (text.len - start) % 100 == 0 ? "\n" : "y", 1);
                        bg_buffer_printf(&text, "%s\norg/a,me/after,2025-02-01,\n", quoted ? "\"" : "");
                        BgReader *reader = open_text(state, text.data, text.len, &heard);
                        BgEvent event;
                        int64_t time;
                        for (size_t k = 2; k < n_lead; k++)
                                assert_int_equal(bg_reader_next(reader, &event, &time), 0);
                        int n_bad = 0;
                        if (lengths[i] <= BG_LINES_RECORD_MAX) {
                                expect_add(reader, "org/a", "me/long", T0, BG_RELATION_FINETUNE);
                        } else if (!quoted) {
                                n_bad = 1;
                        }
                        snprintf(field, sizeof(field), "length %zu", lengths[i]);
                        if (quoted && lengths[i] > BG_LINES_RECORD_MAX) {
                                /* the text between the quotes is now taken line by line, and is no event: but what follows is */
                                while (bg_reader_next(reader, &event, &time) == 0)
                                        testing_assert_text(event.child, BG_STR("me/after"));
                                assert_true(heard.n > 1);
                                heard_at(&heard, 0, (int64_t)n_lead, "64 KiB");
                                bg_reader_close(reader);
                                continue;
                        }
                        expect_add(reader, "org/a", "me/after", T0, BG_RELATION_FINETUNE);
                        expect_end(reader, &heard, n_bad);
                        if (n_bad)
                                heard_at(&heard, 0, (int64_t)n_lead, "longer than 64 KiB");
                }
        }
        bg_buffer_deinit(&text);
}

/* ---- JSON Lines ------------------------------------------------------------------------------------------------------------ */

static void test_json_lines(void **state)
{
        Heard heard;
        BgEvent event;
        int64_t time;
        BgReader *reader = open_string(
                state,
                "\n{\"t\":\"add\",\"model\":\"org/a\",\"child\":\"me/x\",\"at\":1738368000000000,\"junk\":\",\\\"\"}\n"
                "  {\"t\":\"move\",\"from\":\"me/x\",\"to\":\"me/y\",\"at\":\"2025-02-01T00:00:00Z\"}\r\n"
                "\n"
                "{\"t\":\"tally\",\"model\":\"org/a\",\"from\":\"2025-02-01\",\"to\":\"2025-02-02\",\"count\":3}\n"
                "{\"t\":\"add\",\"model\":\"org/a\"}\n"
                "{\"t\":\"dance\",\"at\":1}\n"
                "{\"t\":\"add\"\n"
                "null\n"
                "[]\n"
                "{\"t\":\"alive\",\"at\":1738368000000000}",
                &heard);

        expect_add(reader, "org/a", "me/x", T0, BG_RELATION_FINETUNE);
        assert_int_equal(bg_reader_line(reader), 2);
        assert_int_equal(bg_reader_next(reader, &event, &time), 0);
        testing_assert_event(
                &event, &(BgEvent){ .type = BG_EVENT_MOVE, .from_name = BG_STR("me/x"), .to_name = BG_STR("me/y"), .at = T0 });
        assert_int_equal(bg_reader_next(reader, &event, &time), 0);
        testing_assert_event(
                &event, &(BgEvent){ .type = BG_EVENT_TALLY, .model = BG_STR("org/a"), .from = T0, .to = T0 + DAY, .count = 3 });
        assert_int_equal(time, T0 + DAY);
        assert_int_equal(bg_reader_next(reader, &event, &time), 0);
        assert_int_equal(event.type, BG_EVENT_ALIVE);
        assert_int_equal(time, T0);
        expect_end(reader, &heard, 5);
        for (int i = 0; i < 5; i++)
                assert_int_equal(heard.lines[i], 6 + i);
        heard_at(&heard, 0, 6, "child");
}

/* What a dump writes, a reader reads: for all types of event. */
static void test_json_round_trip(void **state)
{
        enum { N = 5000 };
        BgEvent *events = calloc(N, sizeof(*events)), event;
        BgArena arena = { 0 };
        BgBuffer text = { 0 };
        int64_t time;
        Heard heard;

        for (int i = 0; i < N; i++) {
                events[i] = testing_event(&arena);
                assert_int_equal(bg_proto_to_json(&bg_proto_event, &events[i], &text), 0);
                assert_int_equal(bg_buffer_append(&text, "\n", 1), 0);
        }
        BgReader *reader = open_text(state, text.data, text.len, &heard);
        for (int i = 0; i < N; i++) {
                int r = bg_reader_next(reader, &event, &time);
                if (r)
                        fail_msg("event %d: %d %s", i, r, heard.n ? heard.what[0] : "");
                testing_assert_event(&event, &events[i]);
        }
        expect_end(reader, &heard, 0);
        bg_buffer_deinit(&text);
        bg_arena_deinit(&arena);
        free(events);
}

/* ---- gzip ------------------------------------------------------------------------------------------------------------------ */

static void write_gzip(const char *path, const char *text, size_t n, const char *mode)
{
        gzFile file = gzopen(path, mode);

        assert_non_null(file);
        assert_int_equal(gzwrite(file, text, (unsigned)n), n);
        assert_int_equal(gzclose(file), Z_OK);
}

static void test_gzip_and_progress(void **state)
{
        enum { N = 200000 };
        BgBuffer text = { 0 };
        char path[512], why[300];
        BgEvent event;
        int64_t time;
        size_t n;
        int r;

        bg_buffer_printf(&text, "model,child,created_at\n");
        for (int i = 0; i < N; i++)
                bg_buffer_printf(&text, "org/a,me/%llu,2025-02-01\n", (unsigned long long)testing_random());
        for (int packed = 0; packed < 2; packed++) {
                BgReader *reader;
                Heard heard = { 0 };
                double before = 0;
                int count = 0, n_halfway = 0;
                testing_path(state, packed ? "a.csv.gz" : "a.csv", path);
                if (packed) {
                        write_gzip(path, text.data, text.len / 2, "wb");
                        write_gzip(path, text.data + text.len / 2, text.len - text.len / 2,
                                   "ab"); /* two members: as good as one */
                } else {
                        testing_write_file(path, text.data, text.len);
                }
                assert_int_equal(bg_reader_open(&reader, path, hear, &heard, why, sizeof(why)), 0);
                while ((r = bg_reader_next(reader, &event, &time)) == 0) {
                        double progress = bg_reader_progress(reader);
                        assert_true(progress >= before - 1e-12 && progress <= 1);
                        before = progress;
                        if (++count == N / 2)
                                n_halfway = progress > 0.4 && progress < 0.6;
                }
                assert_int_equal(r, BG_READER_E_END);
                assert_int_equal(count, N);
                assert_int_equal(n_halfway, 1);
                assert_true(bg_reader_progress(reader) > 0.999);
                assert_int_equal(heard.n, 0);
                bg_reader_close(reader);
        }

        /* cut off or damaged: never a silent end */
        testing_path(state, "a.csv.gz", path);
        char *packed = testing_read_file(path, &n);
        for (int i = 0; i < 20; i++) {
                BgReader *reader;
                Heard heard = { 0 };
                bool cut = i % 2 == 0;
                testing_path(state, "bad.csv.gz", path);
                size_t at = (size_t)testing_between((int64_t)n / 4, (int64_t)n - 9);
                char was = packed[at];
                packed[at] = (char)(was + 1);
                testing_write_file(path, packed, cut ? at : n);
                packed[at] = was;
                r = bg_reader_open(&reader, path, hear, &heard, why, sizeof(why));
                if (!r) {
                        while ((r = bg_reader_next(reader, &event, &time)) == 0)
                                ;
                        assert_int_equal(r, -EBADMSG);
                        assert_int_equal(bg_reader_next(reader, &event, &time), -EBADMSG);
                        assert_true(heard.n >= 1);
                        assert_non_null(
                                strstr(heard.what[heard.n < 64 ? heard.n - 1 : 63], heard.n < 64 ? "cannot be read" : ""));
                        bg_reader_close(reader);
                }
                BgMerge *merge;
                const char *paths[] = { path };
                assert_int_equal(bg_merge_open(&merge, paths, 1, NULL, NULL, why, sizeof(why)), BG_READER_E_UNUSABLE);
                assert_non_null(strstr(why, "damaged or cut off"));
        }
        free(packed);
        bg_buffer_deinit(&text);
}

/* ---- merge ----------------------------------------------------------------------------------------------------------------- */

typedef struct Written {
        BgEvent event;
        int64_t time;
        int rank, file, line;
} Written;

static int written_compare(const void *a, const void *b)
{
        const Written *x = a, *y = b;

        if (x->time != y->time)
                return x->time < y->time ? -1 : 1;
        if (x->rank != y->rank)
                return x->rank - y->rank;
        return x->file != y->file ? x->file - y->file : x->line - y->line;
}

static int rank(BgEventType type)
{
        return type == BG_EVENT_RELEASE ? 0 : type == BG_EVENT_TALLY ? 1 : type == BG_EVENT_ADD ? 2 : 3;
}

static void test_merge_is_in_order(void **state)
{
        enum { FILES = 5, N = 400, ROUNDS = 30 };
        BgArena arena = { 0 };
        Written *all = calloc(FILES * N, sizeof(*all));

        for (int round = 0; round < ROUNDS; round++) {
                char paths[FILES][512], why[300];
                const char *list[FILES];
                size_t n = 0, n_in_order = 0;
                for (int f = 0; f < FILES; f++) {
                        BgBuffer text = { 0 };
                        char name[32];
                        size_t first = n;
                        bool in_order = testing_between(0, 1), one_short = testing_between(0, 1);
                        for (int i = 0; i < (one_short && f ? 1 : N); i++, n++) {
                                all[n] = (Written){ .event = testing_event(&arena), .file = f, .line = i };
                                /* few different times: many ties */
                                int64_t at = T0 + testing_between(0, 20) * 1000000;
                                if (all[n].event.type == BG_EVENT_TALLY) {
                                        all[n].event.from = T0 - DAY;
                                        all[n].event.to = at;
                                } else {
                                        all[n].event.at = at;
                                }
                                all[n].time = at;
                                all[n].rank = rank(all[n].event.type);
                        }
                        if (in_order)
                                qsort(all + first, n - first, sizeof(*all), written_compare);
                        bool sorted = true;
                        for (size_t i = first; i < n; i++) {
                                all[i].line = (int)(i - first);
                                if (i > first && (all[i - 1].time > all[i].time ||
                                                  (all[i - 1].time == all[i].time && all[i - 1].rank > all[i].rank)))
                                        sorted = false;
                                assert_int_equal(bg_proto_to_json(&bg_proto_event, &all[i].event, &text), 0);
                                bg_buffer_append(&text, "\n", 1);
                        }
                        n_in_order += sorted;
                        snprintf(name, sizeof(name), "%d.jsonl", f);
                        testing_path(state, name, paths[f]);
                        testing_write_file(paths[f], text.data, text.len);
                        list[f] = paths[f];
                        bg_buffer_deinit(&text);
                }
                qsort(all, n, sizeof(*all), written_compare);

                /* 0: all that can be is streamed; huge: nothing is */
                for (int streamed = 0; streamed < 2; streamed++) {
                        BgMerge *merge;
                        BgEvent event;
                        int64_t time;
                        assert_int_equal(
                                bg_merge_open_limit(&merge, list, FILES, NULL, NULL, why, sizeof(why), streamed ? 0 : INT64_MAX),
                                0);
                        assert_int_equal(bg_merge_n_streamed(merge), streamed ? n_in_order : 0);
                        assert_int_equal(bg_merge_n_events(merge), n);
                        assert_int_equal(bg_merge_n_bad(merge), 0);
                        for (size_t i = 0; i < n; i++) {
                                assert_int_equal(bg_merge_next(merge, &event, &time), 0);
                                testing_assert_event(&event, &all[i].event);
                                assert_int_equal(time, all[i].time);
                        }
                        assert_int_equal(bg_merge_next(merge, &event, &time), BG_READER_E_END);
                        assert_int_equal(bg_merge_next(merge, &event, &time), BG_READER_E_END);
                        bg_merge_close(merge);
                }
                bg_arena_clear(&arena);
        }
        free(all);
        bg_arena_deinit(&arena);
}

static void test_merge_complains_once(void **state)
{
        static const char sorted[] = "model,child,created_at\norg/a,me/x,2025-02-01\nbad line\norg/a,me/y,2025-02-02\n";
        static const char unsorted[] = "model,child,created_at\norg/a,me/x,2025-02-02\nbad line\norg/a,me/y,2025-02-01\n";
        char path[512], why[300];
        const char *paths[] = { path };
        BgEvent event;
        BgMerge *merge;
        int64_t time;

        for (int i = 0; i < 4; i++) {
                Heard heard = { 0 };
                testing_path(state, "a.csv", path);
                testing_write_file(path, i & 1 ? sorted : unsorted, sizeof(sorted) - 1);
                assert_int_equal(bg_merge_open_limit(&merge, paths, 1, hear, &heard, why, sizeof(why), i & 2 ? 0 : INT64_MAX), 0);
                assert_int_equal(bg_merge_n_bad(merge), 1);
                assert_int_equal(bg_merge_n_events(merge), 2);
                assert_int_equal(bg_merge_next(merge, &event, &time), 0);
                assert_int_equal(time, T0);
                assert_int_equal(bg_merge_next(merge, &event, &time), 0);
                assert_int_equal(bg_merge_next(merge, &event, &time), BG_READER_E_END);
                assert_int_equal(heard.n, 1);
                heard_at(&heard, 0, 3, "fields");
                bg_merge_close(merge);
        }
}

/* A file that was found to be in order and is streamed: shortened, no longer in order, or longer. */
static void test_merge_notices_a_changed_file(void **state)
{
        enum { N = 30000 }; /* the end is far beyond what the reader has in its buffers when the file changes */
        char path[512], why[300];
        const char *paths[] = { path };
        BgBuffer text = { 0 };
        BgEvent event;
        BgMerge *merge;
        int64_t time;
        int r;

        testing_path(state, "a.csv", path);
        bg_buffer_printf(&text, "model,child,created_at\n");
        for (int i = 0; i < N; i++)
                bg_buffer_printf(&text, "org/a,me/%05d,2025-02-01\n", i);
        for (int change = 0; change < 3; change++) {
                testing_write_file(path, text.data, text.len);
                assert_int_equal(bg_merge_open_limit(&merge, paths, 1, NULL, NULL, why, sizeof(why), 0), 0);
                assert_int_equal(bg_merge_n_streamed(merge), 1);
                FILE *file = fopen(path, "r+b");
                assert_non_null(file);
                if (change == 0) {
                        assert_int_equal(ftruncate(fileno(file), (off_t)text.len - 100), 0);
                } else {
                        assert_int_equal(fseek(file, change == 1 ? -3 : 0, SEEK_END), 0);
                        fputs(change == 1 ? "\n\norg/a,me/early,2025-01-01\n" : "org/a,me/more,2025-02-02\n", file);
                }
                fclose(file);
                while ((r = bg_merge_next(merge, &event, &time)) == 0)
                        assert_int_equal(time, T0);
                assert_int_equal(r, -ESTALE);
                assert_int_equal(bg_merge_next(merge, &event, &time), -ESTALE);
                bg_merge_close(merge);
        }
        bg_buffer_deinit(&text);
}

static void test_merge_of_nothing(void **state)
{
        char path[512], why[300] = "";
        const char *paths[] = { path };
        BgMerge *merge;
        BgEvent event;
        int64_t time;

        assert_int_equal(bg_merge_open(&merge, NULL, 0, NULL, NULL, why, sizeof(why)), 0);
        assert_int_equal(bg_merge_next(merge, &event, &time), BG_READER_E_END);
        bg_merge_close(merge);
        testing_path(state, "a.csv", path);
        testing_write_file(path, "model,child,created_at\n", 23);
        for (int64_t limit = 0; limit < 2; limit++) {
                assert_int_equal(bg_merge_open_limit(&merge, paths, 1, NULL, NULL, why, sizeof(why), limit * 1000), 0);
                assert_int_equal(bg_merge_next(merge, &event, &time), BG_READER_E_END);
                bg_merge_close(merge);
        }
        testing_path(state, "missing", path);
        assert_int_equal(bg_merge_open(&merge, paths, 1, NULL, NULL, why, sizeof(why)), BG_READER_E_UNUSABLE);
        assert_non_null(strstr(why, "No such file"));
        bg_merge_close(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, testing_setup, testing_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_csv_adds),
                TEST(test_csv_tallies_and_releases),
                TEST(test_csv_complaints),
                TEST(test_unusable_files),
                TEST(test_long_lines),
                TEST(test_json_lines),
                TEST(test_json_round_trip),
                TEST(test_gzip_and_progress),
                TEST(test_merge_is_in_order),
                TEST(test_merge_complains_once),
                TEST(test_merge_notices_a_changed_file),
                TEST(test_merge_of_nothing),
        };

        testing_seed_init();
        return cmocka_run_group_tests_name("reader", tests, NULL, NULL);
}
