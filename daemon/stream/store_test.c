/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What goes in comes out, in order and once; what is not ours is refused and left alone; a failure is reported, never hidden. */

#include "daemon/stream/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <sqlite3.h>

#include "daemon/stream/event_bytes.h"
#include "daemon/stream/store_db.h"

#define RECEIVED INT64_C(1750000000123456)

static BgStore *open_ok(const char *path, BgStoreReceipt *receipt)
{
        BgStoreSpec spec = { path, BG_DURABILITY_PROCESS };
        BgStoreReceipt dummy;
        BgStore *store = NULL;
        char why[300] = "";

        int r = bg_store_open(&store, &spec, receipt ? receipt : &dummy, why, sizeof(why));
        if (r)
                fail_msg("open: %d %s", r, why);
        return store;
}

static void open_refused(const char *path, const char *expected)
{
        BgStoreSpec spec = { path, BG_DURABILITY_PROCESS };
        BgStoreReceipt receipt;
        BgStore *store = (BgStore *)&spec;
        char why[300] = "";

        assert_int_equal(bg_store_open(&store, &spec, &receipt, why, sizeof(why)), BG_STORE_E_UNUSABLE);
        assert_null(store);
        if (!strstr(why, expected))
                fail_msg("expected \"%s\" in \"%s\"", expected, why);
        assert_non_null(strstr(why, path));
}

/* ---- numbered groups: group g (from 1) has 1 + g % 7 events, whose child's name tells group and index -------------------------
 */

static int group_events(int g)
{
        return 1 + g % 7;
}

static void append_group(BgStore *store, int g)
{
        char child[64];

        for (int i = 0; i < group_events(g); i++) {
                int n = snprintf(child, sizeof(child), "g/%d.%d", g, i);
                BgEvent event = {
                        .type = BG_EVENT_ADD, .model = BG_STR("org/model"), .child = { child, (size_t)n }, .at = BG_TIME_MIN + g
                };
                assert_int_equal(bg_store_append(store, &event, RECEIVED), 0);
        }
        BgStoreSource source = { BG_STR("feed"), g, 0, RECEIVED };
        assert_int_equal(bg_store_put_source(store, &source), 0);
}

typedef struct Groups {
        int g, i; /* what is expected next */
} Groups;

static int expect_next(void *data, int64_t log, const BgEvent *event)
{
        Groups *groups = data;
        char child[64];

        (void)log;
        int n = snprintf(child, sizeof(child), "g/%d.%d", groups->g, groups->i);
        testing_assert_text(event->child, (BgStr){ child, (size_t)n });
        if (++groups->i == group_events(groups->g)) {
                groups->g++;
                groups->i = 0;
        }
        return 0;
}

static int expect_source(void *data, const BgStoreSource *source)
{
        testing_assert_text(source->source, BG_STR("feed"));
        assert_int_equal(source->seq, *(int *)data);
        return 0;
}

/* Whole groups 1 .. n, each once, and the cursor at n. */
static int count_groups(BgStore *store)
{
        Groups groups = { 1, 0 };

        assert_int_equal(bg_store_read_log(store, expect_next, &groups), 0);
        assert_int_equal(groups.i, 0);
        int last = groups.g - 1;
        assert_int_equal(bg_store_read_sources(store, expect_source, &last), 0);
        return last;
}

/* ---- in and out ------------------------------------------------------------------------------------------------------------ */

typedef struct Expected {
        BgArena arena;
        BgEvent *events;
        size_t n, next;
} Expected;

static int expect_event(void *data, int64_t log, const BgEvent *event)
{
        Expected *expected = data;

        assert_true(expected->next < expected->n);
        assert_int_equal(log, expected->next + 1);
        testing_assert_event(event, &expected->events[expected->next++]);
        return 0;
}

static int stop_at_3(void *data, int64_t log, const BgEvent *event)
{
        (void)data;
        (void)event;
        return log == 3 ? 42 : 0;
}

static void test_round_trip(void **state)
{
        enum { N = 20000 };
        Expected expected = { .n = N };
        BgStoreReceipt first, second;
        char path[512];

        testing_path(state, "store.db", path);
        expected.events = calloc(N, sizeof(BgEvent));
        BgStore *store = open_ok(path, &first);
        assert_true(first.created);
        assert_int_equal(first.epoch, 1);
        assert_int_equal(first.n_events, 0);
        for (size_t i = 0; i < N; i++) {
                expected.events[i] = testing_event(&expected.arena);
                assert_int_equal(bg_store_append(store, &expected.events[i], RECEIVED + (int64_t)i * 1000), 0);
                if (testing_between(0, 99) == 0)
                        assert_int_equal(bg_store_commit(store, NULL, NULL), 0);
        }
        size_t open_rows = bg_store_group_size(store);
        assert_int_equal(bg_store_commit(store, NULL, NULL), 0);
        assert_int_equal(bg_store_group_size(store), 0);
        assert_true(open_rows < N);
        assert_int_equal(bg_store_read_log(store, expect_event, &expected), 0);
        assert_int_equal(expected.next, N);
        assert_int_equal(bg_store_groups_pending(store), 0);
        assert_int_equal(bg_store_read_log(store, stop_at_3, NULL), 42);

        /* an event that is only in the open group is committed by the close */
        BgEvent last = { .type = BG_EVENT_RELEASE, .model = BG_STR("org/last"), .at = BG_TIME_MAX };
        assert_int_equal(bg_store_append(store, &last, RECEIVED), 0);
        assert_int_equal(bg_store_close(store), 0);
        expected.events = realloc(expected.events, (N + 1) * sizeof(BgEvent));
        expected.events[N] = last;
        expected.n++;

        store = open_ok(path, &second);
        assert_false(second.created);
        assert_true(second.clean);
        assert_int_equal(second.epoch, 2);
        assert_int_equal(second.n_events, N + 1);
        assert_int_equal(second.last_log, N + 1);
        assert_memory_equal(first.hash_key, second.hash_key, 16);
        expected.next = 0;
        assert_int_equal(bg_store_read_log(store, expect_event, &expected), 0);
        assert_int_equal(expected.next, N + 1);
        /* known names keep their numbers over a restart */
        assert_int_equal(bg_store_append(store, &expected.events[0], RECEIVED), 0);
        assert_int_equal(bg_store_commit(store, NULL, NULL), 0);
        assert_int_equal(bg_store_close(store), 0);

        free(expected.events);
        bg_arena_deinit(&expected.arena);
}

