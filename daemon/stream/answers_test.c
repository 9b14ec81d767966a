/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Milestones, outlooks, why and receipts, asked of a core as a client would ask. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "daemon/stream/core_private.h"

#define SECOND INT64_C(1000000)
#define DAY (86400 * SECOND)
#define START (BG_TIME_MIN + 3000 * DAY)

static BgCore *core_new(BgForecaster forecaster)
{
        BgCoreSpec spec = bg_core_spec_default();
        BgCore *core = NULL;

        spec.forecaster = forecaster;
        assert_int_equal(bg_core_new(&core, &spec, (BgCoreSink){ 0 }, NULL, NULL, START), 0);
        return core;
}

static void send_add(BgCore *core, const char *model, unsigned child, int64_t at)
{
        char name[64];
        BgEvent event = { .type = BG_EVENT_ADD, .model = bg_str(model), .at = at };
        BgReject reason;

        snprintf(name, sizeof(name), "author-%u/child", child);
        event.child = bg_str(name);
        assert_int_equal(bg_core_apply(core, BG_STR("test"), &event, at + SECOND, &reason), 0);
}

static void pass(BgCore *core, int64_t at)
{
        BgEvent alive = { .type = BG_EVENT_ALIVE, .at = at };
        BgRefitJob *job;
        BgReject reason;

        assert_true(bg_core_apply(core, BG_STR("test"), &alive, at, &reason) >= 0);
        bg_core_advance(core, at);
        while ((job = bg_core_take(core, 200, at))) {
                bg_refit_run(job);
                bg_core_adopt(core, job, at);
        }
}

/** 400 children in 200 days, then a revision. */
static BgCore *grown(BgForecaster forecaster)
{
        BgCore *core = core_new(forecaster);

        for (unsigned i = 0; i < 400; i++)
                send_add(core, "org/model", i, START + i * (DAY / 2));
        pass(core, START + 200 * DAY);
        return core;
}

struct asked {
        BgArena arena;
        BgRequest request;
        BgReply reply;
};

static struct asked *ask(BgCore *core, struct asked *asked)
{
        bg_arena_clear(&asked->arena);
        bg_proto_init(&bg_proto_reply, &asked->reply);
        assert_int_equal(bg_core_query(core, &asked->request, START, &asked->arena, &asked->reply), 0);
        return asked;
}

static struct asked question(BgQuery query, const char *model)
{
        struct asked asked = { 0 };

        bg_proto_init(&bg_proto_request, &asked.request);
        asked.request.query = query;
        asked.request.model = bg_str(model);
        return asked;
}

static void assert_rising(const BgQuantiles *q)
{
        const double all[7] = { q->q05, q->q10, q->q25, q->q50, q->q75, q->q90, q->q95 };

        for (int p = 1; p < 7; p++)
                assert_true(!isfinite(all[p]) || all[p] >= all[p - 1]);
}

/* Median of the forecast at one horizon. */
static double median_at(BgCore *core, double days)
{
        struct asked asked = question(BG_QUERY_FORECAST, "org/model");
        double median;

        asked.request.horizons.items = &days;
        asked.request.horizons.n = 1;
        ask(core, &asked);
        assert_int_equal(asked.reply.error, BG_ERROR_NONE);
        median = asked.reply.forecasts.items[0].horizons.items[0].q50;
        bg_arena_deinit(&asked.arena);
        return median;
}

static void milestone_of(BgForecaster forecaster)
{
        BgCore *core = grown(forecaster);
        struct asked asked = question(BG_QUERY_MILESTONE, "org/model");
        const BgMilestone *m;

        asked.request.count = 450;
        m = ask(core, &asked)->reply.milestone;
        assert_non_null(m);
        assert_int_equal(m->count, 400);
        assert_int_equal(m->target, 450);
        assert_int_equal(m->reached_at, 0);
        assert_int_equal(m->rev, 1);
        assert_rising(m->days);
        assert_true(m->days->q50 > 1 && m->days->q50 < 1000);
        assert_true(m->p7 <= m->p30 && m->p30 <= m->p90 && m->p90 <= m->p365 && m->p365 <= m->p5y && m->p5y <= 1);
        assert_true(fabs(median_at(core, m->days->q50) - 450) <= 2); /* the very forecast that is published */

        asked.request.count = BG_COUNT_MAX;
        m = ask(core, &asked)->reply.milestone;
        assert_true(!isfinite(m->days->q05) && m->p5y < .05);

        asked.request.count = 123; /* the 123rd came at day 61 */
        m = ask(core, &asked)->reply.milestone;
        assert_true(m->reached_at == START + 61 * DAY && m->p7 == 1 && m->days->q95 == 0);
        assert_int_equal(m->count, 400);
        bg_arena_deinit(&asked.arena);
        bg_core_free(core);
}

