/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The core at the edges of what senders, operators and crashes do to it. */
#include <errno.h>

#include "daemon/stream/core.h"
#include "daemon/stream/testing.h"

#define SECOND INT64_C(1000000)
#define HOUR (3600 * SECOND)
#define DAY (86400 * SECOND)
#define START (BG_TIME_MIN + 3000 * DAY)

/** The last forecast published, as the other side of the wire reads it, and every surge's id and state as text. */
struct heard {
        BgArena arena;
        BgForecast forecast;
        BgBuffer bytes;
        BgBuffer surges;
        size_t n_forecasts;
        size_t n_surges;
        int64_t surge_seq;
        double threshold;
};

static void on_forecast(void *data, const BgForecast *forecast)
{
        struct heard *heard = data;

        bg_buffer_clear(&heard->bytes);
        bg_arena_clear(&heard->arena);
        assert_int_equal(bg_proto_pack(&bg_proto_forecast, forecast, &heard->bytes), 0);
        assert_int_equal(bg_proto_unpack(&bg_proto_forecast, heard->bytes.data, heard->bytes.len, &heard->arena, &heard->forecast, NULL), 0);
        heard->n_forecasts++;
}

static void on_surge(void *data, const BgSurge *surge)
{
        struct heard *heard = data;
        char line[512];
        int len = snprintf(line, sizeof(line), "%.*s %s %.*s\n", (int)surge->id.len, surge->id.data, bg_proto_surge_state_name(surge->state),
                           (int)surge->model.len, surge->model.data);

        assert_int_equal(bg_buffer_append(&heard->surges, line, (size_t)len), 0);
        heard->surge_seq = surge->seq;
        heard->threshold = surge->threshold;
        heard->n_surges++;
}

static void heard_free(struct heard *heard)
{
        bg_buffer_deinit(&heard->bytes);
        bg_buffer_deinit(&heard->surges);
        bg_arena_deinit(&heard->arena);
}

static BgCore *core_with(const BgCoreSpec *spec, struct heard *heard, BgStore *store, const BgStoreReceipt *receipt, int64_t now)
{
        BgCoreSink sink = { .forecast = on_forecast, .surge = on_surge, .data = heard };
        BgCore *core = NULL;

        assert_int_equal(bg_core_new(&core, spec, sink, store, receipt, now), 0);
        return core;
}

static BgCore *core_of(struct heard *heard)
{
        BgCoreSpec spec = bg_core_spec_default();

        return core_with(&spec, heard, NULL, NULL, START);
}

static int send(BgCore *core, const BgEvent *event, int64_t now)
{
        BgReject reason;

        return bg_core_apply(core, BG_STR("test"), event, now, &reason);
}

/* Every child by an author of its own. */
static void send_add(BgCore *core, const char *model, unsigned child, int64_t at)
{
        char name[64];
        BgEvent event = { .type = BG_EVENT_ADD, .model = bg_str(model), .at = at };

        snprintf(name, sizeof(name), "author-%u/child-%u", child, child);
        event.child = bg_str(name);
        assert_int_equal(send(core, &event, at), 0);
}

static void rename_model(BgCore *core, const char *from, const char *to, int64_t at)
{
        BgEvent event = { .type = BG_EVENT_MOVE, .from_name = bg_str(from), .to_name = bg_str(to), .at = at };

        assert_int_equal(send(core, &event, at), 0);
}

static void refit_all(BgCore *core, int64_t now)
{
        BgRefitJob *job;

        while ((job = bg_core_take(core, 200, now))) {
                bg_refit_run(job);
                bg_core_adopt(core, job, now);
        }
}

/* Answers a query, packs the reply as it would go out, and leaves it in *reply. */
static void ask(BgCore *core, BgRequest *request, int64_t now, BgArena *arena, BgReply *reply)
{
        BgBuffer bytes = { 0 };

        bg_proto_init(&bg_proto_reply, reply);
        assert_int_equal(bg_core_query(core, request, now, arena, reply), 0);
        assert_int_equal(bg_proto_pack(&bg_proto_reply, reply, &bytes), 0);
        bg_buffer_deinit(&bytes);
}

