/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <cmocka.h>

#include "client/feed/csv.h"
#include "client/feed/reader.h"

typedef struct Complaints {
        int n;
        int64_t lines[32];
        char what[32][300];
} Complaints;

static void complain(void *data, const char *path, int64_t line, const char *what)
{
        Complaints *complaints = data;

        (void)path;
        if (complaints->n < 32) {
                complaints->lines[complaints->n] = line;
                snprintf(complaints->what[complaints->n], 300, "%s", what);
        }
        complaints->n++;
}

static char directory[] = "/tmp/burgeon-feed-XXXXXX";

static const char *path_of(const char *name)
{
        static char paths[4][128];
        static int i;
        char *path = paths[i++ & 3];

        snprintf(path, 128, "%s/%s", directory, name);
        return path;
}

static const char *write_file(const char *name, const char *bytes, size_t n)
{
        const char *path = path_of(name);
        FILE *file = fopen(path, "wb");

        assert_non_null(file);
        assert_int_equal(fwrite(bytes, 1, n, file), n);
        fclose(file);
        return path;
}

static BgFeedReader *open_text(const char *text, Complaints *complaints)
{
        BgFeedReader *reader = NULL;

        *complaints = (Complaints){ 0 };
        assert_int_equal(bg_feed_reader_open(&reader, write_file("file", text, strlen(text)), complain, complaints), 0);
        return reader;
}

static bool same(BgStr a, const char *b)
{
        return bg_str_equal(a, bg_str(b));
}

static int64_t time_of(const char *text)
{
        int64_t us = 0;

        assert_int_equal(bg_time_parse(&us, bg_str(text)), 0);
        return us;
}

static void splits_csv(void **state)
{
        char line[] = "a,\"b \"\"c\"\", d\",,\"\",e";
        char open[] = "a,\"b", after[] = "\"a\"b,c", empty[] = "";
        BgStr fields[8];

        (void)state;
        assert_int_equal(bg_csv_split(line, strlen(line), fields, 8), 5);
        assert_true(same(fields[0], "a"));
        assert_true(same(fields[1], "b \"c\", d"));
        assert_int_equal(fields[2].len, 0);
        assert_int_equal(fields[3].len, 0);
        assert_true(same(fields[4], "e"));
        assert_int_equal(bg_csv_split(open, strlen(open), fields, 8), 0);
        assert_int_equal(bg_csv_split(after, strlen(after), fields, 8), 0);
        assert_int_equal(bg_csv_split(empty, 0, fields, 8), 1);
}

static void reads_adds_in_any_column_order(void **state)
{
        Complaints complaints;
        BgFeedReader *reader = open_text("\xef\xbb\xbf" "created_at,relation,other,child,base\r\n"
                                         "2024-01-02T03:04:05Z,adapter,x,u/c1,org/m\r\n"
                                         "2024-01-02T05:04:05+02:00,,y,\"u/c2\",\"org/m\"", &complaints);
        BgEvent event;

        (void)state;
        assert_int_equal(bg_feed_reader_next(reader, &event), 0);
        assert_int_equal(event.type, BG_EVENT_ADD);
        assert_true(same(event.model, "org/m") && same(event.child, "u/c1"));
        assert_int_equal(event.relation, BG_RELATION_ADAPTER);
        assert_int_equal(event.at, time_of("2024-01-02T03:04:05Z"));
        assert_int_equal(bg_feed_reader_next(reader, &event), 0);
        assert_int_equal(event.relation, BG_RELATION_FINETUNE);
        assert_int_equal(event.at, time_of("2024-01-02T03:04:05Z"));
        assert_int_equal(bg_feed_reader_next(reader, &event), BG_FEED_E_END);
        assert_int_equal(bg_feed_reader_line(reader), 3);
        assert_int_equal(complaints.n, 0);
        bg_feed_reader_close(reader);
}

static void reads_tallies_and_releases(void **state)
{
        Complaints complaints;
        BgFeedReader *reader = open_text("model,from,to,count\norg/m,2024-01-01,2024-02-01,17\n", &complaints);
        BgEvent event;

        (void)state;
        assert_int_equal(bg_feed_reader_next(reader, &event), 0);
        assert_int_equal(event.type, BG_EVENT_TALLY);
        assert_int_equal(event.count, 17);
        assert_int_equal(bg_feed_time(&event), time_of("2024-02-01"));
        bg_feed_reader_close(reader);
        reader = open_text("model,org,released_at\norg/unknown,org,\n\norg/m,org,2023-05-05\n", &complaints);
        assert_int_equal(bg_feed_reader_next(reader, &event), 0);
        assert_int_equal(event.type, BG_EVENT_RELEASE);
        assert_int_equal(event.at, time_of("2023-05-05"));
        assert_int_equal(bg_feed_reader_next(reader, &event), BG_FEED_E_END);
        assert_int_equal(complaints.n, 0); /* an unknown release is no mistake */
        bg_feed_reader_close(reader);
}

