/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The core as its caller sees it: events in, revisions out, last values, restarts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/stream/core.h"
#include "daemon/stream/core_private.h"

#define SECOND INT64_C(1000000)
#define DAY (86400 * SECOND)
#define START (BG_TIME_MIN + 3000 * DAY)

/** Everything that was published, as bytes, in order. */
struct published {
        BgBuffer bytes;
        size_t n;
        int64_t last_count;
        int64_t last_rev;
        int64_t last_prev_rev;
        int64_t last_seq;
        int last_status;
        int64_t n_surges;
        BgWhy why;
};

static void on_forecast(void *data, const BgForecast *forecast)
{
        struct published *published = data;

        assert_int_equal(bg_proto_pack(&bg_proto_forecast, forecast, &published->bytes), 0);
        published->n++;
        published->last_count = forecast->count;
        published->last_rev = forecast->rev;
        published->last_prev_rev = forecast->prev_rev;
        published->last_status = forecast->status;
        published->why = *forecast->why;
        assert_true(forecast->seq > published->last_seq);
        published->last_seq = forecast->seq;
        for (size_t i = 0; i < forecast->horizons.n; i++) {
                const BgHorizon *h = &forecast->horizons.items[i];

                assert_true(h->q05 >= (double)forecast->count && h->q05 <= h->q10 && h->q10 <= h->q25 && h->q25 <= h->q50 &&
                            h->q50 <= h->q75 && h->q75 <= h->q90 && h->q90 <= h->q95);
                if (i)
                        assert_true(h->q50 >= forecast->horizons.items[i - 1].q50);
        }
}

static void on_surge(void *data, const BgSurge *surge)
{
        struct published *published = data;

        assert_true(surge->seq > published->last_seq);
        published->last_seq = surge->seq;
        published->n_surges++;
}

static BgCore *core_of(struct published *published, BgStore *store, const BgStoreReceipt *receipt)
{
        BgCoreSpec spec = bg_core_spec_default();
        BgCoreSink sink = { .forecast = on_forecast, .surge = on_surge, .data = published };
        BgCore *core = NULL;

        spec.audit_every = 3;
        assert_int_equal(bg_core_new(&core, &spec, sink, store, receipt, START), 0);
        return core;
}

static int send(BgCore *core, const BgEvent *event, int64_t now)
{
        BgReject reason;

        return bg_core_apply(core, BG_STR("test"), event, now, &reason);
}

static int send_add(BgCore *core, const char *model, unsigned child, int64_t at)
{
        char name[64];
        BgEvent event = { .type = BG_EVENT_ADD, .model = bg_str(model), .at = at };

        snprintf(name, sizeof(name), "author-%u/child-%u", child % 1000, child);
        event.child = bg_str(name);
        return send(core, &event, at + SECOND);
}

static void refit_all(BgCore *core, int64_t now)
{
        BgRefitJob *job;

        while ((job = bg_core_take(core, 200, now))) {
                bg_refit_run(job);
                bg_core_adopt(core, job, now);
        }
}

static int64_t counter(BgCore *core, const char *name)
{
        BgRequest request = { .query = BG_QUERY_STATS };
        BgArena arena = { 0 };
        BgReply reply;
        int64_t n = -1;

        bg_proto_init(&bg_proto_reply, &reply);
        assert_int_equal(bg_core_query(core, &request, START, &arena, &reply), 0);
        for (size_t i = 0; i < reply.stats->counters.n; i++)
                if (bg_str_equal(reply.stats->counters.items[i].name, bg_str(name)))
                        n = reply.stats->counters.items[i].n;
        bg_arena_deinit(&arena);
        return n;
}

static void test_events_become_revisions(void **state)
{
        struct published published = { 0 };
        BgCore *core = core_of(&published, NULL, NULL);
        BgEvent release = { .type = BG_EVENT_RELEASE, .model = BG_STR("org/model"), .at = START };
        BgEvent removal = { .type = BG_EVENT_REMOVE, .model = BG_STR("org/model"), .child = BG_STR("author-3/child-3"),
                            .at = START + 40 * DAY };

        (void)state;
        assert_int_equal(send(core, &release, START), 0);
        for (unsigned i = 0; i < 30; i++)
                assert_int_equal(send_add(core, "org/model", i, START + (i + 1) * DAY), 0);
        assert_int_equal(send_add(core, "org/model", 7, START + 8 * DAY), BG_CORE_E_DUPLICATE);
        assert_int_equal(bg_core_n_dirty(core), 1);
        refit_all(core, START + 30 * DAY);
        assert_int_equal(published.n, 1); /* thirty events, one revision */
        assert_int_equal(published.last_count, 30);
        assert_int_equal(published.last_rev, 1);
        assert_int_equal(published.last_prev_rev, 0);
        assert_int_equal(published.why.added, 30);
        assert_int_equal(published.why.start, BG_START_COLD);
        assert_int_equal(send(core, &removal, removal.at), 0);
        refit_all(core, START + 40 * DAY);
        assert_int_equal(published.last_count, 29);
        assert_int_equal(published.last_rev, 2);
        assert_int_equal(published.last_prev_rev, 1);
        assert_int_equal(published.why.removed, 1);
        assert_int_equal(published.why.start, BG_START_WARM);
        assert_int_equal(send_add(core, "org/model", 100, START + 5 * DAY), 0); /* late */
        refit_all(core, START + 40 * DAY);
        assert_int_equal(published.why.late, 1);
        assert_int_equal(published.last_count, 30);
        bg_buffer_deinit(&published.bytes);
        bg_core_free(core);
}