static void test_milestones(void **state)
{
        (void)state;
        milestone_of(BG_FORECASTER_POOLED);
        milestone_of(BG_FORECASTER_PROCESS);
}

static void test_typed_errors(void **state)
{
        BgCore *core = core_new(BG_FORECASTER_POOLED);
        struct asked asked = question(BG_QUERY_MILESTONE, "org/model");

        (void)state;
        asked.request.count = 5;
        assert_int_equal(ask(core, &asked)->reply.error, BG_ERROR_NOT_FOUND);
        send_add(core, "org/model", 1, START);
        assert_int_equal(ask(core, &asked)->reply.error, BG_ERROR_NOT_FOUND); /* known, but not forecast yet */
        asked.request.query = BG_QUERY_WHY;
        assert_int_equal(ask(core, &asked)->reply.error, BG_ERROR_NOT_FOUND);
        asked.request.model = (BgStr){ 0 };
        asked.request.target = BG_STR("20250101-0-1");
        assert_int_equal(ask(core, &asked)->reply.error, BG_ERROR_NOT_FOUND);
        bg_core_free(core);

        core = grown(BG_FORECASTER_POOLED);
        asked.request = question(BG_QUERY_MILESTONE, "org/model").request;
        assert_int_equal(ask(core, &asked)->reply.error, BG_ERROR_MALFORMED); /* no count */
        bg_arena_deinit(&asked.arena);
        bg_core_free(core);
}

static void test_outlook_only_when_asked_for(void **state)
{
        BgCore *core = grown(BG_FORECASTER_POOLED);
        struct asked asked = question(BG_QUERY_GET, "org/model");
        const BgOutlook *outlook;

        (void)state;
        assert_int_equal(ask(core, &asked)->reply.outlooks.n, 0);
        asked.request.outlook = true;
        assert_int_equal(ask(core, &asked)->reply.outlooks.n, 1);
        outlook = &asked.reply.outlooks.items[0];
        assert_rising(outlook->ultimate);
        assert_rising(outlook->impact_days);
        assert_rising(outlook->peak_days);
        assert_true(outlook->ultimate->q05 >= 400 && outlook->ultimate->q50 >= median_at(core, 1826.25));
        assert_true(outlook->impact_days->q05 > 0 && outlook->peak_past >= 0 && outlook->peak_past <= 1);
        /* the middle of the impact time is the published one */
        assert_true(fabs(log(outlook->impact_days->q50 / asked.reply.forecasts.items[0].impact_days)) < 1e-5);
        assert_true(fabs(log(outlook->impact_days->q90 / outlook->impact_days->q50) / 1.2815515655446004 -
                         asked.reply.forecasts.items[0].parameters->mu_sd) < 1e-5);
        bg_arena_deinit(&asked.arena);
        bg_core_free(core);
}

/* A revision knows the one before it, also after it went through the store's bytes. */
static void test_why_compares_with_the_revision_before(void **state)
{
        BgCore *core = grown(BG_FORECASTER_POOLED);
        struct asked first = question(BG_QUERY_WHY, "org/model"), second = first;
        const BgForecast *before, *now;
        BgBuffer bytes = { 0 }, again = { 0 };
        BgArena arena = { 0 };
        BgForecast unpacked;
        BgIssued *issued;
        double expected;

        (void)state;
        before = &ask(core, &first)->reply.forecasts.items[0];
        assert_null(before->why->before);
        expected = before->rate * 10;
        for (unsigned i = 0; i < 30; i++)
                send_add(core, "org/model", 1000 + i, START + 200 * DAY + (i + 1) * (DAY / 3));
        pass(core, START + 210 * DAY);
        now = &ask(core, &second)->reply.forecasts.items[0];
        assert_non_null(now->why->before);
        assert_int_equal(now->why->added, 30);
        assert_int_equal(now->why->before->count, before->count);
        assert_int_equal(now->why->before->as_of, before->as_of);
        assert_true(now->why->before->lambda == before->parameters->lambda && now->why->before->mu == before->parameters->mu);
        assert_true(now->why->before->sigma == before->parameters->sigma);
        assert_true(now->why->before->days == 90 && now->why->before->q50 == before->horizons.items[2].q50);
        assert_true(fabs(now->why->before->expected / expected - 1) < .1);
        assert_int_equal(second.reply.surges.n, 0);

        assert_int_equal(bg_proto_pack(&bg_proto_forecast, now, &bytes), 0);
        assert_int_equal(bg_proto_unpack(&bg_proto_forecast, bytes.data, bytes.len, &arena, &unpacked, NULL), 0);
        issued = bg_issued_from_message(&unpacked);
        assert_non_null(issued);
        assert_int_equal(bg_issued_message(core, bg_registry_series(core->registry, 0), issued, &arena, &unpacked), 0);
        assert_int_equal(bg_proto_pack(&bg_proto_forecast, &unpacked, &again), 0);
        assert_int_equal(bytes.len, again.len);
        assert_memory_equal(bytes.data, again.data, bytes.len);
        free(issued);
        bg_arena_deinit(&arena);
        bg_buffer_deinit(&bytes);
        bg_buffer_deinit(&again);
        bg_arena_deinit(&first.arena);
        bg_arena_deinit(&second.arena);
        bg_core_free(core);
}

