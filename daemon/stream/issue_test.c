/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Publishing with judgement: few revisions in a storm, the last one right, nothing untold for long. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/stream/core.h"
#include "daemon/stream/core_private.h"
#include "daemon/stream/testing.h"

#define MS INT64_C(1000)
#define SECOND (1000 * MS)
#define MINUTE (60 * SECOND)
#define DAY (86400 * SECOND)
#define START (BG_TIME_MIN + 3000 * DAY)
#define SETTLE (5 * SECOND)

typedef struct World {
        BgCore *core;
        int64_t now;
        int64_t n_events;
        int64_t n_revisions;
        int64_t last_at;
        int64_t shortest; /* time between two revisions */
        int64_t last_count;
        int64_t last_rev;
        int64_t told;     /* children, by the revisions' whys */
        double last_q50_90;
} World;

static void on_forecast(void *data, const BgForecast *forecast)
{
        World *world = data;

        assert_int_equal(forecast->prev_rev, world->last_rev);
        assert_int_equal(forecast->rev, world->last_rev + 1);
        if (world->n_revisions++ && forecast->at - world->last_at < world->shortest)
                world->shortest = forecast->at - world->last_at;
        world->last_at = forecast->at;
        world->last_rev = forecast->rev;
        world->last_count = forecast->count;
        world->told += forecast->why->added - forecast->why->removed;
        world->last_q50_90 = forecast->horizons.items[2].q50;
}

static World world_new(int64_t settle_us)
{
        World world = { .now = START, .shortest = INT64_MAX };
        BgCoreSpec spec = bg_core_spec_default();

        spec.settle_us = settle_us;
        spec.surge_threshold = 0;
        assert_int_equal(bg_core_new(&world.core, &spec, (BgCoreSink){ .forecast = on_forecast }, NULL, NULL, START), 0);
        return world;
}

static void world_point(World *world) /* the sink's data, once the world has its place */
{
        world->core->sink.data = world;
}

static void refit(World *world)
{
        BgRefitJob *job;

        while ((job = bg_core_take(world->core, 100, world->now))) {
                bg_refit_run(job);
                bg_core_adopt(world->core, job, world->now);
        }
}

/** As the daemon's timer: at each time that the core asks for. */
static void pass(World *world, int64_t until)
{
        for (;;) {
                int64_t due = bg_core_next_due(world->core);

                if (due > until)
                        break;
                world->now = due > world->now ? due : world->now + MS;
                if (world->now > until)
                        break;
                bg_core_advance(world->core, world->now);
                refit(world);
        }
        world->now = until;
}

static void add(World *world)
{
        char child[32];
        BgReject reason;
        BgEvent event = { .type = BG_EVENT_ADD, .model = BG_STR("org/model"), .at = world->now };

        snprintf(child, sizeof(child), "me/child-%lld", (long long)world->n_events);
        event.child = bg_str(child);
        assert_int_equal(bg_core_apply(world->core, BG_STR("test"), &event, world->now, &reason), 0);
        world->n_events++;
}

static void test_storm(void **state)
{
        World world = world_new(SETTLE);
        int64_t end;

        (void)state;
        world_point(&world);
        add(&world);
        pass(&world, START + 30 * DAY);
        world.n_revisions = 0;
        world.shortest = INT64_MAX;
        for (int i = 0; i < 1000; i++) {
                pass(&world, world.now + MINUTE / 1000);
                add(&world);
                refit(&world);
        }
        end = world.now;
        pass(&world, end + 10 * MINUTE);
        assert_in_range(world.n_revisions, 3, 7);
        assert_true(world.shortest >= SETTLE);
        assert_int_equal(world.last_count, 1001);
        assert_int_equal(world.told, 1001);
        assert_true(world.last_at <= end + SETTLE + SETTLE / 10);

        /* an hour of it: one a minute */
        world.n_revisions = 0;
        for (int i = 0; i < 3600; i++) {
                pass(&world, world.now + SECOND);
                add(&world);
                refit(&world);
        }
        assert_in_range(world.n_revisions, 55, 70);
        pass(&world, world.now + MINUTE);
        assert_int_equal(world.last_count, world.n_events);
        bg_core_free(world.core);
}