static int expect_sources(void *data, const BgStoreSource *source)
{
        int *n = data;
        static const BgStoreSource expected[] = {
                { { "a", 1 }, 7, INT64_C(1700000000000001), RECEIVED },
                { { "b\xc3\xa9", 3 }, INT64_MAX, 0, RECEIVED + 1 },
        };

        assert_in_range(*n, 0, 1);
        testing_assert_text(source->source, expected[*n].source);
        assert_int_equal(source->seq, expected[*n].seq);
        assert_int_equal(source->watermark, expected[*n].watermark);
        assert_int_equal(source->batch_at, expected[*n].batch_at);
        ++*n;
        return 0;
}

static void same_double(double a, double b)
{
        assert_true(isnan(a) ? isnan(b) : a == b);
}

static const BgStoreSeries series_out[] = {
        { .model = { "org/a", 5 },
          .relation = BG_RELATION_FINETUNE,
          .rev = 3,
          .theta = { 1.5, -2.25, 1e-300 },
          .spread = { 1, 0.1, 2, 0.3, 1.0 / 3, 4 },
          .dispersion = 5,
          .objective = -1e9,
          .fit_status = 2,
          .moved = 0.75,
          .trained_at = RECEIVED,
          .due = RECEIVED + 1,
          .contributed = true,
          .contribution = { 1, 2, 3, -4, 1e-300, 6, 7, 8, 0.1 },
          .added = UINT32_MAX,
          .removed = 2,
          .late = 3,
          .tallied = INT64_MIN,
          .flags = 15,
          .issued = { "\x00\xff msgpack\x00", 11 },
          .extra = { "x", 1 } },
        { .model = { "org/a", 5 },
          .relation = BG_RELATION_DOWNLOAD,
          .rev = 1,
          .theta = { NAN, INFINITY, -0.0 },
          .spread = { NAN, NAN, NAN, NAN, NAN, NAN },
          .dispersion = NAN,
          .objective = NAN,
          .fit_status = 0 },
        { .model = { "org/b", 5 }, .relation = BG_RELATION_MERGE, .rev = INT64_MAX, .issued = { "y", 1 } },
};

static int expect_series(void *data, const BgStoreSeries *series)
{
        int *n = data;

        assert_in_range(*n, 0, 2);
        const BgStoreSeries *e = &series_out[(*n)++];
        testing_assert_text(series->model, e->model);
        assert_int_equal(series->relation, e->relation);
        assert_int_equal(series->rev, e->rev);
        for (int i = 0; i < 3; i++)
                same_double(series->theta[i], e->theta[i]);
        for (int i = 0; i < 6; i++)
                same_double(series->spread[i], e->spread[i]);
        same_double(series->dispersion, e->dispersion);
        same_double(series->objective, e->objective);
        assert_int_equal(series->fit_status, e->fit_status);
        same_double(series->moved, e->moved);
        assert_int_equal(series->trained_at, e->trained_at);
        assert_int_equal(series->due, e->due);
        assert_int_equal(series->contributed, e->contributed);
        for (int i = 0; i < 9; i++)
                same_double(series->contribution[i], e->contribution[i]);
        assert_int_equal(series->added, e->added);
        assert_int_equal(series->removed, e->removed);
        assert_int_equal(series->late, e->late);
        assert_int_equal(series->tallied, e->tallied);
        assert_int_equal(series->flags, e->flags);
        testing_assert_text(series->issued, e->issued);
        testing_assert_text(series->extra, e->extra);
        return 0;
}

static int expect_learned(void *data, BgStr name, BgStr bytes)
{
        static const char *const names[] = { "a", "b/01", "b/02" };
        int *n = data;

        assert_in_range(*n, 0, 2);
        testing_assert_text(name, bg_str(names[*n]));
        testing_assert_text(bytes, *n == 0 ? (BgStr){ "\x00z\x00", 3 } : BG_STR("new"));
        ++*n;
        return 0;
}