static void test_rejections(void **state)
{
        struct published published = { 0 };
        BgCore *core = core_of(&published, NULL, NULL);
        BgEvent none = { .reject = BG_REJECT_RANGE };
        BgEvent alive = { .type = BG_EVENT_ALIVE, .at = START + 10 * DAY };
        BgReject reason;

        (void)state;
        assert_int_equal(bg_core_apply(core, BG_STR("test"), &none, START, &reason), BG_CORE_E_REJECTED);
        assert_int_equal(reason, BG_REJECT_RANGE);
        assert_int_equal(bg_core_apply(core, BG_STR("test"), &alive, START, &reason), BG_CORE_E_REJECTED);
        assert_int_equal(reason, BG_REJECT_FUTURE);
        alive.at = START + 200 * SECOND; /* within the slack for clocks that run ahead */
        assert_int_equal(bg_core_apply(core, BG_STR("test"), &alive, START, &reason), 0);
        assert_int_equal(bg_core_apply(core, BG_STR("test"), &alive, START, &reason), BG_CORE_E_DUPLICATE);
        assert_int_equal(counter(core, "events_rejected"), 2);
        assert_int_equal(bg_core_n_dirty(core), 0);
        bg_buffer_deinit(&published.bytes);
        bg_core_free(core);
}

/* A forecast is renewed when the watermark says that a day has passed; a model without children never asks for anything. */
static void test_refresh(void **state)
{
        struct published published = { 0 };
        BgCore *core = core_of(&published, NULL, NULL);
        BgEvent release = { .type = BG_EVENT_RELEASE, .model = BG_STR("org/silent"), .at = START };
        BgEvent alive = { .type = BG_EVENT_ALIVE };

        (void)state;
        assert_int_equal(send(core, &release, START), 0);
        assert_int_equal(send_add(core, "org/model", 1, START), 0);
        assert_int_equal(send_add(core, "org/model", 2, START + DAY), 0);
        refit_all(core, START + DAY);
        assert_int_equal(published.n, 1);
        bg_core_advance(core, START + 20 * DAY); /* time alone proves nothing: the source may be silent */
        assert_int_equal(bg_core_n_dirty(core), 0);
        for (int day = 2; day < 12; day++) {
                alive.at = START + day * DAY + DAY / 2;
                assert_int_equal(send(core, &alive, alive.at), 0);
                bg_core_advance(core, alive.at);
                refit_all(core, alive.at);
        }
        assert_in_range(published.n, 10, 11);
        assert_true(published.why.refreshed);
        assert_int_equal(counter(core, "children_added"), 2);
        bg_buffer_deinit(&published.bytes);
        bg_core_free(core);
}

static int same_as_last(void *data, const BgCoreValue *value)
{
        BgBuffer *bytes = data;

        assert_non_null(value->forecast);
        bg_buffer_clear(bytes);
        assert_int_equal(bg_proto_pack(&bg_proto_forecast, value->forecast, bytes), 0);
        return 0;
}

static void test_last_value_repeats_what_was_published(void **state)
{
        struct published published = { 0 };
        BgCore *core = core_of(&published, NULL, NULL);
        BgBuffer last = { 0 };

        (void)state;
        for (unsigned i = 0; i < 3000; i++)
                assert_int_equal(send_add(core, "org/model", i, START + i * (DAY / 10)), 0);
        refit_all(core, START + 300 * DAY);
        assert_int_equal(bg_core_count_last(core, BG_STR("forecast/org/model/"), 10), 1);
        assert_int_equal(bg_core_count_last(core, BG_STR("forecast/org/mod"), 10), 1);
        assert_int_equal(bg_core_count_last(core, BG_STR(""), 10), 1);
        assert_int_equal(bg_core_count_last(core, BG_STR("forecast/org/model/x"), 10), 0);
        assert_int_equal(bg_core_count_last(core, BG_STR("heartbeat/"), 10), 0);
        assert_int_equal(bg_core_each_last(core, BG_STR("forecast/org/model/"), same_as_last, &last), 0);
        assert_int_equal(last.len, published.bytes.len);
        assert_memory_equal(last.data, published.bytes.data, last.len);
        bg_buffer_deinit(&last);
        bg_buffer_deinit(&published.bytes);
        bg_core_free(core);
}

