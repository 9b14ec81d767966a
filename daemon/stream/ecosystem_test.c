/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Aggregates as a subscriber and a questioner see them, against sums made by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/stream/ecosystem.h"
#include "daemon/stream/testing.h"

#define SECOND INT64_C(1000000)
#define DAY (86400 * SECOND)
#define START (BG_TIME_MIN + 3000 * DAY)

struct heard {
        BgBuffer bytes; /* every org and ecosystem message, in order */
        size_t n_orgs, n_ecosystems;
        char last_org[64];
        int64_t rev, prev_rev, seq;
};

static void on_org(void *data, const BgOrg *org)
{
        struct heard *heard = data;

        assert_true(org->seq > heard->seq);
        heard->seq = org->seq;
        heard->n_orgs++;
        heard->rev = org->rev;
        heard->prev_rev = org->prev_rev;
        snprintf(heard->last_org, sizeof(heard->last_org), "%.*s", (int)org->org.len, org->org.data);
        assert_int_equal(bg_proto_pack(&bg_proto_org, org, &heard->bytes), 0);
}

static void on_ecosystem(void *data, const BgEcosystem *ecosystem)
{
        struct heard *heard = data;

        assert_true(ecosystem->seq > heard->seq);
        heard->seq = ecosystem->seq;
        heard->n_ecosystems++;
        assert_int_equal(bg_proto_pack(&bg_proto_ecosystem, ecosystem, &heard->bytes), 0);
}

static void on_forecast(void *data, const BgForecast *forecast)
{
        ((struct heard *)data)->seq = forecast->seq;
}

static void on_surge(void *data, const BgSurge *surge)
{
        ((struct heard *)data)->seq = surge->seq;
}

static BgCore *core_of(struct heard *heard)
{
        BgCoreSpec spec = bg_core_spec_default();
        BgCoreSink sink = { .forecast = on_forecast, .surge = on_surge, .org = on_org, .ecosystem = on_ecosystem, .data = heard };
        BgCore *core = NULL;

        assert_int_equal(bg_core_new(&core, &spec, sink, NULL, NULL, START), 0);
        return core;
}

static void send(BgCore *core, const BgEvent *event)
{
        BgReject reason;
        int r = bg_core_apply(core, BG_STR("test"), event, START + 3000 * DAY, &reason);

        if (r && !(event->type == BG_EVENT_ALIVE && r == BG_CORE_E_DUPLICATE)) /* an event may have told so much already */
                fail_msg("an event was not taken: %d, %s", r, bg_proto_reject_name(reason));
}

static void release(BgCore *core, const char *model, int64_t at)
{
        send(core, &(BgEvent){ .type = BG_EVENT_RELEASE, .model = bg_str(model), .at = at });
}

static void children(BgCore *core, const char *model, BgRelation relation, int n, int64_t from, int64_t step)
{
        static unsigned serial;
        char name[64];

        for (int i = 0; i < n; i++) {
                snprintf(name, sizeof(name), "author-%u/child-%u", serial % 997, serial);
                serial++;
                send(core, &(BgEvent){ .type = BG_EVENT_ADD, .model = bg_str(model), .child = bg_str(name), .at = from + i * step,
                                       .relation = relation });
        }
}

static void alive(BgCore *core, int64_t at)
{
        send(core, &(BgEvent){ .type = BG_EVENT_ALIVE, .at = at });
}

static void refit(BgCore *core, int64_t now)
{
        BgRefitJob *job;

        while ((job = bg_core_take(core, 200, now))) {
                bg_refit_run(job);
                bg_core_adopt(core, job, now);
        }
}

/** In steps of so many, to the end. */
static void aggregate(BgCore *core, int64_t now, size_t step)
{
        BgEcosystemJob *job = bg_core_ecosystem_begin(core, now);

        assert_non_null(job);
        assert_null(bg_core_ecosystem_begin(core, now)); /* one at a time */
        assert_false(bg_core_ecosystem_due(core, now));
        while (bg_core_ecosystem_collect(core, job, step) == BG_CORE_E_MORE)
                ;
        bg_ecosystem_run(job);
        while (bg_core_ecosystem_adopt(core, job, step, now) == BG_CORE_E_MORE)
                ;
}