static void ask_about(BgCore *core, BgQuery query, const char *model, BgArena *arena, BgReply *reply)
{
        BgRequest request;

        bg_proto_init(&bg_proto_request, &request);
        request.query = query;
        request.model = bg_str(model);
        ask(core, &request, START, arena, reply);
}

/* ---- counts ---------------------------------------------------------------------------------------------------------------- */

/* One tally may count a million millions; several of them exceed what a message can say, which is no reason to fall over. */
static void test_counts_saturate_on_the_wire(void **state)
{
        struct heard heard = { 0 };
        BgCore *core = core_of(&heard);
        BgArena arena = { 0 };
        BgRequest request;
        BgReply reply;

        (void)state;
        for (int i = 0; i < 12; i++) {
                BgEvent tally = { .type = BG_EVENT_TALLY, .model = BG_STR("org/huge"), .from = START + i * 30 * DAY,
                                  .to = START + (i + 1) * 30 * DAY, .count = BG_COUNT_MAX };

                assert_int_equal(send(core, &tally, tally.to), 0);
        }
        refit_all(core, START + 360 * DAY);
        assert_int_equal(heard.n_forecasts, 1);
        assert_int_equal(heard.forecast.count, BG_COUNT_MAX);
        assert_int_equal(heard.forecast.why->tallied, BG_COUNT_MAX);
        ask_about(core, BG_QUERY_GET, "org/huge", &arena, &reply);
        assert_int_equal(reply.series.items[0].count, BG_COUNT_MAX);
        ask_about(core, BG_QUERY_FORECAST, "org/huge", &arena, &reply);
        bg_proto_init(&bg_proto_request, &request);
        request.query = BG_QUERY_HISTORY;
        request.model = BG_STR("org/huge");
        request.from = START + 300 * DAY;
        ask(core, &request, START, &arena, &reply);
        assert_int_equal(reply.history->before, BG_COUNT_MAX);
        bg_arena_deinit(&arena);
        heard_free(&heard);
        bg_core_free(core);
}

/* ---- the clock of the stream ------------------------------------------------------------------------------------------------ */

/* What falls due by the watermark waits for the watermark. Were it told as a time on the wall, a caller whose feed is a day
 * behind would be told "now" for ever, and spin. */
static void test_next_due_does_not_make_its_caller_spin(void **state)
{
        struct heard heard = { 0 };
        BgCore *core = core_of(&heard);
        BgEvent alive = { .type = BG_EVENT_ALIVE, .at = START + 30 * DAY };

        (void)state;
        for (unsigned i = 0; i < 10; i++)
                send_add(core, "org/model", i, START + i * DAY);
        refit_all(core, START + 10 * DAY);
        for (int64_t now = START + 20 * DAY; now < START + 40 * DAY; now += 5 * DAY) {
                bg_core_advance(core, now);
                assert_int_equal(bg_core_n_dirty(core), 0);
                assert_true(bg_core_next_due(core) > now); /* nothing can be done until somebody says what time it is */
        }
        assert_int_equal(send(core, &alive, START + 40 * DAY), 0);
        assert_true(bg_core_next_due(core) <= START + 40 * DAY); /* now there is */
        bg_core_advance(core, START + 40 * DAY);
        assert_int_equal(bg_core_n_dirty(core), 1);
        heard_free(&heard);
        bg_core_free(core);
}

/* Silence shows in what is published; a batch ends it at once, not at the next look at the clock. */
static void test_a_batch_ends_staleness(void **state)
{
        BgCoreSpec spec = bg_core_spec_default();
        struct heard heard = { 0 };
        BgCore *core;

        (void)state;
        spec.stale_after_us = HOUR;
        core = core_with(&spec, &heard, NULL, NULL, START);
        for (unsigned i = 0; i < 30; i++)
                send_add(core, "org/model", i, START + i * DAY);
        assert_int_equal(bg_core_batch_done(core, BG_STR("test"), 1, START + 30 * DAY), 0);
        assert_int_equal(bg_core_next_due(core), START + 30 * DAY + HOUR);
        bg_core_advance(core, START + 30 * DAY + 2 * HOUR);
        refit_all(core, START + 30 * DAY + 2 * HOUR);
        assert_int_equal(heard.forecast.status, BG_STATUS_STALE_INPUT);
        send_add(core, "org/model", 30, START + 30 * DAY);
        assert_int_equal(bg_core_batch_done(core, BG_STR("test"), 2, START + 31 * DAY), 0);
        refit_all(core, START + 31 * DAY);
        assert_int_not_equal(heard.forecast.status, BG_STATUS_STALE_INPUT);
        heard_free(&heard);
        bg_core_free(core);
}