/* One child every other day for half a year, then fifty of other people within a day: an incident, listed and explained. */
static void test_incidents_are_listed_and_explained(void **state)
{
        BgCore *core = core_new(BG_FORECASTER_POOLED);
        struct asked asked = question(BG_QUERY_SURGES, NULL);
        char id[65];

        (void)state;
        for (unsigned i = 0; i < 100; i++) {
                send_add(core, "org/quiet", i, START + 2 * i * DAY);
                send_add(core, "org/model", i, START + 2 * i * DAY);
                pass(core, START + 2 * i * DAY + DAY);
        }
        assert_int_equal(ask(core, &asked)->reply.total, 0);
        for (unsigned i = 0; i < 50; i++)
                send_add(core, "org/model", 1000 + i, START + 200 * DAY + i * (DAY / 50));
        pass(core, START + 201 * DAY);

        asked.request.open = true;
        assert_int_equal(ask(core, &asked)->reply.total, 1);
        assert_int_equal(asked.reply.surges.n, 1);
        assert_int_equal(asked.reply.surges.items[0].kind, BG_SURGE_KIND_SURGE);
        assert_true(asked.reply.surges.items[0].id.len < sizeof(id));
        snprintf(id, sizeof(id), "%.*s", (int)asked.reply.surges.items[0].id.len, asked.reply.surges.items[0].id.data);
        asked.request.model = BG_STR("org/quiet");
        assert_int_equal(ask(core, &asked)->reply.total, 0);
        asked.request.model = BG_STR("org/model");
        assert_int_equal(ask(core, &asked)->reply.total, 1);
        asked.request.offset = 1;
        assert_int_equal(ask(core, &asked)->reply.surges.n, 0);

        asked.request = question(BG_QUERY_WHY, NULL).request;
        asked.request.target = bg_str(id);
        ask(core, &asked);
        assert_int_equal(asked.reply.surges.n, 1);
        assert_true(bg_str_equal(asked.reply.surges.items[0].id, bg_str(id)));
        assert_true(bg_str_equal(asked.reply.forecasts.items[0].model, BG_STR("org/model")));
        assert_int_equal(asked.reply.forecasts.items[0].status, BG_STATUS_SURGING);

        asked.request = question(BG_QUERY_WHY, "org/model").request; /* of the model: the open incident comes along */
        assert_int_equal(ask(core, &asked)->reply.surges.n, 1);
        asked.request.model = BG_STR("org/quiet");
        assert_int_equal(ask(core, &asked)->reply.surges.n, 0);
        bg_arena_deinit(&asked.arena);
        bg_core_free(core);
}

/* Outcomes fall due: receipts are there, add up to what was forecast, and go into the forecasts. */
static void test_receipts(void **state)
{
        BgCore *core = core_new(BG_FORECASTER_POOLED);
        struct asked asked = question(BG_QUERY_STATS, NULL);
        int64_t n_week = 0;

        (void)state;
        assert_int_equal(ask(core, &asked)->reply.stats->receipts.n, 0);
        for (unsigned day = 1; day < 200; day++) {
                for (unsigned k = 0; k < 12; k++) {
                        char model[32];

                        snprintf(model, sizeof(model), "org/model-%u", k);
                        for (unsigned i = 0; i <= k; i++)
                                send_add(core, model, day * 100 + i, START + day * DAY + i * SECOND);
                }
                pass(core, START + day * DAY + DAY / 2);
        }
        ask(core, &asked);
        for (size_t i = 0; i < asked.reply.stats->receipts.n; i++) {
                const BgCoverage *c = &asked.reply.stats->receipts.items[i];

                assert_true(c->n > 0 && c->c50 >= 0 && c->c50 <= c->c80 && c->c80 <= c->c90 && c->c90 <= 1 && c->lwis >= 0);
                n_week += c->days == 7 ? c->n : 0;
        }
        assert_in_range(n_week, 12 * 25, 12 * 36); /* an origin a week and model, and those of all horizons once a month; the last still wait */
        bg_arena_deinit(&asked.arena);
        bg_core_free(core);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_milestones),
                cmocka_unit_test(test_typed_errors),
                cmocka_unit_test(test_outlook_only_when_asked_for),
                cmocka_unit_test(test_why_compares_with_the_revision_before),
                cmocka_unit_test(test_incidents_are_listed_and_explained),
                cmocka_unit_test(test_receipts),
        };

        return cmocka_run_group_tests_name("answers", tests, NULL, NULL);
}