static BgReply *ask(BgCore *core, BgArena *arena, const BgRequest *request, int64_t now)
{
        BgReply *reply = bg_arena_alloc(arena, 1, sizeof(*reply));

        assert_non_null(reply);
        bg_proto_init(&bg_proto_reply, reply);
        assert_int_equal(bg_core_query(core, request, now, arena, reply), 0);
        return reply;
}

static const BgOrg *ask_org(BgCore *core, BgArena *arena, const char *name, BgRelation relation, int64_t now)
{
        BgRequest request = { .query = BG_QUERY_ORG, .target = bg_str(name), .relation = relation };
        BgReply *reply = ask(core, arena, &request, now);

        assert_int_equal(reply->error, 0);
        assert_int_equal(reply->orgs.n, 1);
        return reply->orgs.items;
}

/*
 * alpha: a1 has 40 children in 400 days (6 at 60.875 d, 18 or 19 at half a year), a2 none, a3 is 30 days old with 5;
 * beta: b1 has 2 adapters and no fine-tune; gamma's only model has a guessed release.
 */
static void small_hub(BgCore *core)
{
        release(core, "alpha/a1", START);
        release(core, "alpha/a2", START);
        release(core, "beta/b1", START + 100 * DAY);
        children(core, "alpha/a1", BG_RELATION_FINETUNE, 40, START + 10 * DAY, 10 * DAY);
        children(core, "beta/b1", BG_RELATION_ADAPTER, 2, START + 101 * DAY, DAY);
        children(core, "gamma/g1", BG_RELATION_FINETUNE, 3, START + 200 * DAY, DAY);
        release(core, "alpha/a3", START + 370 * DAY);
        children(core, "alpha/a3", BG_RELATION_FINETUNE, 5, START + 371 * DAY, 5 * DAY);
        alive(core, START + 400 * DAY);
        refit(core, START + 400 * DAY);
}

static void test_sums_made_by_hand(void **state)
{
        struct heard heard = { 0 };
        BgCore *core = core_of(&heard);
        int64_t now = START + 400 * DAY + SECOND;
        BgArena arena = { 0 };
        const BgEcosystem *all;
        const BgOrg *alpha, *beta;

        (void)state;
        small_hub(core);
        alpha = ask_org(core, &arena, "alpha", BG_RELATION_FINETUNE, now);
        assert_int_equal(alpha->models, 3);
        assert_int_equal(alpha->with_children, 2);
        assert_int_equal(alpha->children, 45);
        assert_int_equal(alpha->new_30d, 3 + 5); /* a1 in (370, 400] d: at 380, 390 and 400; all of a3 */
        assert_int_equal(alpha->largest_count, 40);
        assert_true(bg_str_equal(alpha->largest, BG_STR("alpha/a1")));
        assert_int_equal(alpha->ok->n + alpha->weak->n, 2);
        assert_int_equal(alpha->ages.n, 3);
        assert_int_equal(alpha->ages.items[0].n, 2); /* a3 is too young */
        assert_float_equal(alpha->ages.items[0].count->mean, 3, 1e-6); /* (6 + 0) / 2 */
        assert_float_equal(alpha->ages.items[1].count->mean, 9, 1e-6);
        assert_float_equal(alpha->ages.items[2].count->q50, 18, 1e-6); /* 36 and 0 */
        assert_float_equal(alpha->share, 45.0 / 48, 1e-12);

        beta = ask_org(core, &arena, "beta", BG_RELATION_FINETUNE, now);
        assert_int_equal(beta->models, 1);
        assert_int_equal(beta->children, 0);
        assert_float_equal(beta->ages.items[0].count->mean, 0, 0); /* known to be none, not unknown */
        assert_int_equal(beta->ok->n + beta->weak->n, 0);
        assert_null(beta->ok->lambda);
        beta = ask_org(core, &arena, "beta/", BG_RELATION_ADAPTER, now); /* how one begins a model's name */
        assert_int_equal(beta->relation, BG_RELATION_ADAPTER);
        assert_int_equal(beta->children, 2);
        assert_float_equal(beta->share, 1, 0);
        /* a guessed release says nothing of ages, but counts else */
        assert_int_equal(ask_org(core, &arena, "gamma", BG_RELATION_FINETUNE, now)->ages.items[0].n, 0);
        assert_int_equal(ask_org(core, &arena, "gamma", BG_RELATION_FINETUNE, now)->children, 3);

        all = ask(core, &arena, &(BgRequest){ .query = BG_QUERY_ECOSYSTEM }, now)->ecosystem;
        assert_int_equal(all->models, 5);
        assert_int_equal(all->with_children, 3);
        assert_int_equal(all->children, 48);
        assert_int_equal(all->orgs, 3);
        assert_int_equal(all->n_80, 1); /* 40 of 48 are over 80 % */
        assert_float_equal(all->share_80, .2, 1e-12);
        assert_float_equal(all->gini, 2 * (3 * 3 + 4 * 5 + 5 * 40) / (5 * 48.0) - 6 / 5.0, 1e-12); /* 0 0 3 5 40 */
        assert_int_equal(all->top.n, 2);
        assert_true(bg_str_equal(all->top.items[0].org, BG_STR("alpha")));
        assert_true(bg_str_equal(all->top.items[1].org, BG_STR("gamma")));
        assert_int_equal(all->growing.n, 1);
        assert_float_equal(all->lorenz.items[20], 1, 0);
        assert_float_equal(all->lorenz.items[16], 8 / 48.0, 1e-12);

        assert_int_equal(ask(core, &arena, &(BgRequest){ .query = BG_QUERY_ORG, .target = BG_STR("delta") }, now)->error, BG_ERROR_NOT_FOUND);
        assert_int_equal(ask(core, &arena, &(BgRequest){ .query = BG_QUERY_ECOSYSTEM, .relation = BG_RELATION_MERGE }, now)->error,
                         BG_ERROR_NOT_FOUND);
        bg_arena_deinit(&arena);
        bg_buffer_deinit(&heard.bytes);
        bg_core_free(core);
}