/* Jobs that are taken, while events go on coming, lose none of them. */
static void test_events_during_a_job(void **state)
{
        struct published published = { 0 };
        BgCore *core = core_of(&published, NULL, NULL);
        BgRefitJob *job, *second;

        (void)state;
        for (unsigned i = 0; i < 10; i++)
                assert_int_equal(send_add(core, "org/model", i, START + i * DAY), 0);
        job = bg_core_take(core, 10, START + 10 * DAY);
        assert_non_null(job);
        assert_int_equal(send_add(core, "org/model", 10, START + 10 * DAY), 0);
        second = bg_core_take(core, 10, START + 10 * DAY);
        assert_null(second); /* its turn comes when the first is adopted */
        assert_int_equal(bg_core_n_dirty(core), 1);
        bg_refit_run(job);
        bg_core_adopt(core, job, START + 10 * DAY);
        assert_int_equal(published.last_count, 10);
        assert_int_equal(published.why.added, 10);
        refit_all(core, START + 10 * DAY);
        assert_int_equal(published.last_count, 11);
        assert_int_equal(published.why.added, 1);
        assert_int_equal(send_add(core, "org/model", 11, START + 11 * DAY), 0);
        job = bg_core_take(core, 10, START + 11 * DAY);
        bg_core_abandon(core, job);
        assert_int_equal(bg_core_n_dirty(core), 1);
        refit_all(core, START + 11 * DAY);
        assert_int_equal(published.last_count, 12);
        assert_int_equal(published.why.added, 1);
        bg_buffer_deinit(&published.bytes);
        bg_core_free(core);
}

static BgStore *store_at(const char *path, BgStoreReceipt *receipt)
{
        BgStoreSpec spec = { .path = path, .durability = BG_DURABILITY_PROCESS };
        BgStore *store = NULL;
        char why[256] = "";

        if (bg_store_open(&store, &spec, receipt, why, sizeof(why)))
                fail_msg("%s", why);
        return store;
}

static void done(void *data, int result)
{
        *(int *)data = result;
}

static void test_restart_continues(void **state)
{
        char dir[] = "/tmp/burgeon-core-test-XXXXXX", path[64], command[80];
        struct published before = { 0 }, after = { 0 };
        BgBuffer last = { 0 };
        BgStoreReceipt receipt;
        BgStore *store;
        BgCore *core;
        int result = 1;
        size_t at;

        (void)state;
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/state.db", dir);
        store = store_at(path, &receipt);
        core = core_of(&before, store, &receipt);
        for (unsigned i = 0; i < 500; i++)
                assert_int_equal(send_add(core, i % 3 ? "org/model" : "org/other", i, START + i * (DAY / 2)), 0);
        assert_int_equal(bg_core_batch_done(core, BG_STR("test"), 17, START + 250 * DAY), 0);
        refit_all(core, START + 250 * DAY);
        at = before.bytes.len;
        (void)at;
        assert_int_equal(bg_core_checkpoint(core), 0);
        assert_int_equal(send_add(core, "org/other", 1000, START + 251 * DAY), 0); /* after the checkpoint: only in the log */
        assert_int_equal(bg_store_commit(store, done, &result), 0);
        bg_store_wait(store);
        assert_int_equal(result, 0);
        bg_buffer_clear(&last);
        assert_int_equal(bg_core_each_last(core, BG_STR("forecast/org/model/"), same_as_last, &last), 0);
        bg_core_free(core);
        assert_int_equal(bg_store_close(store), 0);

        store = store_at(path, &receipt);
        core = core_of(&after, store, &receipt);
        assert_int_equal(bg_core_epoch(core), 2);
        assert_int_equal(bg_core_source_seq(core, BG_STR("test")), 17);
        assert_int_equal(bg_core_n_dirty(core), 1); /* the one whose forecast is not of the log's counts */
        {
                BgBuffer again = { 0 };
                BgArena arena = { 0 };
                BgForecast a, b;

                assert_int_equal(bg_core_each_last(core, BG_STR("forecast/org/model/"), same_as_last, &again), 0);
                assert_int_equal(bg_proto_unpack(&bg_proto_forecast, last.data, last.len, &arena, &a, NULL), 0);
                assert_int_equal(bg_proto_unpack(&bg_proto_forecast, again.data, again.len, &arena, &b, NULL), 0);
                assert_int_equal(b.seq, 0); /* the numbering is a new one */
                b.seq = a.seq;
                b.epoch = a.epoch; /* all else is as it was */
                bg_buffer_clear(&again);
                assert_int_equal(bg_proto_pack(&bg_proto_forecast, &b, &again), 0);
                assert_int_equal(again.len, last.len);
                assert_memory_equal(again.data, last.data, last.len);
                bg_buffer_deinit(&again);
                bg_arena_deinit(&arena);
        }
        assert_int_equal(send_add(core, "org/model", 1, START + DAY / 2), BG_CORE_E_DUPLICATE);
        refit_all(core, START + 251 * DAY);
        assert_int_equal(after.n, 1);
        assert_int_equal(after.last_count, 168);
        assert_int_equal(after.last_rev, 2);
        assert_int_equal(after.why.start, BG_START_WARM); /* from the parameters of the last run */
        bg_core_free(core);
        assert_int_equal(bg_store_close(store), 0);
        bg_buffer_deinit(&last);
        bg_buffer_deinit(&before.bytes);
        bg_buffer_deinit(&after.bytes);
        snprintf(command, sizeof(command), "rm -rf %s", dir);
        assert_int_equal(system(command), 0);
}