/* ---- restarts --------------------------------------------------------------------------------------------------------------- */

struct stored {
        char path[512];
        BgStore *store;
        BgStoreReceipt receipt;
        BgCoreSpec spec;
        struct heard heard;
        BgCore *core;
};

static void stored_open(struct stored *stored, int64_t now)
{
        BgStoreSpec spec = { .path = stored->path, .durability = BG_DURABILITY_PROCESS };
        char why[256] = "";

        if (bg_store_open(&stored->store, &spec, &stored->receipt, why, sizeof(why)))
                fail_msg("%s", why);
        stored->core = core_with(&stored->spec, &stored->heard, stored->store, &stored->receipt, now);
}

static void stored_close(struct stored *stored)
{
        assert_int_equal(bg_store_close(stored->store), 0);
        bg_core_free(stored->core);
        heard_free(&stored->heard);
        stored->heard = (struct heard){ 0 };
}

static void stored_init(struct stored *stored, void **state)
{
        *stored = (struct stored){ .spec = bg_core_spec_default() };
        testing_path(state, "state.db", stored->path);
        stored_open(stored, START);
}

/* A model that was renamed is in the store under both names: the newer revision counts, whichever name sorts first. */
static void rename_and_restart(void **state, bool new_name_first)
{
        const char *from = "org/old", *to = "org/new";
        struct stored stored;

        stored_init(&stored, state);
        if (new_name_first) /* the store keeps its rows in the order in which it came to know the names */
                send_add(stored.core, to, 20, START);
        for (unsigned i = 0; i < 20; i++)
                send_add(stored.core, from, i, START + i * DAY);
        if (!new_name_first)
                send_add(stored.core, to, 20, START + 20 * DAY);
        refit_all(stored.core, START + 20 * DAY);
        assert_int_equal(bg_core_checkpoint(stored.core), 0);
        rename_model(stored.core, from, to, START + 21 * DAY);
        for (unsigned i = 0; i < 3; i++) {
                send_add(stored.core, to, 30 + i, START + (22 + i) * DAY);
                refit_all(stored.core, START + (22 + i) * DAY);
        }
        assert_int_equal(stored.heard.forecast.rev, 4);
        assert_int_equal(bg_core_checkpoint(stored.core), 0);
        stored_close(&stored);

        stored_open(&stored, START + 30 * DAY);
        assert_int_equal(bg_core_n_dirty(stored.core), 0); /* nothing is new, and the newest row knows it */
        send_add(stored.core, to, 40, START + 31 * DAY);
        refit_all(stored.core, START + 31 * DAY);
        assert_int_equal(stored.heard.forecast.prev_rev, 4);
        assert_int_equal(stored.heard.forecast.rev, 5);
        assert_int_equal(stored.heard.forecast.count, 25);
        stored_close(&stored);
        assert_int_equal(remove(stored.path), 0);
}

static void test_a_restart_after_a_rename(void **state)
{
        rename_and_restart(state, false);
        rename_and_restart(state, true);
}