static void test_learned(void **state)
{
        char path[512];
        int n = 0;

        testing_path(state, "store.db", path);
        BgStore *store = open_ok(path, NULL);
        assert_int_equal(bg_store_read_learned(store, expect_learned, &n), 0);
        assert_int_equal(n, 0);
        assert_int_equal(bg_store_put_learned(store, BG_STR("b/02"), BG_STR("new")), 0);
        assert_int_equal(bg_store_put_learned(store, BG_STR("b/01"), BG_STR("old")), 0);
        assert_int_equal(bg_store_put_learned(store, BG_STR("a"), (BgStr){ "\x00z\x00", 3 }), 0);
        assert_int_equal(bg_store_put_learned(store, BG_STR("gone"), BG_STR("x")), 0);
        assert_int_equal(bg_store_commit(store, NULL, NULL), 0);
        assert_int_equal(bg_store_put_learned(store, BG_STR("b/01"), BG_STR("new")), 0);
        assert_int_equal(bg_store_put_learned(store, BG_STR("gone"), (BgStr){ NULL, 0 }), 0);
        assert_int_equal(bg_store_put_learned(store, BG_STR("never was"), (BgStr){ NULL, 0 }), 0);
        assert_int_equal(bg_store_close(store), 0);

        store = open_ok(path, NULL);
        assert_int_equal(bg_store_read_learned(store, expect_learned, &n), 0);
        assert_int_equal(n, 3);
        assert_int_equal(bg_store_close(store), 0);
}

static void test_state(void **state)
{
        char path[512];
        int n = 0;

        testing_path(state, "store.db", path);
        BgStore *store = open_ok(path, NULL);
        assert_int_equal(bg_store_put_source(store, &(BgStoreSource){ BG_STR("b\xc3\xa9"), 1, 2, 3 }), 0);
        assert_int_equal(bg_store_put_source(store, &(BgStoreSource){ BG_STR("b\xc3\xa9"), INT64_MAX, 0, RECEIVED + 1 }), 0);
        assert_int_equal(bg_store_put_source(store, &(BgStoreSource){ BG_STR("a"), 7, INT64_C(1700000000000001), RECEIVED }), 0);
        BgStoreSeries old = series_out[2];
        old.rev = 1;
        assert_int_equal(bg_store_put_series(store, &series_out[0]), 0);
        assert_int_equal(bg_store_put_series(store, &old), 0);
        assert_int_equal(bg_store_commit(store, NULL, NULL), 0);
        assert_int_equal(bg_store_put_series(store, &series_out[2]), 0); /* replaces */
        assert_int_equal(bg_store_put_series(store, &series_out[1]), 0);
        assert_int_equal(bg_store_close(store), 0);

        store = open_ok(path, NULL);
        assert_int_equal(bg_store_read_sources(store, expect_sources, &n), 0);
        assert_int_equal(n, 2);
        n = 0;
        assert_int_equal(bg_store_read_series(store, expect_series, &n), 0);
        assert_int_equal(n, 3);
        assert_int_equal(bg_store_close(store), 0);
        assert_int_equal(bg_store_close(NULL), 0);
}

static sqlite3 *person(const char *path)
{
        sqlite3 *db;

        assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
        return db;
}

/* The only row and column of a query, as text. */
static void ask(sqlite3 *db, const char *sql, const char *expected)
{
        sqlite3_stmt *stmt;

        if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
                fail_msg("%s: %s", sql, sqlite3_errmsg(db));
        assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
        const char *text = (const char *)sqlite3_column_text(stmt, 0);
        assert_string_equal(text ? text : "NULL", expected);
        assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
        sqlite3_finalize(stmt);
}

static void test_people_can_read(void **state)
{
        char path[512];
        BgEvent add = { .type = BG_EVENT_ADD,
                        .model = BG_STR("org/a"),
                        .child = BG_STR("me/x"),
                        .at = INT64_C(1738368000500000),
                        .relation = BG_RELATION_ADAPTER };
        BgEvent tally = { .type = BG_EVENT_TALLY,
                          .model = BG_STR("org/a"),
                          .from = INT64_C(1738368000000000),
                          .to = INT64_C(1740787200000000),
                          .count = 12 };
        BgEvent move = { .type = BG_EVENT_MOVE,
                         .from_name = BG_STR("me/x"),
                         .to_name = BG_STR("me/y"),
                         .model = BG_STR("org/a"),
                         .to_model = BG_STR("org/b"),
                         .at = INT64_C(1740787200000000) };

        testing_path(state, "store.db", path);
        BgStore *store = open_ok(path, NULL);
        assert_int_equal(bg_store_append(store, &add, RECEIVED), 0);
        assert_int_equal(bg_store_append(store, &tally, RECEIVED), 0);
        assert_int_equal(bg_store_append(store, &move, RECEIVED + 5000000), 0);
        assert_int_equal(bg_store_put_series(store, &series_out[0]), 0);
        assert_int_equal(bg_store_put_source(store, &(BgStoreSource){ BG_STR("feed"), 7, 0, RECEIVED }), 0);
        assert_int_equal(
                bg_store_append_rejected(store, BG_STR("feed"), 7, 3, BG_REJECT_FUTURE, BG_STR("at"), BG_STR("{}"), RECEIVED), 0);
        assert_int_equal(bg_store_commit(store, NULL, NULL), 0);
        bg_store_wait(store);

        sqlite3 *db = person(path); /* while the daemon has it open */
        ask(db,
            "SELECT concat FROM (SELECT group_concat(log || ' ' || kind || ' ' || at || ' ' || coalesce(model, '-'), '; ') AS "
            "concat"
            " FROM (SELECT * FROM event_text ORDER BY log))",
            "1 add 2025-02-01T00:00:00.500000Z org/a; 2 tally 2025-03-01T00:00:00Z org/a; 3 move 2025-03-01T00:00:00Z org/a");
        ask(db, "SELECT child || ' ' || relation || ' ' || received_at FROM event_text WHERE log = 1",
            "me/x adapter 2025-06-15T15:06:40Z");
        ask(db, "SELECT since || ' ' || count || ' ' || relation FROM event_text WHERE log = 2",
            "2025-02-01T00:00:00Z 12 finetune");
        ask(db, "SELECT to_name || ' ' || to_model || ' ' || received_at FROM event_text WHERE log = 3",
            "me/y org/b 2025-06-15T15:06:45Z");
        ask(db, "SELECT relation FROM event_text WHERE log = 3", "NULL");
        ask(db, "SELECT model || ' ' || relation || ' ' || rev FROM series_text", "org/a finetune 3");
        ask(db, "SELECT name || ' ' || seq || ' ' || coalesce(watermark, '-') || ' ' || batch_at FROM source_text",
            "feed 7 - 2025-06-15T15:06:40.123456Z");
        ask(db,
            "SELECT source || ' ' || seq || ' ' || position || ' ' || reason || ' ' || detail || ' ' || event FROM rejected_text",
            "feed 7 3 future at {}");
        ask(db, "SELECT value FROM meta WHERE key = 'clean'", "0");
        ask(db, "PRAGMA integrity_check", "ok");

        /* someone's write transaction is waited for */
        assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(bg_store_append(store, &add, RECEIVED), 0);
        assert_int_equal(bg_store_commit(store, NULL, NULL), 0);
        assert_int_equal(bg_store_groups_pending(store), 1);
        assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
        bg_store_wait(store);
        ask(db, "SELECT count(*) FROM event", "4");
        sqlite3_close(db);
        assert_int_equal(bg_store_close(store), 0);
}