static void test_nothing_counted_is_no_ecosystem(void **state)
{
        struct heard heard = { 0 };
        BgCore *core = core_of(&heard);
        BgArena arena = { 0 };

        (void)state;
        assert_false(bg_core_ecosystem_due(core, START));
        assert_int_equal(ask(core, &arena, &(BgRequest){ .query = BG_QUERY_ECOSYSTEM }, START)->error, BG_ERROR_NOT_FOUND);
        assert_int_equal(ask(core, &arena, &(BgRequest){ .query = BG_QUERY_ORG }, START)->error, BG_ERROR_NOT_FOUND);
        bg_arena_deinit(&arena);
        bg_core_free(core);
}

static void test_published_when_it_changed_and_not_else(void **state)
{
        struct heard heard = { 0 };
        BgCore *core = core_of(&heard);
        int64_t now = START + 400 * DAY;

        (void)state;
        small_hub(core);
        assert_true(bg_core_ecosystem_due(core, now));
        aggregate(core, now, 1);
        assert_int_equal(heard.n_orgs, 4); /* alpha, beta and gamma by fine-tunes, beta by adapters */
        assert_int_equal(heard.n_ecosystems, 2);
        assert_int_equal(heard.rev, 1);
        assert_false(bg_core_ecosystem_due(core, now + 10 * DAY)); /* nothing happened since */

        /* one child more for alpha: 2 % */
        children(core, "alpha/a1", BG_RELATION_FINETUNE, 1, START + 400 * DAY + 60 * SECOND, DAY);
        assert_false(bg_core_ecosystem_due(core, now + 60 * SECOND)); /* not before the hour */
        assert_true(bg_core_ecosystem_due(core, now + 3601 * SECOND));
        aggregate(core, now + 3601 * SECOND, 2);
        assert_int_equal(heard.n_orgs, 5);
        assert_string_equal(heard.last_org, "alpha");
        assert_int_equal(heard.rev, 2);
        assert_int_equal(heard.prev_rev, 1);
        assert_int_equal(heard.n_ecosystems, 3); /* 1 of 48 more */

        /* the same again is nothing new */
        aggregate(core, now + 3700 * SECOND, SIZE_MAX);
        assert_int_equal(heard.n_orgs, 5);
        assert_int_equal(heard.n_ecosystems, 3);
        bg_buffer_deinit(&heard.bytes);
        bg_core_free(core);
}