/* Two models that became one, and were not refitted since: whose fit counts is a matter of time, but revisions never fall. */
static void test_a_restart_after_a_merger(void **state)
{
        BgEvent release = { .type = BG_EVENT_RELEASE, .model = BG_STR("org/large"), .at = START + 41 * DAY };
        struct stored stored;

        stored_init(&stored, state);
        for (unsigned i = 0; i < 30; i++) {
                send_add(stored.core, "org/large", i, START + i * DAY);
                refit_all(stored.core, START + i * DAY);
        }
        assert_int_equal(stored.heard.forecast.rev, 29);
        send_add(stored.core, "org/small", 100, START + 35 * DAY);
        send_add(stored.core, "org/small", 101, START + 40 * DAY);
        refit_all(stored.core, START + 40 * DAY);
        assert_int_equal(stored.heard.forecast.rev, 1);
        assert_int_equal(bg_core_checkpoint(stored.core), 0);
        assert_int_equal(send(stored.core, &release, START + 41 * DAY), 0); /* no age yet, hence no refit */
        rename_model(stored.core, "org/small", "org/large", START + 41 * DAY);
        refit_all(stored.core, START + 41 * DAY);
        assert_int_equal(stored.heard.forecast.rev, 1);
        stored_close(&stored);

        stored_open(&stored, START + 50 * DAY);
        send_add(stored.core, "org/large", 200, START + 50 * DAY);
        refit_all(stored.core, START + 50 * DAY);
        assert_int_equal(stored.heard.forecast.count, 33);
        assert_int_equal(stored.heard.forecast.rev, 30);
        stored_close(&stored);
}

/* The numbers of the updates begin anew with each epoch; a last value of an earlier one must not run ahead of them. */
static int seq_at_most(void *data, const BgCoreValue *value)
{
        assert_true((value->forecast ? value->forecast->seq : value->surge->seq) <= *(int64_t *)data);
        return 0;
}

static void test_last_values_after_a_restart_carry_no_old_number(void **state)
{
        struct stored stored;
        int64_t seq;

        stored_init(&stored, state);
        for (unsigned i = 0; i < 20; i++) {
                send_add(stored.core, "org/model", i, START + i * DAY);
                refit_all(stored.core, START + i * DAY);
        }
        assert_int_equal(bg_core_checkpoint(stored.core), 0);
        stored_close(&stored);
        stored_open(&stored, START + 30 * DAY);
        seq = bg_core_seq(stored.core);
        assert_int_equal(bg_core_count_last(stored.core, BG_STR(""), 10), 1);
        assert_int_equal(bg_core_each_last(stored.core, BG_STR(""), seq_at_most, &seq), 0);
        stored_close(&stored);
}

/* A source that has been silent since before the restart is silent still. And the word for it is not kept with the forecasts. */
static void test_staleness_over_a_restart(void **state)
{
        struct stored stored;
        BgArena arena = { 0 };
        BgReply reply;

        stored_init(&stored, state);
        stored.spec.stale_after_us = HOUR;
        bg_core_configure(stored.core, &stored.spec);
        for (unsigned i = 0; i < 30; i++)
                send_add(stored.core, "org/model", i, START + i * DAY);
        assert_int_equal(bg_core_batch_done(stored.core, BG_STR("test"), 1, START + 30 * DAY), 0);
        bg_core_advance(stored.core, START + 31 * DAY);
        refit_all(stored.core, START + 31 * DAY);
        assert_int_equal(stored.heard.forecast.status, BG_STATUS_STALE_INPUT);
        assert_int_equal(bg_core_checkpoint(stored.core), 0);
        stored_close(&stored);

        stored_open(&stored, START + 40 * DAY);
        bg_core_advance(stored.core, START + 40 * DAY);
        ask_about(stored.core, BG_QUERY_GET, "org/model", &arena, &reply);
        assert_int_equal(reply.series.items[0].status, BG_STATUS_STALE_INPUT);
        assert_int_equal(bg_core_batch_done(stored.core, BG_STR("test"), 2, START + 40 * DAY), 0);
        bg_core_advance(stored.core, START + 40 * DAY);
        ask_about(stored.core, BG_QUERY_GET, "org/model", &arena, &reply);
        assert_int_not_equal(reply.series.items[0].status, BG_STATUS_STALE_INPUT);
        assert_int_not_equal(reply.forecasts.items[0].status, BG_STATUS_STALE_INPUT);
        bg_arena_deinit(&arena);
        stored_close(&stored);
}

/* What came after the last checkpoint is counted again from the log; the revision that follows says so. And a release that was
 * corrected without a change of the count asks for a revision too. */