static void test_every_event_is_told_in_time(void **state)
{
        static const int64_t gaps[] = { 5 * MS, 50 * MS, SECOND, 4 * SECOND, 20 * SECOND, 10 * MINUTE, DAY / 2 };
        World world = world_new(SETTLE);

        (void)state;
        world_point(&world);
        for (int burst = 0; burst < 150; burst++) {
                int64_t gap = gaps[testing_between(0, sizeof(gaps) / sizeof(*gaps) - 1)];

                for (int64_t i = testing_between(1, 60); i > 0; i--) {
                        pass(&world, world.now + testing_between(0, gap));
                        add(&world);
                        if (testing_between(0, 2))
                                refit(&world);
                }
                refit(&world);
                if (testing_between(0, 1))
                        continue;
                pass(&world, world.now + SETTLE + SETTLE / 10); /* quiet */
                if (world.n_events > 1) /* a series of this very second has no age to fit */
                        assert_int_equal(world.last_count, world.n_events);
        }
        pass(&world, world.now + 2 * DAY);
        assert_int_equal(world.last_count, world.n_events);
        assert_int_equal(world.told, world.n_events); /* each child in one revision's why */
        assert_true(world.n_revisions < world.n_events);
        bg_core_free(world.core);
}

static void test_moves_are_judged(void **state)
{
        World world = world_new(SETTLE);
        int64_t before;

        (void)state;
        world_point(&world);
        for (int i = 0; i < 2000; i++) {
                world.now += DAY / 20;
                add(&world);
        }
        refit(&world);
        assert_int_equal(world.n_revisions, 1); /* the first one at once */
        world.now += 2 * MINUTE;
        add(&world);
        refit(&world);
        assert_int_equal(world.n_revisions, 2); /* small, but the last one is old */
        world.now += 10 * SECOND;
        before = world.now;
        add(&world);
        refit(&world);
        assert_int_equal(world.n_revisions, 2); /* small, and the last one is young */
        for (int i = 0; i < 500; i++)
                add(&world);
        refit(&world);
        assert_int_equal(world.n_revisions, 3); /* large, and older than `settle` */
        assert_int_equal(world.last_count, world.n_events);
        assert_int_equal(world.now, before);
        for (int i = 0; i < 500; i++)
                add(&world);
        refit(&world);
        assert_int_equal(world.n_revisions, 3); /* large, on its heels */
        pass(&world, world.now + 2 * SETTLE);
        assert_int_equal(world.n_revisions, 4);
        assert_int_equal(world.last_count, world.n_events);
        bg_core_free(world.core);
}

/** A daily renewal is told; one of a series whose counts end with a tally long ago has nothing to tell. */
static void test_renewals(void **state)
{
        World world = world_new(SETTLE);
        BgEvent tally = { .type = BG_EVENT_TALLY, .model = BG_STR("org/tallied"), .from = START, .to = START + 5 * DAY, .count = 50 };
        BgReject reason;
        int64_t before;

        (void)state;
        world_point(&world);
        for (int i = 0; i < 20; i++) {
                pass(&world, world.now + DAY / 4);
                add(&world);
                refit(&world);
        }
        before = world.n_revisions;
        for (int day = 0; day < 10; day++) {
                BgEvent alive = { .type = BG_EVENT_ALIVE, .at = world.now + DAY };

                pass(&world, world.now + DAY);
                assert_int_equal(bg_core_apply(world.core, BG_STR("test"), &alive, world.now, &reason), 0);
                bg_core_advance(world.core, world.now);
                refit(&world);
        }
        assert_in_range(world.n_revisions - before, 9, 10);
        bg_core_free(world.core);

        world = world_new(SETTLE);
        world_point(&world);
        world.now = START + 6 * DAY;
        assert_int_equal(bg_core_apply(world.core, BG_STR("test"), &tally, world.now, &reason), 0);
        refit(&world);
        assert_int_equal(world.n_revisions, 1);
        for (int day = 0; day < 10; day++) {
                BgEvent alive = { .type = BG_EVENT_ALIVE, .at = world.now + DAY };

                pass(&world, world.now + DAY);
                assert_int_equal(bg_core_apply(world.core, BG_STR("test"), &alive, world.now, &reason), 0);
                bg_core_advance(world.core, world.now);
                refit(&world);
        }
        assert_int_equal(world.n_revisions, 1);
        bg_core_free(world.core);
}