static void test_a_hair_waits_for_a_day(void **state)
{
        struct heard heard = { 0 };
        BgCore *core = core_of(&heard);
        int64_t end = START + 1000 * DAY;

        (void)state;
        release(core, "alpha/a1", START);
        children(core, "alpha/a1", BG_RELATION_FINETUNE, 1000, START + DAY, DAY / 2); /* the last one 500 days ago */
        alive(core, end);
        aggregate(core, end, SIZE_MAX);
        assert_int_equal(heard.n_orgs, 1);
        children(core, "alpha/a1", BG_RELATION_FINETUNE, 1, START + 500 * DAY, DAY); /* a late one: a thousandth */
        alive(core, end + DAY / 2);
        aggregate(core, end + DAY / 2, SIZE_MAX);
        assert_int_equal(heard.n_orgs, 1);
        alive(core, end + DAY);
        aggregate(core, end + DAY, SIZE_MAX);
        assert_int_equal(heard.n_orgs, 2);
        aggregate(core, end + 3 * DAY, SIZE_MAX); /* nothing since: not even after days */
        assert_int_equal(heard.n_orgs, 2);
        bg_buffer_deinit(&heard.bytes);
        bg_core_free(core);
}

static void test_renamed_and_merged_models_move(void **state)
{
        struct heard heard = { 0 };
        BgCore *core = core_of(&heard);
        int64_t now = START + 400 * DAY;
        BgArena arena = { 0 };

        (void)state;
        small_hub(core);
        aggregate(core, now, SIZE_MAX);
        send(core, &(BgEvent){ .type = BG_EVENT_MOVE, .from_name = BG_STR("gamma/g1"), .to_name = BG_STR("beta/g1"), .at = now });
        send(core, &(BgEvent){ .type = BG_EVENT_MOVE, .from_name = BG_STR("alpha/a2"), .to_name = BG_STR("alpha/a1"), .at = now });
        assert_int_equal(ask_org(core, &arena, "beta", BG_RELATION_FINETUNE, now + 2 * SECOND)->children, 3);
        assert_int_equal(ask_org(core, &arena, "alpha", BG_RELATION_FINETUNE, now + 2 * SECOND)->models, 2);
        assert_int_equal(ask(core, &arena, &(BgRequest){ .query = BG_QUERY_ORG, .target = BG_STR("gamma") }, now + 2 * SECOND)->error,
                         BG_ERROR_NOT_FOUND);
        bg_arena_deinit(&arena);
        bg_buffer_deinit(&heard.bytes);
        bg_core_free(core);
}

static void random_hub(BgCore *core, int n_models, int n_orgs)
{
        char name[64];

        for (int i = 0; i < n_models; i++) {
                int n = (int)(testing_random() % 4 ? testing_random() % 3 : testing_random() % 60);
                int64_t released = START + (int64_t)(testing_random() % 500) * DAY;

                snprintf(name, sizeof(name), "org-%d/model-%d", (int)(testing_random() % (uint64_t)n_orgs), i);
                release(core, name, released);
                children(core, name, (BgRelation)(testing_random() % 3), n, released + DAY, 7 * DAY);
        }
        alive(core, START + 1000 * DAY);
        refit(core, START + 1000 * DAY);
}

/** Whatever the size of the steps, the same messages, to the bit. */
static void test_steps_do_not_show(void **state)
{
        struct heard whole = { 0 }, steps = { 0 };
        BgCore *core;

        (void)state;
        core = core_of(&whole);
        testing_state = testing_seed;
        random_hub(core, 300, 40);
        aggregate(core, START + 1000 * DAY, SIZE_MAX);
        bg_core_free(core);
        core = core_of(&steps);
        testing_state = testing_seed;
        random_hub(core, 300, 40);
        aggregate(core, START + 1000 * DAY, 7);
        bg_core_free(core);
        assert_int_equal(whole.bytes.len, steps.bytes.len);
        assert_memory_equal(whole.bytes.data, steps.bytes.data, whole.bytes.len);
        assert_int_equal(whole.n_ecosystems, 3);
        bg_buffer_deinit(&whole.bytes);
        bg_buffer_deinit(&steps.bytes);
}