static void test_what_was_not_refitted_before_a_restart_is(void **state)
{
        struct stored stored;
        BgEvent release = { .type = BG_EVENT_RELEASE, .model = BG_STR("org/corrected"), .at = START - 100 * DAY };

        stored_init(&stored, state);
        for (unsigned i = 0; i < 20; i++) {
                send_add(stored.core, "org/corrected", i, START + i * DAY);
                send_add(stored.core, "org/grown", i, START + i * DAY);
        }
        refit_all(stored.core, START + 20 * DAY);
        assert_int_equal(bg_core_checkpoint(stored.core), 0);
        assert_int_equal(send(stored.core, &release, START + 20 * DAY), 0);
        stored_close(&stored);

        stored_open(&stored, START + 21 * DAY);
        assert_int_equal(bg_core_n_dirty(stored.core), 1);
        refit_all(stored.core, START + 21 * DAY);
        assert_int_equal(stored.heard.forecast.released_at, release.at);
        assert_true(stored.heard.forecast.why->release_changed);
        assert_int_equal(bg_core_checkpoint(stored.core), 0);
        send_add(stored.core, "org/grown", 20, START + 20 * DAY);
        send_add(stored.core, "org/grown", 21, START + 20 * DAY);
        stored_close(&stored);

        stored_open(&stored, START + 22 * DAY);
        assert_int_equal(bg_core_n_dirty(stored.core), 1);
        refit_all(stored.core, START + 22 * DAY);
        assert_int_equal(stored.heard.forecast.count, 22);
        assert_int_equal(stored.heard.forecast.why->added, 2);
        stored_close(&stored);
}

/* ---- surges ----------------------------------------------------------------------------------------------------------------- */

/* A quiet model, one child a week for a year, with its forecast. Returns the time after it. */
static int64_t quiet_year(BgCore *core, const char *model, unsigned first_child)
{
        int64_t at = START;

        for (unsigned i = 0; i < 52; i++) {
                at = START + i * 7 * DAY;
                send_add(core, model, first_child + i, at);
                refit_all(core, at);
        }
        return at + DAY;
}

static int64_t crowd(BgCore *core, const char *model, unsigned first_child, unsigned n, int64_t at)
{
        for (unsigned i = 0; i < n; i++)
                send_add(core, model, first_child + i, at += HOUR);
        return at;
}

static size_t n_lines(const struct heard *heard, const char *words)
{
        const char *at = heard->surges.data, *end = at + heard->surges.len;
        size_t n = 0;

        for (; at && (at = memmem(at, (size_t)(end - at), words, strlen(words))); at++)
                n++;
        return n;
}

static void test_a_surge_opens(void **state)
{
        struct heard heard = { 0 };
        BgCore *core = core_of(&heard);
        int64_t at = quiet_year(core, "org/model", 0), seq;

        (void)state;
        at = crowd(core, "org/model", 100, 60, at);
        assert_int_equal(n_lines(&heard, " opened "), 1);
        /* its last value has the number it was published with, whatever was published since */
        seq = heard.surge_seq;
        refit_all(core, at);
        assert_true(bg_core_seq(core) > seq);
        assert_int_equal(bg_core_each_last(core, BG_STR("surge/org/model/"), seq_at_most, &seq), 0);
        assert_int_equal(bg_core_count_last(core, BG_STR("surge/org/model/"), 9), 1);
        heard_free(&heard);
        bg_core_free(core);
}

static void test_a_reload_sets_the_threshold(void **state)
{
        BgCoreSpec spec = bg_core_spec_default();
        struct heard heard = { 0 };
        BgCore *core = core_with(&spec, &heard, NULL, NULL, START);
        int64_t at = quiet_year(core, "org/model", 0);

        (void)state;
        spec.surge_threshold = 1e5;
        bg_core_configure(core, &spec);
        at = crowd(core, "org/model", 100, 60, at);
        assert_int_equal(heard.n_surges, 0);
        spec.surge_threshold = 8;
        bg_core_configure(core, &spec);
        crowd(core, "org/model", 200, 60, at);
        assert_int_equal(n_lines(&heard, " opened "), 1);
        assert_true(heard.threshold == 8);
        heard_free(&heard);
        bg_core_free(core);
}