static void reports_bad_lines_by_number_and_goes_on(void **state)
{
        static const char *const expected[] = { "model", "child", "created_at", "created_at", "quote", "created_at", "relation" };
        Complaints complaints;
        BgFeedReader *reader = open_text("model,child,created_at,relation\n"
                                         "no-slash,u/c,2024-01-01,\n"
                                         "org/m,u/c/d,2024-01-01,\n"
                                         "org/m,u/c,yesterday,\n"
                                         "org/m,u/c,1999-01-01,\n"
                                         "org/m,\"u/c,2024-01-01,\n"
                                         "org/m,u/c\n"
                                         "org/m,u/c,2024-01-01,cousin\n"
                                         "org/m,u/c,2024-01-01,\n", &complaints);
        BgEvent event;

        (void)state;
        assert_int_equal(bg_feed_reader_next(reader, &event), 0);
        assert_int_equal(bg_feed_reader_line(reader), 9);
        assert_int_equal(bg_feed_reader_next(reader, &event), BG_FEED_E_END);
        assert_int_equal(complaints.n, 7);
        assert_int_equal(bg_feed_reader_n_bad(reader), 7);
        for (int i = 0; i < 7; i++) {
                assert_int_equal(complaints.lines[i], i + 2);
                assert_non_null(strstr(complaints.what[i], expected[i]));
        }
        bg_feed_reader_close(reader);
}

static void takes_no_count_that_is_none(void **state)
{
        Complaints complaints;
        BgFeedReader *reader = open_text("model,from,to,count\n"
                                         "org/m,2024-01-01,2024-02-01,-1\n"
                                         "org/m,2024-01-01,2024-02-01,1.5\n"
                                         "org/m,2024-01-01,2024-02-01,99999999999999999999\n"
                                         "org/m,2024-01-01,2024-02-01,\n"
                                         "org/m,2024-02-01,2024-02-01,5\n", &complaints);
        BgEvent event;

        (void)state;
        assert_int_equal(bg_feed_reader_next(reader, &event), BG_FEED_E_END);
        assert_int_equal(complaints.n, 5);
        bg_feed_reader_close(reader);
}

static void reads_json_lines(void **state)
{
        Complaints complaints;
        BgFeedReader *reader = open_text("{\"t\":\"add\",\"model\":\"org/m\",\"child\":\"u/c\",\"at\":\"2024-01-01T00:00:00Z\"}\n"
                                         "{\"t\":\"add\",\"model\":\"org/m\"}\n"
                                         "nonsense\n"
                                         "{\"t\":\"remove\",\"model\":\"org/m\",\"child\":\"u/c\",\"at\":1704067200000000}\n", &complaints);
        BgEvent event;

        (void)state;
        assert_int_equal(bg_feed_reader_next(reader, &event), 0);
        assert_int_equal(event.type, BG_EVENT_ADD);
        assert_int_equal(event.at, time_of("2024-01-01"));
        assert_int_equal(bg_feed_reader_next(reader, &event), 0);
        assert_int_equal(event.type, BG_EVENT_REMOVE);
        assert_int_equal(event.at, time_of("2024-01-01"));
        assert_int_equal(complaints.n, 2);
        assert_int_equal(complaints.lines[0], 2);
        bg_feed_reader_close(reader);
}

static void says_what_is_no_file_of_events(void **state)
{
        Complaints complaints = { 0 };
        BgFeedReader *reader;

        (void)state;
        assert_int_equal(bg_feed_reader_open(&reader, path_of("absent"), complain, &complaints), -ENOENT);
        assert_int_equal(bg_feed_reader_open(&reader, directory, complain, &complaints), -EISDIR);
        assert_int_equal(bg_feed_reader_open(&reader, write_file("file", "", 0), complain, &complaints), BG_FEED_E_UNUSABLE);
        assert_non_null(strstr(complaints.what[0], "empty"));
        assert_int_equal(bg_feed_reader_open(&reader, write_file("file", "a,b\n1,2\n", 8), complain, &complaints), BG_FEED_E_UNUSABLE);
        assert_int_equal(complaints.n, 2);
}

static void skips_a_line_without_end(void **state)
{
        size_t n = 300000;
        char *text = malloc(n + 200);
        Complaints complaints;
        BgFeedReader *reader;
        BgEvent event;
        int len = sprintf(text, "model,child,created_at\norg/m,u/");

        (void)state;
        memset(text + len, 'x', n);
        strcpy(text + len + n, ",2024-01-01\norg/m,u/c,2024-01-01\n");
        reader = open_text(text, &complaints);
        assert_int_equal(bg_feed_reader_next(reader, &event), 0);
        assert_true(same(event.child, "u/c"));
        assert_int_equal(bg_feed_reader_line(reader), 3);
        assert_int_equal(complaints.n, 1);
        assert_int_equal(complaints.lines[0], 2);
        bg_feed_reader_close(reader);
        free(text);
}

