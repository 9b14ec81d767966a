/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The ring of hours against a plain list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/stream/schedule.h"

enum { N = 500 };

static uint64_t random_state = 2463534242u;
static uint32_t random_below(uint32_t n)
{
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        return (uint32_t)(random_state >> 33) % n;
}

struct world {
        BgSchedule schedule;
        BgSecond due[N];
        bool in[N];
        unsigned came[N];
        BgSecond now;
};

static void each(void *data, BgSeriesId id)
{
        struct world *world = data;

        assert_true(world->in[id]);
        if (world->due[id] / 3600 > world->now / 3600) { /* early: put back, as its owner does */
                assert_int_equal(bg_schedule_put(&world->schedule, id, world->due[id]), 0);
                return;
        }
        world->in[id] = false;
        world->came[id]++;
}

static void test_random(void **state)
{
        struct world *world = test_calloc(1, sizeof(*world));

        (void)state;
        print_message("# seed %llu\n", (unsigned long long)random_state);
        world->now = 400000000;
        for (int step = 0; step < 4000; step++) {
                uint32_t id = random_below(N);

                if (!world->in[id]) {
                        world->in[id] = true;
                        world->due[id] = world->now + random_below(random_below(4) ? 90000 : 60 * 86400 * 3);
                        assert_int_equal(bg_schedule_put(&world->schedule, id, world->due[id]), 0);
                }
                world->now += random_below(random_below(50) ? 4000 : 100 * 86400);
                bg_schedule_advance(&world->schedule, world->now, each, world);
                for (int i = 0; i < N; i++) /* nothing due in a finished hour is still in */
                        assert_false(world->in[i] && world->due[i] / 3600 < world->now / 3600);
        }
        world->now += 400 * 86400;
        bg_schedule_advance(&world->schedule, world->now, each, world);
        for (int i = 0; i < N; i++)
                assert_false(world->in[i]);
        assert_int_equal(world->schedule.n, 0);
        assert_int_equal(bg_schedule_next(&world->schedule), UINT32_MAX);
        bg_schedule_deinit(&world->schedule);
        test_free(world);
}

static void test_overdue_comes_next(void **state)
{
        struct world *world = test_calloc(1, sizeof(*world));

        (void)state;
        world->now = 1000 * 3600;
        world->in[7] = true;
        world->due[7] = world->now;
        assert_int_equal(bg_schedule_put(&world->schedule, 7, world->due[7]), 0);
        world->in[8] = true;
        world->due[8] = 5 * 3600; /* long ago, put in after the clock had moved on */
        bg_schedule_advance(&world->schedule, world->now, each, world);
        assert_int_equal(bg_schedule_put(&world->schedule, 8, world->due[8]), 0);
        world->now += 3600;
        bg_schedule_advance(&world->schedule, world->now, each, world);
        assert_int_equal(world->came[7], 1);
        assert_int_equal(world->came[8], 1);
        bg_schedule_deinit(&world->schedule);
        test_free(world);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_random), cmocka_unit_test(test_overdue_comes_next) };

        return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