/** The parts make up the whole, and the expectation lies between the organisation's own models and all. */
static void test_organisations_add_up(void **state)
{
        struct heard heard = { 0 };
        BgCore *core = core_of(&heard);
        BgRequest request = { .query = BG_QUERY_ORG, .limit = 10000 };
        int64_t now = START + 1000 * DAY, sum = 0, models = 0, with_children = 0, growth = 0, fits = 0, bins = 0, before = INT64_MAX;
        BgArena arena = { 0 };
        const BgEcosystem *all;
        BgReply *reply;

        (void)state;
        random_hub(core, 400, 50);
        reply = ask(core, &arena, &request, now);
        all = ask(core, &arena, &(BgRequest){ .query = BG_QUERY_ECOSYSTEM }, now)->ecosystem;
        assert_int_equal(reply->total, all->orgs);
        assert_int_equal(reply->orgs.n, all->orgs);
        for (size_t i = 0; i < reply->orgs.n; i++) {
                const BgOrg *org = &reply->orgs.items[i];

                assert_true(org->children <= before); /* largest first */
                before = org->children;
                sum += org->children;
                models += org->models;
                with_children += org->with_children;
                growth += org->new_30d;
                fits += org->ok->n;
                for (size_t k = 0; k < org->ages.n; k++) {
                        const BgAged *own = &org->ages.items[k], *whole = &all->ages.items[k];
                        const BgExpected *e = own->expected;

                        assert_non_null(e);
                        assert_true(e->q05 <= e->q10 && e->q10 <= e->q25 && e->q25 <= e->q50 && e->q50 <= e->q75 && e->q75 <= e->q90 &&
                                    e->q90 <= e->q95);
                        if (own->n)
                                assert_float_equal(e->mean, own->weight * own->count->mean + (1 - own->weight) * whole->count->mean, 1e-3);
                        assert_true(own->weight >= 0 && own->weight < 1);
                }
        }
        assert_int_equal(sum, all->children);
        assert_int_equal(models, all->models);
        assert_int_equal(with_children, all->with_children);
        assert_int_equal(growth, all->new_30d);
        assert_int_equal(fits, all->ok->n);
        assert_true(all->ok->n > 3);
        for (size_t k = 0; k < all->lambda->counts.n; k++)
                bins += all->lambda->counts.items[k];
        assert_int_equal(bins, all->ok->n);
        assert_true(fabs(all->lambda_mu) <= 1);
        request = (BgRequest){ .query = BG_QUERY_ORG, .sort = BG_SORT_NAME, .prefix = BG_STR("org-1"), .limit = 2, .offset = 1 };
        reply = ask(core, &arena, &request, now);
        assert_int_equal(reply->total, 11); /* org-1 and org-10 .. org-19 */
        assert_int_equal(reply->orgs.n, 2);
        assert_true(bg_str_equal(reply->orgs.items[0].org, BG_STR("org-10")));
        bg_arena_deinit(&arena);
        bg_buffer_deinit(&heard.bytes);
        bg_core_free(core);
}

struct counted {
        size_t n_orgs, n_ecosystems, n_forecasts;
};

static int count_value(void *data, const BgCoreValue *value)
{
        struct counted *counted = data;

        counted->n_orgs += value->org != NULL;
        counted->n_ecosystems += value->ecosystem != NULL;
        counted->n_forecasts += value->forecast != NULL;
        return 0;
}

static struct counted last_values(BgCore *core, const char *prefix, size_t step)
{
        struct counted counted = { 0 };
        uint32_t cursor = 0;
        int r;

        do
                r = bg_core_step_last(core, bg_str(prefix), &cursor, step, count_value, &counted);
        while (r == BG_CORE_E_MORE);
        assert_int_equal(r, 0);
        return counted;
}