static void test_dead_letters_are_bounded(void **state)
{
        enum { MORE = 123 };
        char path[512], number[32], big[3 * BG_STORE_REJECTED_BYTES_MAX];

        testing_path(state, "store.db", path);
        BgStore *store = open_ok(path, NULL);
        for (int i = 0; i < BG_STORE_REJECTED_MAX + MORE; i++) {
                assert_int_equal(
                        bg_store_append_rejected(store, BG_STR("s"), i, 0, BG_REJECT_NAME, (BgStr){ 0 }, BG_STR("{}"), RECEIVED),
                        0);
                if (i % 20000 == 0)
                        assert_int_equal(bg_store_commit(store, NULL, NULL), 0);
        }
        assert_int_equal(bg_store_close(store), 0);

        /* a torn character at the cut is dropped whole: the text before it begins one byte off the characters' width */
        store = open_ok(path, NULL);
        for (size_t i = 0; i + 2 < sizeof(big); i += 3)
                memcpy(big + i, "\xe2\x82\xac", 3);
        memmove(big + 1, big, sizeof(big) - 1);
        big[0] = '"';
        assert_int_equal(bg_store_append_rejected(store, BG_STR("s"), 0, 0, BG_REJECT_MALFORMED, (BgStr){ 0 },
                                                  (BgStr){ big, sizeof(big) }, RECEIVED),
                         0);
        assert_int_equal(bg_store_close(store), 0);

        sqlite3 *db = person(path);
        snprintf(number, sizeof(number), "%d", BG_STORE_REJECTED_MAX);
        ask(db, "SELECT count(*) FROM rejected", number);
        snprintf(number, sizeof(number), "%d", MORE + 1);
        ask(db, "SELECT min(id) - 1 FROM rejected", number); /* so many are gone */
        snprintf(number, sizeof(number), "%d", (BG_STORE_REJECTED_BYTES_MAX - 1) / 3 * 3 + 1);
        ask(db, "SELECT length(CAST(event AS BLOB)) FROM rejected ORDER BY id DESC LIMIT 1", number);
        snprintf(number, sizeof(number), "%d", (int)sizeof(big));
        ask(db, "SELECT n_bytes FROM rejected ORDER BY id DESC LIMIT 1", number);
        sqlite3_close(db);
}

typedef struct Order {
        int next;
        int failed;
        int result;
} Order;

static _Atomic(Order *) order;

static void done_in_order(void *data, int result)
{
        Order *o = order;

        if ((int)(intptr_t)data != o->next++)
                o->failed++;
        o->result = result;
}

static void test_groups_are_reported_in_order(void **state)
{
        enum { N = 500 };
        Order o = { .next = 1 };
        char path[512];

        testing_path(state, "store.db", path);
        order = &o;
        BgStore *store = open_ok(path, NULL);
        for (int g = 1; g <= N; g++) {
                append_group(store, g);
                assert_int_equal(bg_store_commit(store, done_in_order, (void *)(intptr_t)g), 0);
        }
        assert_int_equal(bg_store_commit(store, done_in_order, (void *)(intptr_t)(N + 1)), 0); /* empty: a barrier */
        bg_store_wait(store);
        assert_int_equal(o.next, N + 2);
        assert_int_equal(o.failed, 0);
        assert_int_equal(o.result, 0);
        assert_int_equal(count_groups(store), N);
        assert_int_equal(bg_store_close(store), 0);
}

/* ---- what is refused ------------------------------------------------------------------------------------------------------- */

static void test_second_open_is_refused(void **state)
{
        char path[512];

        testing_path(state, "store.db", path);
        BgStore *store = open_ok(path, NULL);
        append_group(store, 1);
        assert_int_equal(bg_store_commit(store, NULL, NULL), 0);
        open_refused(path, "another burgeond has it open");
        append_group(store, 2);
        assert_int_equal(bg_store_commit(store, NULL, NULL), 0);
        open_refused(path, "another burgeond has it open");
        assert_int_equal(bg_store_close(store), 0);
        store = open_ok(path, NULL);
        assert_int_equal(count_groups(store), 2);
        assert_int_equal(bg_store_close(store), 0);
}