/* An incident that opened just before a clean stop, with its refit still to come, goes on after the restart. */
static void test_an_incident_survives_a_stop_before_its_refit(void **state)
{
        struct stored stored;
        int64_t at;

        stored_init(&stored, state);
        at = quiet_year(stored.core, "org/model", 0);
        assert_int_equal(bg_core_checkpoint(stored.core), 0);
        at = crowd(stored.core, "org/model", 100, 60, at);
        assert_int_equal(n_lines(&stored.heard, " opened "), 1);
        assert_int_equal(bg_core_checkpoint(stored.core), 0);
        stored_close(&stored);
        stored_open(&stored, at);
        assert_int_equal(bg_core_count_last(stored.core, BG_STR("surge/"), 9), 1);
        crowd(stored.core, "org/model", 200, 60, at);
        assert_int_equal(n_lines(&stored.heard, " opened "), 0); /* it is open */
        stored_close(&stored);
}

/* Two models turn out to be one: the incident of the one that is gone ends, and is not told of under a name that is gone. */
static void test_the_incident_of_an_absorbed_model_ends(void **state)
{
        struct heard heard = { 0 };
        BgCore *core = core_of(&heard);
        BgArena arena = { 0 };
        BgRequest request;
        BgReply reply;
        int64_t at = quiet_year(core, "org/small", 0);
        size_t n;

        (void)state;
        at = crowd(core, "org/small", 100, 60, at);
        assert_int_equal(n_lines(&heard, " opened org/small\n"), 1);
        for (unsigned i = 0; i < 300; i++)
                send_add(core, "org/large", 1000 + i, at);
        refit_all(core, at);
        rename_model(core, "org/small", "org/large", at + HOUR);
        assert_int_equal(n_lines(&heard, " closed org/small\n"), 1);
        n = n_lines(&heard, "org/small");
        for (int day = 1; day < 120; day++) {
                BgEvent alive = { .type = BG_EVENT_ALIVE, .at = at + day * DAY };

                assert_int_equal(send(core, &alive, alive.at), 0);
                bg_core_advance(core, alive.at);
                refit_all(core, alive.at);
        }
        assert_int_equal(n_lines(&heard, "org/small"), n);
        bg_proto_init(&bg_proto_request, &request);
        request.query = BG_QUERY_SURGES;
        ask(core, &request, at, &arena, &reply);
        for (size_t i = 0; i < reply.surges.n; i++)
                assert_true(bg_str_equal(reply.surges.items[i].model, BG_STR("org/large")));
        bg_arena_deinit(&arena);
        heard_free(&heard);
        bg_core_free(core);
}

/* A release that is told while a job runs, and lies behind all its data: the result of the job must not be laid over it. */
static void test_a_release_after_the_data_during_a_job(void **state)
{
        struct heard heard = { 0 };
        BgCore *core = core_of(&heard);
        int64_t at = quiet_year(core, "org/model", 0);
        BgEvent release = { .type = BG_EVENT_RELEASE, .model = BG_STR("org/model"), .at = at + 10 * DAY };
        BgRefitJob *job;

        (void)state;
        send_add(core, "org/model", 60, at);
        job = bg_core_take(core, 10, at);
        assert_non_null(job);
        bg_refit_run(job);
        assert_int_equal(send(core, &release, at + 10 * DAY), 0);
        bg_core_adopt(core, job, at + 10 * DAY);
        for (unsigned i = 0; i < 20; i++)
                send_add(core, "org/model", 70 + i, at + 10 * DAY + i * 7 * DAY);
        assert_int_equal(heard.n_surges, 0); /* one a week, as ever */
        refit_all(core, at + 300 * DAY);
        assert_int_equal(heard.forecast.released_at, release.at);
        heard_free(&heard);
        bg_core_free(core);
}

/* ---- bounds ----------------------------------------------------------------------------------------------------------------- */