static void reads_gzip_and_tells_when_it_is_cut(void **state)
{
        enum { N = 5000 };
        char line[100], bytes[200000];
        Complaints complaints = { 0 };
        BgFeedReader *reader;
        BgEvent event;
        int n_events = 0, n;
        gzFile file = gzopen(path_of("events.csv.gz"), "wb");
        FILE *raw;
        size_t size;

        (void)state;
        gzputs(file, "model,child,created_at\n");
        for (int i = 0; i < N; i++) {
                n = snprintf(line, sizeof(line), "org/m,u%d/c-%d,2024-01-01\n", i * 7919 % 1009, i);
                assert_int_equal(gzwrite(file, line, (unsigned)n), n);
        }
        gzclose(file);
        assert_int_equal(bg_feed_reader_open(&reader, path_of("events.csv.gz"), complain, &complaints), 0);
        while (!bg_feed_reader_next(reader, &event))
                n_events++;
        assert_int_equal(n_events, N);
        assert_true(bg_feed_reader_progress(reader) > 0.99);
        assert_int_equal(complaints.n, 0);
        bg_feed_reader_close(reader);

        raw = fopen(path_of("events.csv.gz"), "rb");
        size = fread(bytes, 1, sizeof(bytes), raw);
        fclose(raw);
        assert_int_equal(bg_feed_reader_open(&reader, write_file("cut.gz", bytes, size / 2), complain, &complaints), 0);
        for (n_events = 0; !bg_feed_reader_next(reader, &event);)
                n_events++;
        assert_true(n_events > 0 && n_events < N);
        assert_int_equal(complaints.n, 1);
        assert_non_null(strstr(complaints.what[0], "damaged"));
        bg_feed_reader_close(reader);
}

static void merges_in_time_order(void **state)
{
        static const char adds[] = "model,child,created_at\norg/a,u/3,2024-01-03\norg/a,u/1,2024-01-01\norg/a,u/2b,2024-01-02\n"
                                   "org/a,u/2a,2024-01-02\nbad\n"; /* not in order */
        static const char releases[] = "model,released_at\norg/a,2024-01-01\norg/b,2024-01-02\n";
        static const char tallies[] = "model,from,to,count\norg/b,2023-12-01,2024-01-02,5\n";
        static const struct {
                BgEventType type;
                const char *child;
        } expected[] = { { BG_EVENT_RELEASE, "" }, { BG_EVENT_ADD, "u/1" }, { BG_EVENT_RELEASE, "" }, { BG_EVENT_TALLY, "" },
                         { BG_EVENT_ADD, "u/2b" }, { BG_EVENT_ADD, "u/2a" }, { BG_EVENT_ADD, "u/3" } };
        const char *paths[] = { write_file("1", adds, sizeof(adds) - 1), write_file("2", releases, sizeof(releases) - 1),
                                write_file("3", tallies, sizeof(tallies) - 1) };
        Complaints complaints = { 0 };
        int64_t first, last;
        BgFeedMerge *merge;
        BgEvent event;

        (void)state;
        assert_int_equal(bg_feed_merge_open(&merge, paths, 3, complain, &complaints), 0);
        assert_int_equal(bg_feed_merge_n_events(merge), 7);
        assert_int_equal(bg_feed_merge_n_bad(merge), 1);
        assert_int_equal(complaints.n, 1); /* said once, though the file is read twice */
        bg_feed_merge_span(merge, &first, &last);
        assert_int_equal(first, time_of("2024-01-01"));
        assert_int_equal(last, time_of("2024-01-03"));
        for (size_t i = 0; i < 7; i++) {
                assert_int_equal(bg_feed_merge_next(merge, &event), 0);
                assert_int_equal(event.type, expected[i].type);
                assert_true(same(event.child, expected[i].child));
        }
        assert_int_equal(bg_feed_merge_next(merge, &event), BG_FEED_E_END);
        assert_int_equal(bg_feed_merge_next(merge, &event), BG_FEED_E_END);
        bg_feed_merge_close(merge);
}

static int set_up(void **state)
{
        (void)state;
        return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
        static const char *const names[] = { "file", "events.csv.gz", "cut.gz", "1", "2", "3" };

        (void)state;
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                unlink(path_of(names[i]));
        return rmdir(directory);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(splits_csv),
                cmocka_unit_test(reads_adds_in_any_column_order),
                cmocka_unit_test(reads_tallies_and_releases),
                cmocka_unit_test(reports_bad_lines_by_number_and_goes_on),
                cmocka_unit_test(takes_no_count_that_is_none),
                cmocka_unit_test(reads_json_lines),
                cmocka_unit_test(says_what_is_no_file_of_events),
                cmocka_unit_test(skips_a_line_without_end),
                cmocka_unit_test(reads_gzip_and_tells_when_it_is_cut),
                cmocka_unit_test(merges_in_time_order),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