/** While a refit is held, the answers are those of the last revision, at any horizon; the live count is told apart. */
static void test_answers_are_of_the_revision(void **state)
{
        World world = world_new(SETTLE);
        double horizon = 90;
        BgRequest request = { .query = BG_QUERY_FORECAST, .model = BG_STR("org/model"), .horizons = { &horizon, 1 } };
        BgArena arena = { 0 };
        BgReply reply;

        (void)state;
        world_point(&world);
        for (int i = 0; i < 300; i++) {
                world.now += DAY / 10;
                add(&world);
        }
        refit(&world);
        for (int i = 0; i < 400; i++)
                add(&world);
        world.now += SECOND;
        refit(&world);
        assert_int_equal(world.n_revisions, 1);
        bg_proto_init(&bg_proto_reply, &reply);
        assert_int_equal(bg_core_query(world.core, &request, world.now, &arena, &reply), 0);
        assert_int_equal(reply.forecasts.items[0].rev, 1);
        assert_int_equal(reply.forecasts.items[0].count, 300);
        assert_true(reply.forecasts.items[0].horizons.items[0].q50 == world.last_q50_90);
        request.query = BG_QUERY_GET;
        bg_proto_init(&bg_proto_reply, &reply);
        assert_int_equal(bg_core_query(world.core, &request, world.now, &arena, &reply), 0);
        assert_int_equal(reply.forecasts.items[0].count, 300);
        assert_int_equal(reply.series.items[0].count, 700);
        pass(&world, world.now + SETTLE);
        assert_int_equal(world.n_revisions, 2);
        bg_arena_deinit(&arena);
        bg_core_free(world.core);
}

/** A clock that is set back by an hour does not hold anything for an hour. */
static void test_clock_set_back(void **state)
{
        World world = world_new(SETTLE);

        (void)state;
        world_point(&world);
        for (int i = 0; i < 100; i++) {
                world.now += DAY / 10;
                add(&world);
        }
        refit(&world);
        add(&world);
        refit(&world);
        assert_int_equal(world.n_revisions, 1);
        world.now -= 3600 * SECOND;
        bg_core_advance(world.core, world.now);
        assert_int_equal(world.n_revisions, 2);
        assert_int_equal(world.last_count, world.n_events);
        bg_core_free(world.core);
}

static void test_off(void **state)
{
        World world = world_new(0);

        (void)state;
        world_point(&world);
        for (int i = 0; i < 50; i++) {
                world.now += SECOND;
                add(&world);
                refit(&world);
        }
        assert_int_equal(world.n_revisions, 49); /* of the first second there is no age */
        bg_core_free(world.core);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_storm),          cmocka_unit_test(test_every_event_is_told_in_time),
                cmocka_unit_test(test_moves_are_judged), cmocka_unit_test(test_renewals),
                cmocka_unit_test(test_answers_are_of_the_revision), cmocka_unit_test(test_clock_set_back),
                cmocka_unit_test(test_off),
        };

        testing_seed_init();
        return cmocka_run_group_tests_name("issue", tests, NULL, NULL);
}