/* Refused, and not a byte of it changed. */
static void refused_untouched(const char *path, const char *expected)
{
        size_t n_before, n_after;

        char *before = testing_read_file(path, &n_before);
        open_refused(path, expected);
        char *after = testing_read_file(path, &n_after);
        assert_int_equal(n_before, n_after);
        assert_memory_equal(before, after, n_before);
        free(before);
        free(after);
}

static void test_what_is_not_ours_is_refused(void **state)
{
        char path[512], junk[10000];

        testing_path(state, "notes.txt", path);
        testing_write_file(path, "model,child\n", 12);
        refused_untouched(path, "not a database");
        for (size_t i = 0; i < sizeof(junk); i++)
                junk[i] = (char)testing_random();
        testing_write_file(path, junk, sizeof(junk));
        refused_untouched(path, "not a database");

        testing_path(state, "other.db", path);
        sqlite3 *db;
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, "CREATE TABLE t(x); INSERT INTO t VALUES(1)", NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        refused_untouched(path, "not burgeon's");

        testing_path(state, "newer.db", path);
        bg_store_close(open_ok(path, NULL));
        db = person(path);
        assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        refused_untouched(path, "newer burgeon (format 99");

        testing_path(state, "missing/store.db", path);
        open_refused(path, "No such file or directory");
        open_refused((char *)*state, "Is a directory");
        testing_path(state, "fifo", path);
        assert_int_equal(mkfifo(path, 0600), 0);
        open_refused(path, "not a regular file");
        open_refused("/dev/null", "not a regular file");
}

static void test_odd_paths_are_files(void **state)
{
        static const char *const names[] = { ":memory:", "file:x?mode=memory", "a b'c\"d%41", "-x" };
        char before[512];

        assert_non_null(getcwd(before, sizeof(before)));
        assert_int_equal(chdir((char *)*state), 0);
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                BgStoreReceipt receipt;
                bg_store_close(open_ok(names[i], NULL));
                assert_int_equal(bg_store_close(open_ok(names[i], &receipt)), 0);
                assert_false(receipt.created);
                assert_int_equal(access(names[i], F_OK), 0);
        }
        assert_int_equal(chdir(before), 0);
}