static void test_last_values_by_topic(void **state)
{
        struct heard heard = { 0 };
        BgCore *core = core_of(&heard);
        struct counted counted;

        (void)state;
        small_hub(core);
        assert_int_equal(last_values(core, "org/", 1).n_orgs, 0); /* not computed yet */
        aggregate(core, START + 400 * DAY, SIZE_MAX);
        for (size_t step = 1; step < 5; step++) {
                counted = last_values(core, "", step);
                assert_int_equal(counted.n_orgs, 4);
                assert_int_equal(counted.n_ecosystems, 2);
                assert_int_equal(counted.n_forecasts, 4);
                counted = last_values(core, "org/", step);
                assert_int_equal(counted.n_orgs, 4);
                assert_int_equal(counted.n_forecasts + counted.n_ecosystems, 0);
                assert_int_equal(last_values(core, "org/beta/", step).n_orgs, 2); /* both relations */
                assert_int_equal(last_values(core, "org/bet", step).n_orgs, 2);
                assert_int_equal(last_values(core, "org/beta/b1/", step).n_orgs, 0);
                assert_int_equal(last_values(core, "ecosystem/", step).n_ecosystems, 2);
                assert_int_equal(last_values(core, "forecast/alpha/a1/", step).n_orgs, 0);
        }
        bg_buffer_deinit(&heard.bytes);
        bg_core_free(core);
}

/** Counts as large as a tally may say add up to more than one series can have, and can be told. */
static void test_sums_of_the_largest_counts(void **state)
{
        struct heard heard = { 0 };
        BgCore *core = core_of(&heard);
        BgArena arena = { 0 };
        char name[32];

        (void)state;
        for (int i = 0; i < 5; i++) {
                snprintf(name, sizeof(name), "alpha/m%d", i);
                send(core, &(BgEvent){ .type = BG_EVENT_TALLY, .model = bg_str(name), .from = START, .to = START + DAY, .count = BG_COUNT_MAX });
        }
        aggregate(core, START + DAY, SIZE_MAX); /* the sink packs them: what is out of range ends the program */
        assert_int_equal(heard.n_orgs, 1);
        assert_int_equal(ask_org(core, &arena, "alpha", BG_RELATION_FINETUNE, START + 2 * DAY)->children, 5 * BG_COUNT_MAX);
        bg_arena_deinit(&arena);
        bg_buffer_deinit(&heard.bytes);
        bg_core_free(core);
}

/** A job dropped at any step leaves nothing behind, and the next one is whole. */
static void test_abandoned_at_any_step(void **state)
{
        struct heard heard = { 0 };
        BgCore *core = core_of(&heard);
        BgEcosystemJob *job;

        (void)state;
        small_hub(core);
        job = bg_core_ecosystem_begin(core, START + 400 * DAY);
        bg_core_ecosystem_abandon(core, job);
        job = bg_core_ecosystem_begin(core, START + 400 * DAY);
        assert_int_equal(bg_core_ecosystem_collect(core, job, 2), BG_CORE_E_MORE);
        bg_core_ecosystem_abandon(core, job);
        job = bg_core_ecosystem_begin(core, START + 400 * DAY);
        bg_core_ecosystem_collect(core, job, SIZE_MAX);
        bg_ecosystem_run(job);
        assert_int_equal(bg_core_ecosystem_adopt(core, job, 1, START + 400 * DAY), BG_CORE_E_MORE);
        assert_int_equal(heard.n_orgs, 1);
        bg_core_ecosystem_abandon(core, job);
        aggregate(core, START + 400 * DAY, SIZE_MAX);
        assert_int_equal(heard.n_ecosystems, 2);
        bg_core_ecosystem_begin(core, START + 400 * DAY); /* the core's end drops it */
        bg_buffer_deinit(&heard.bytes);
        bg_core_free(core);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_sums_made_by_hand),
                cmocka_unit_test(test_nothing_counted_is_no_ecosystem),
                cmocka_unit_test(test_published_when_it_changed_and_not_else),
                cmocka_unit_test(test_a_hair_waits_for_a_day),
                cmocka_unit_test(test_renamed_and_merged_models_move),
                cmocka_unit_test(test_steps_do_not_show),
                cmocka_unit_test(test_organisations_add_up),
                cmocka_unit_test(test_last_values_by_topic),
                cmocka_unit_test(test_sums_of_the_largest_counts),
                cmocka_unit_test(test_abandoned_at_any_step),
        };

        testing_seed_init();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