static void test_queries(void **state)
{
        struct published published = { 0 };
        BgCore *core = core_of(&published, NULL, NULL);
        BgRequest request;
        BgArena arena = { 0 };
        BgReply reply;
        double horizons[] = { 1. / 24, 10, 1826.25 };
        int64_t sum = 0;

        (void)state;
        for (unsigned i = 0; i < 600; i++)
                assert_int_equal(send_add(core, i % 3 ? "org/many" : "org/few", i, START + i * (DAY / 4)), 0);
        refit_all(core, START + 150 * DAY);

        bg_proto_init(&bg_proto_request, &request);
        bg_proto_init(&bg_proto_reply, &reply);
        request.query = BG_QUERY_LIST;
        request.spark = 10;
        assert_int_equal(bg_core_query(core, &request, START, &arena, &reply), 0);
        assert_int_equal(reply.total, 2);
        assert_true(bg_str_equal(reply.series.items[0].model, BG_STR("org/many")));
        assert_int_equal(reply.series.items[0].count, 400);
        assert_int_equal(reply.series.items[0].spark.n, 10);
        assert_true(reply.series.items[0].q90 >= reply.series.items[0].q10);

        bg_proto_init(&bg_proto_reply, &reply);
        request.query = BG_QUERY_HISTORY;
        request.model = BG_STR("org/few");
        assert_int_equal(bg_core_query(core, &request, START, &arena, &reply), 0);
        for (size_t i = 0; i < reply.history->counts.n; i++)
                sum += reply.history->counts.items[i];
        assert_int_equal(reply.history->before + sum, 200);
        assert_int_equal(reply.history->edges.n, reply.history->counts.n + 1);

        bg_proto_init(&bg_proto_reply, &reply);
        request.query = BG_QUERY_FORECAST;
        request.horizons.items = horizons;
        request.horizons.n = 3;
        assert_int_equal(bg_core_query(core, &request, START, &arena, &reply), 0);
        assert_int_equal(reply.error, BG_ERROR_NONE);
        assert_int_equal(reply.forecasts.items[0].horizons.n, 3);
        horizons[2] = 1e9;
        bg_proto_init(&bg_proto_reply, &reply);
        assert_int_equal(bg_core_query(core, &request, START, &arena, &reply), 0);
        assert_int_equal(reply.error, BG_ERROR_RANGE);

        bg_proto_init(&bg_proto_reply, &reply);
        request.query = BG_QUERY_GET;
        request.model = BG_STR("org/nobody");
        assert_int_equal(bg_core_query(core, &request, START, &arena, &reply), 0);
        assert_int_equal(reply.error, BG_ERROR_NOT_FOUND);
        bg_arena_deinit(&arena);
        bg_buffer_deinit(&published.bytes);
        bg_core_free(core);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_events_become_revisions),
                cmocka_unit_test(test_rejections),
                cmocka_unit_test(test_refresh),
                cmocka_unit_test(test_last_value_repeats_what_was_published),
                cmocka_unit_test(test_events_during_a_job),
                cmocka_unit_test(test_restart_continues),
                cmocka_unit_test(test_queries),
        };

        return cmocka_run_group_tests_name("core", tests, NULL, NULL);
}