/* Names of sources are kept for good: their number is bounded, and those that are known go on. */
static void test_sources_are_bounded(void **state)
{
        struct heard heard = { 0 };
        BgCore *core = core_of(&heard);
        BgEvent alive = { .type = BG_EVENT_ALIVE, .at = START };
        BgReject reason;
        char name[32];

        (void)state;
        for (unsigned i = 0; i < BG_CORE_SOURCES_MAX; i++) {
                snprintf(name, sizeof(name), "source-%u", i);
                assert_true(bg_core_knows_source(core, bg_str(name)));
                assert_int_equal(bg_core_batch_done(core, bg_str(name), 1, START), 0);
        }
        assert_false(bg_core_knows_source(core, BG_STR("one-too-many")));
        alive.source = BG_STR("another");
        assert_int_equal(bg_core_apply(core, BG_STR("source-7"), &alive, START, &reason), BG_CORE_E_REJECTED);
        assert_int_equal(reason, BG_REJECT_LIMIT);
        assert_true(bg_core_knows_source(core, BG_STR("source-7")));
        assert_int_equal(bg_core_batch_done(core, BG_STR("source-7"), 2, START), 0);
        assert_int_equal(bg_core_source_seq(core, BG_STR("source-7")), 2);
        heard_free(&heard);
        bg_core_free(core);
}

/* A page of a list is what the whole list has there, ties and all, in every order. */
static void test_pages_of_a_list(void **state)
{
        struct heard heard = { 0 };
        BgCore *core = core_of(&heard);
        BgArena arena = { 0 };
        BgReply all, page;
        BgRequest request;
        char name[32];

        (void)state;
        bg_proto_init(&bg_proto_request, &request);
        request.query = BG_QUERY_LIST;
        ask(core, &request, START, &arena, &page);
        assert_int_equal(page.series.n, 0);
        for (unsigned i = 0; i < 200; i++) {
                snprintf(name, sizeof(name), "org/m%u", i * 7919 % 200);
                for (unsigned k = 0; k <= i % 5; k++)
                        send_add(core, name, i * 10 + k, START + i * HOUR);
        }
        for (int sort = 0; sort < BG_SORT_N; sort++) {
                bg_proto_init(&bg_proto_request, &request);
                request.query = BG_QUERY_LIST;
                request.sort = sort;
                request.limit = 10000;
                ask(core, &request, START, &arena, &all);
                assert_int_equal(all.series.n, 200);
                for (int64_t offset = 0; offset < 220; offset += 13) {
                        request.offset = offset;
                        request.limit = 17;
                        ask(core, &request, START, &arena, &page);
                        assert_int_equal(page.total, 200);
                        assert_int_equal(page.series.n, offset >= 200 ? 0 : offset + 17 > 200 ? 200 - offset : 17);
                        for (size_t i = 0; i < page.series.n; i++)
                                testing_assert_text(page.series.items[i].model, all.series.items[(size_t)offset + i].model);
                }
        }
        bg_arena_deinit(&arena);
        heard_free(&heard);
        bg_core_free(core);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_counts_saturate_on_the_wire),
                cmocka_unit_test(test_next_due_does_not_make_its_caller_spin),
                cmocka_unit_test(test_a_batch_ends_staleness),
                cmocka_unit_test_setup_teardown(test_a_restart_after_a_rename, testing_setup, testing_teardown),
                cmocka_unit_test_setup_teardown(test_a_restart_after_a_merger, testing_setup, testing_teardown),
                cmocka_unit_test_setup_teardown(test_last_values_after_a_restart_carry_no_old_number, testing_setup, testing_teardown),
                cmocka_unit_test_setup_teardown(test_staleness_over_a_restart, testing_setup, testing_teardown),
                cmocka_unit_test_setup_teardown(test_what_was_not_refitted_before_a_restart_is, testing_setup, testing_teardown),
                cmocka_unit_test(test_a_surge_opens),
                cmocka_unit_test(test_a_reload_sets_the_threshold),
                cmocka_unit_test_setup_teardown(test_an_incident_survives_a_stop_before_its_refit, testing_setup, testing_teardown),
                cmocka_unit_test(test_the_incident_of_an_absorbed_model_ends),
                cmocka_unit_test(test_a_release_after_the_data_during_a_job),
                cmocka_unit_test(test_sources_are_bounded),
                cmocka_unit_test(test_pages_of_a_list),
        };

        return cmocka_run_group_tests_name("core_edge", tests, NULL, NULL);
}
