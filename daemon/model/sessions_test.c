/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/model/sessions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "daemon/model/test_random.h"

enum { DAY = 86400 };

static bool count(BgSessions *s, uint64_t pair, uint32_t at_s)
{
        bool counted = false;

        assert_int_equal(bg_sessions_count(s, pair, at_s, &counted), 0);
        return counted;
}

static void an_author_counts_once_in_seven_days(void **state)
{
        BgSessions *s;

        (void)state;
        assert_int_equal(bg_sessions_new(&s), 0);
        assert_true(count(s, 42, 100 * DAY));
        assert_false(count(s, 42, 100 * DAY));
        assert_false(count(s, 42, 107 * DAY - 1));
        assert_true(count(s, 43, 107 * DAY - 1));
        assert_true(count(s, 42, 107 * DAY)); /* 7 d after the last *counted* one */
        assert_false(count(s, 42, 113 * DAY));
        /* late */
        assert_false(count(s, 42, 106 * DAY));
        assert_true(count(s, 44, 108 * DAY));
        assert_false(count(s, 44, 107 * DAY));
        assert_false(count(s, 45, 106 * DAY)); /* forgotten */
        /* the ends of time */
        assert_true(count(s, 46, UINT32_MAX));
        assert_false(count(s, 46, UINT32_MAX));
        assert_false(count(s, 47, 0));
        bg_sessions_free(s);
        bg_sessions_free(NULL);
        assert_int_equal(bg_sessions_new(&s), 0);
        assert_true(count(s, 47, 0));
        assert_false(count(s, 47, 5));
        bg_sessions_free(s);
}

/* against a plain array of last counted times, with expiry, growth, shrinking and colliding homes */
static void the_table_agrees_with_an_array(void **state)
{
        enum { PAIR_N = 30000 };
        static uint32_t last[PAIR_N];
        TestRandom random = { test_seed(7) };
        BgSessions *s;
        uint32_t now = 10 * DAY;

        (void)state;
        print_message("# seed %llu\n", (unsigned long long)random.state);
        for (unsigned i = 0; i < PAIR_N; ++i)
                last[i] = 0;
        assert_int_equal(bg_sessions_new(&s), 0);
        for (unsigned step = 0; step < 600000; ++step) {
                /* a busy phase over all pairs, then a quiet one over few, and again */
                bool busy = step / 100000 % 2 == 0;
                unsigned i = test_below(&random, busy ? PAIR_N : 300);
                /* three shards only, and homes in clusters of 16 */
                uint64_t pair = (uint64_t)(i % 3) << 56 | (uint64_t)i << 32 | (uint64_t)(i / 16 * 2654435761u);
                bool expect;

                now += test_below(&random, busy ? 30 : 120);
                expect = !last[i] || now - last[i] >= BG_SESSION_S;
                assert_int_equal(count(s, pair, now), expect);
                if (expect)
                        last[i] = now;
        }
        assert_true(bg_sessions_n(s) < PAIR_N);
        bg_sessions_free(s);
}

static void memory_follows_the_pairs_of_a_week(void **state)
{
        TestRandom random = { test_seed(8) };
        BgSessions *s;
        double per_pair;
        size_t most;

        (void)state;
        print_message("# seed %llu\n", (unsigned long long)random.state);
        assert_int_equal(bg_sessions_new(&s), 0);
        /* 1000 new pairs an hour: 168,000 are alive */
        for (unsigned i = 0; i < 1000 * 24 * 30; ++i)
                count(s, test_u64(&random), 100 * DAY + (uint32_t)(i * 3.6));
        most = bg_sessions_n(s);
        assert_in_range(most, 168000, 220000);
        per_pair = (double)bg_sessions_memory(s) / 168000;
        print_message("# %zu held of 168000 alive, %.1f B a pair alive\n", most, per_pair);
        assert_true(per_pair < 26);
        /* a thousandth of that: the memory comes back */
        for (unsigned i = 0; i < 200000; ++i)
                count(s, test_u64(&random), 140 * DAY + i * 3600);
        assert_true(bg_sessions_n(s) < 10000);
        assert_true(bg_sessions_memory(s) < 200000);
        bg_sessions_free(s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_author_counts_once_in_seven_days),
                cmocka_unit_test(the_table_agrees_with_an_array),
                cmocka_unit_test(memory_follows_the_pairs_of_a_week),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