/* As somebody who may not write there: root may everywhere. */
static void test_read_only_directory(void **state)
{
        char path[512], existing[512], why[300] = "";
        BgStoreReceipt receipt;
        BgStore *store;
        int status;

        testing_path(state, "new.db", path);
        testing_path(state, "existing.db", existing);
        bg_store_close(open_ok(existing, NULL));
        assert_int_equal(chmod(existing, 0644), 0);
        assert_int_equal(chmod((char *)*state, 0555), 0);
        pid_t pid = fork();
        if (pid == 0) {
                if (geteuid() == 0 && (setgid(65534) || setuid(65534)))
                        _exit(77);
                int a = bg_store_open(&store, &(BgStoreSpec){ path, 0 }, &receipt, why, sizeof(why));
                bool named = strstr(why, "Permission denied") != NULL;
                int b = bg_store_open(&store, &(BgStoreSpec){ existing, 0 }, &receipt, why, sizeof(why));
                _exit(a == BG_STORE_E_UNUSABLE && b == BG_STORE_E_UNUSABLE && named && why[0] ? 0 : 1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(chmod((char *)*state, 0755), 0);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- damage ---------------------------------------------------------------------------------------------------------------- */

static int ignore_event(void *data, int64_t log, const BgEvent *event)
{
        (void)log;
        assert_true(event->type > BG_EVENT_NONE && event->type < BG_EVENT_N);
        ++*(int64_t *)data;
        return 0;
}

static int ignore_source(void *data, const BgStoreSource *source)
{
        (void)data;
        (void)source;
        return 0;
}

static int ignore_series(void *data, const BgStoreSeries *series)
{
        (void)data;
        (void)series;
        return 0;
}

/* Use a file as the daemon would. Return: true when it looked whole. */
static bool use(const char *path, int64_t *n_eventsp)
{
        BgStoreReceipt receipt;
        char why[300] = "";
        BgStore *store;

        *n_eventsp = 0;
        int r = bg_store_open(&store, &(BgStoreSpec){ path, 0 }, &receipt, why, sizeof(why));
        if (r) {
                assert_int_equal(r, BG_STORE_E_UNUSABLE);
                assert_true(why[0] != '\0');
                return false;
        }
        const char *what;
        bool whole = !bg_store_read_log(store, ignore_event, n_eventsp) && !bg_store_read_sources(store, ignore_source, NULL) &&
                     !bg_store_read_series(store, ignore_series, NULL);
        assert_true(!whole || *n_eventsp == receipt.n_events);
        assert_int_equal(bg_store_error(store, &what), 0);
        assert_true(whole == !what[0]); /* a failure says what it was */
        append_group(store, 1);
        bg_store_commit(store, NULL, NULL);
        bg_store_close(store);
        return whole;
}

static void test_damage_is_met(void **state)
{
        enum { N = 3000, ROUNDS = 150 };
        char path[512], copy[512], wal[520];
        BgArena arena = { 0 };
        int64_t n_events;
        size_t n;
        int n_refused = 0;

        testing_path(state, "store.db", path);
        testing_path(state, "copy.db", copy);
        snprintf(wal, sizeof(wal), "%s-wal", copy);
        BgStore *store = open_ok(path, NULL);
        for (int i = 0; i < N; i++) {
                BgEvent event = testing_event(&arena);
                assert_int_equal(bg_store_append(store, &event, RECEIVED), 0);
        }
        for (int i = 0; i < 3; i++)
                assert_int_equal(bg_store_put_series(store, &series_out[i]), 0);
        assert_int_equal(bg_store_close(store), 0);
        bg_arena_deinit(&arena);
        char *bytes = testing_read_file(path, &n);

        for (int i = 0; i < ROUNDS; i++) {
                /* cut off anywhere: never taken for whole */
                size_t cut = (size_t)testing_between(1, (int64_t)n - 1);
                unlink(wal);
                testing_write_file(copy, bytes, cut);
                if (use(copy, &n_events))
                        fail_msg("cut at %zu of %zu: taken for whole with %lld events", cut, n, (long long)n_events);

                /* scribbled over: refused, or used without harm */
                char *spoilt = malloc(n);
                memcpy(spoilt, bytes, n);
                for (int64_t flips = testing_between(1, 40); flips > 0; flips--)
                        spoilt[testing_between(0, testing_between(0, 1) ? 4095 : (int64_t)n - 1)] = (char)testing_random();
                unlink(wal);
                testing_write_file(copy, spoilt, n);
                n_refused += !use(copy, &n_events);
                free(spoilt);
        }
        free(bytes);
        assert_true(n_refused > 0);
}

/* Rows that a person could write, and that the daemon must not believe. */
static void test_impossible_rows_are_met(void **state)
{
        static const char *const spoilers[] = {
                "UPDATE event SET kind = 9 WHERE log = 2",
                "UPDATE event SET kind = 0 WHERE log = 2",
                "UPDATE event SET kind = 2000000000 * 4 + 1 WHERE log = 2",
                "UPDATE event SET relation = 16 WHERE log = 2",
                "UPDATE event SET at = 0 WHERE log = 2",
                "UPDATE event SET model = 7 WHERE log = 2",
                "UPDATE event SET model = NULL WHERE log = 2",
                "UPDATE event SET model = -1 WHERE log = 2",
                "UPDATE event SET child = NULL WHERE log = 2",
                "UPDATE event SET child = 'no name' WHERE log = 2",
                "UPDATE event SET kind = 3, model = 1 WHERE log = 2",
                "UPDATE event SET kind = 4, since = at WHERE log = 2",
                "UPDATE event SET kind = 4, since = at - 1, count = -1 WHERE log = 2",
                "DELETE FROM event WHERE log = 2",
                "DELETE FROM event WHERE log = 1",
                "INSERT INTO event(log, kind, relation, at) VALUES(0, 6, 0, 1700000000000000)",
                "INSERT INTO event(log, kind, relation, at, child) VALUES(50, 6, 0, 1700000000000000, 'late')",
                "UPDATE model SET name = 'x' || char(10) WHERE id = 1",
                "UPDATE model SET id = 5 WHERE id = 1",
                "UPDATE meta SET value = 'x' WHERE key = 'epoch'",
                "UPDATE meta SET value = x'00' WHERE key = 'hash_key'",
                "UPDATE source SET seq = -1",
                "INSERT INTO series(id, rev, fit_status) VALUES(4711, 1, 1)",
                "INSERT INTO series(id, rev, fit_status) VALUES(31, 1, 1)",
                "DROP TABLE source",
                "DROP TABLE event",
                "ALTER TABLE event DROP COLUMN count",
        };
        char path[512];
        int64_t n_events;

        for (size_t i = 0; i < sizeof(spoilers) / sizeof(spoilers[0]); i++) {
                testing_path(state, "store.db", path);
                unlink(path);
                BgStore *store = open_ok(path, NULL);
                append_group(store, 6);
                assert_int_equal(bg_store_close(store), 0);
                assert_true(use(path, &n_events));

                sqlite3 *db = person(path);
                sqlite3_exec(db, "DROP VIEW event_text; DROP VIEW source_text", NULL, NULL, NULL);
                if (sqlite3_exec(db, spoilers[i], NULL, NULL, NULL) != SQLITE_OK)
                        fail_msg("%s: %s", spoilers[i], sqlite3_errmsg(db));
                sqlite3_close(db);
                if (use(path, &n_events))
                        fail_msg("taken for whole after: %s", spoilers[i]);
        }
}

/* ---- failures -------------------------------------------------------------------------------------------------------------- */

static void test_full_disk(void **state)
{
        char path[512], why[300];
        BgStoreReceipt receipt;
        BgStoreDb *db;
        int g = 1, r;

        /* the engine: a group that does not fit leaves nothing behind */
        testing_path(state, "store.db", path);
        BgStore *store = open_ok(path, NULL);
        append_group(store, g++);
        assert_int_equal(bg_store_close(store), 0);
        assert_int_equal(bg_store_db_open(&db, &(BgStoreSpec){ path, 0 }, &receipt, why, sizeof(why)), 0);
        assert_int_equal(bg_store_db_exec(db, "PRAGMA max_page_count=60"), 0);
        BgGroup *group = bg_group_new();
        do {
                bg_group_clear(group);
                for (int i = 0; i < group_events(g); i++) {
                        char child[64];
                        int n = snprintf(child, sizeof(child), "g/%d.%d", g, i);
                        BgRow row = { .kind = BG_ROW_EVENT, .received_at = RECEIVED };
                        row.event = (BgEvent){ .type = BG_EVENT_ADD,
                                               .model = BG_STR("org/model"),
                                               .child = { child, (size_t)n },
                                               .at = BG_TIME_MIN };
                        assert_int_equal(bg_group_put(group, &row), 0);
                }
                BgRow row = { .kind = BG_ROW_SOURCE, .source = { BG_STR("feed"), g, 0, 0 } };
                assert_int_equal(bg_group_put(group, &row), 0);
                r = bg_store_db_write(db, group, group);
        } while (!r && ++g < 100000);
        assert_int_equal(r, -ENOSPC);
        assert_non_null(strstr(db->why, "full"));
        bg_group_free(group);
        assert_int_equal(bg_store_db_close(db, false), 0);

        store = open_ok(path, &receipt);
        assert_false(receipt.clean);
        assert_int_equal(count_groups(store), g - 1);
        assert_int_equal(bg_store_close(store), 0);
}

static void test_failure_is_final_and_told(void **state)
{
        struct rlimit before, tight;
        BgStoreReceipt receipt;
        Order o = { .next = 1 };
        char path[512];
        const char *why;
        int g = 1, n_good = 0;

        testing_path(state, "store.db", path);
        order = &o;
        signal(SIGXFSZ, SIG_IGN);
        BgStore *store = open_ok(path, NULL);
        getrlimit(RLIMIT_FSIZE, &before);
        tight = before;
        tight.rlim_cur = 300000; /* the log cannot grow beyond */
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
        while (!bg_store_error(store, NULL) && g < 100000) {
                append_group(store, g);
                assert_int_equal(bg_store_commit(store, done_in_order, (void *)(intptr_t)g), 0);
                bg_store_wait(store);
                n_good += o.result == 0;
                g++;
        }
        setrlimit(RLIMIT_FSIZE, &before);        /* the disk has room again: the store must not pretend that nothing was */
        int error = bg_store_error(store, &why); /* -EFBIG or -EIO: SQLite does not always keep the cause */
        assert_true(error < 0);
        assert_int_equal(o.result, error);
        assert_int_equal(o.failed, 0);
        assert_true(why[0] != '\0');
        BgEvent event = { .type = BG_EVENT_ALIVE, .at = BG_TIME_MIN };
        assert_int_equal(bg_store_append(store, &event, RECEIVED), error);
        assert_int_equal(bg_store_commit(store, done_in_order, NULL), error);
        assert_int_equal(o.next, g);
        assert_int_equal(bg_store_close(store), error);
        signal(SIGXFSZ, SIG_DFL);

        assert_true(n_good > 0);
        store = open_ok(path, &receipt);
        assert_false(receipt.clean);
        assert_int_equal(count_groups(store), n_good);
        append_group(store, n_good + 1);
        assert_int_equal(bg_store_commit(store, NULL, NULL), 0);
        assert_int_equal(count_groups(store), n_good + 1);
        assert_int_equal(bg_store_close(store), 0);
}

/* All groups that wait behind a failing one fail with it. */
static void test_pending_groups_fail_together(void **state)
{
        struct rlimit before, tight;
        Order o = { .next = 1 };
        char path[512];
        int g = 1;

        testing_path(state, "store.db", path);
        order = &o;
        signal(SIGXFSZ, SIG_IGN);
        BgStore *store = open_ok(path, NULL);
        sqlite3 *db = person(path);
        assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK); /* holds the writer up */
        for (; g <= 2000; g++) {
                append_group(store, g);
                assert_int_equal(bg_store_commit(store, done_in_order, (void *)(intptr_t)g), 0);
        }
        getrlimit(RLIMIT_FSIZE, &before);
        tight = before;
        tight.rlim_cur = 100000;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
        assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        bg_store_wait(store);
        setrlimit(RLIMIT_FSIZE, &before);
        assert_int_equal(o.next, g);
        assert_int_equal(o.failed, 0);
        int error = bg_store_error(store, NULL);
        assert_true(error < 0);
        assert_int_equal(o.result, error);
        assert_int_equal(bg_store_close(store), error);
        signal(SIGXFSZ, SIG_DFL);
        store = open_ok(path, NULL);
        assert_in_range(count_groups(store), 0, 1999);
        assert_int_equal(bg_store_close(store), 0);
}

/* ---- sudden death ---------------------------------------------------------------------------------------------------------- */

/* A log cut off anywhere, as a power loss may leave it: whole groups, in order. */
static void test_torn_log(void **state)
{
        enum { N = 400, ROUNDS = 60 };
        char path[512], wal[520], copy[512], copy_wal[520];
        size_t n_db, n_wal;
        int seen_between = 0;

        testing_path(state, "store.db", path);
        testing_path(state, "copy.db", copy);
        snprintf(wal, sizeof(wal), "%s-wal", path);
        snprintf(copy_wal, sizeof(copy_wal), "%s-wal", copy);
        BgStore *store = open_ok(path, NULL);
        for (int g = 1; g <= N; g++) {
                append_group(store, g);
                assert_int_equal(bg_store_commit(store, NULL, NULL), 0);
                if (g % 3 == 0)
                        bg_store_wait(store);
        }
        bg_store_wait(store);
        char *db_bytes = testing_read_file(path, &n_db), *wal_bytes = testing_read_file(wal, &n_wal);
        assert_int_equal(bg_store_close(store), 0);

        for (int i = 0; i < ROUNDS; i++) {
                BgStoreReceipt receipt;
                size_t cut = (size_t)testing_between(0, (int64_t)n_wal);
                testing_write_file(copy, db_bytes, n_db);
                testing_write_file(copy_wal, wal_bytes, cut);
                store = open_ok(copy, &receipt);
                int n = count_groups(store);
                seen_between += n > 0 && n < N;
                append_group(store, n + 1);
                assert_int_equal(bg_store_commit(store, NULL, NULL), 0);
                assert_int_equal(count_groups(store), n + 1);
                assert_int_equal(bg_store_close(store), 0);
        }
        assert_true(seen_between > ROUNDS / 2);
        free(db_bytes);
        free(wal_bytes);
}

static void acknowledge(void *data, int result)
{
        int g = (int)(intptr_t)data;

        if (result || write(STDOUT_FILENO, &g, sizeof(g)) != sizeof(g))
                _exit(2);
}

static void commit_for_ever(const char *path, int g)
{
        BgStoreReceipt receipt;
        char why[300];
        BgStore *store;

        if (bg_store_open(&store, &(BgStoreSpec){ path, BG_DURABILITY_PROCESS }, &receipt, why, sizeof(why)))
                _exit(1);
        for (;; g++) {
                append_group(store, g);
                if (bg_store_commit(store, acknowledge, (void *)(intptr_t)g))
                        _exit(3);
                if (bg_store_groups_pending(store) > 20)
                        bg_store_wait(store);
        }
}

static void test_kill_nine(void **state)
{
        enum { ROUNDS = 20 };
        char path[512];
        int next = 1;

        testing_path(state, "store.db", path);
        for (int round = 0; round < ROUNDS; round++) {
                int pipe_fd[2], g, last_told = next - 1, status;
                assert_int_equal(pipe(pipe_fd), 0);
                pid_t pid = fork();
                assert_true(pid >= 0);
                if (pid == 0) {
                        dup2(pipe_fd[1], STDOUT_FILENO);
                        close(pipe_fd[0]);
                        close(pipe_fd[1]);
                        commit_for_ever(path, next);
                }
                close(pipe_fd[1]);
                for (int64_t wait_for = testing_between(0, 400); wait_for > 0; wait_for--) {
                        assert_int_equal(read(pipe_fd[0], &g, sizeof(g)), sizeof(g));
                        assert_int_equal(g, ++last_told);
                }
                kill(pid, SIGKILL);
                assert_int_equal(waitpid(pid, &status, 0), pid);
                assert_true(WIFSIGNALED(status));
                while (read(pipe_fd[0], &g, sizeof(g)) == (ssize_t)sizeof(g))
                        assert_int_equal(g, ++last_told);
                close(pipe_fd[0]);

                BgStoreReceipt receipt;
                BgStore *store = open_ok(path, &receipt);
                int n = count_groups(store);
                assert_true(n >= last_told); /* all that was acknowledged; more may be in, whole */
                next = n + 1;
                assert_int_equal(bg_store_close(store), 0);
        }
        assert_true(next > ROUNDS);
}

/* ---- parts ----------------------------------------------------------------------------------------------------------------- */

static void test_names(void **state)
{
        enum { N = 100000 };
        static const unsigned char key[16] = "sixteen bytes ..";
        BgIntern names;
        char text[300];
        uint32_t id;

        (void)state;
        bg_intern_init(&names, key);
        for (int pass = 0; pass < 2; pass++) {
                for (int i = 1; i <= N; i++) {
                        int n = snprintf(text, sizeof(text), "o/%d%s", i, i % 100 ? "" : "-");
                        if (i % 1000 == 0) {
                                memset(text + n, 'x', sizeof(text) - (size_t)n);
                                n = 255;
                        }
                        assert_int_equal(bg_intern_number(&names, (BgStr){ text, (size_t)n }, &id), 0);
                        assert_int_equal(id, i);
                        testing_assert_text(bg_intern_text(&names, id), (BgStr){ text, (size_t)n });
                }
        }
        assert_int_equal(names.n, N);
        assert_int_equal(bg_intern_number(&names, (BgStr){ 0 }, &id), 0);
        assert_int_equal(id, 0);
        assert_null(bg_intern_text(&names, 0).data);
        assert_null(bg_intern_text(&names, N + 1).data);
        bg_intern_deinit(&names);
        bg_intern_deinit(&names);
}

static void test_event_bytes(void **state)
{
        char bytes[BG_EVENT_BYTES_MAX];
        BgArena arena = { 0 };

        (void)state;
        for (int i = 0; i < 20000; i++) {
                BgEvent back, event = testing_event(&arena);
                size_t n = bg_event_bytes_put(bytes, &event);
                assert_in_range(n, 4, BG_EVENT_BYTES_MAX);
                assert_int_equal(bg_event_bytes_get(bytes, &back), n);
                testing_assert_event(&event, &back);
        }
        bg_arena_deinit(&arena);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, testing_setup, testing_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_round_trip),
                TEST(test_state),
                TEST(test_learned),
                TEST(test_people_can_read),
                TEST(test_dead_letters_are_bounded),
                TEST(test_groups_are_reported_in_order),
                TEST(test_second_open_is_refused),
                TEST(test_what_is_not_ours_is_refused),
                TEST(test_odd_paths_are_files),
                TEST(test_read_only_directory),
                TEST(test_damage_is_met),
                TEST(test_impossible_rows_are_met),
                TEST(test_full_disk),
                TEST(test_failure_is_final_and_told),
                TEST(test_pending_groups_fail_together),
                TEST(test_torn_log),
                TEST(test_kill_nine),
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_event_bytes),
        };

        testing_seed_init();
        return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
