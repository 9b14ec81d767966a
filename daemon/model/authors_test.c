/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/model/authors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/model/test_random.h"

enum { AUTHOR_N = 40, STEP_N = 20000 };

static uint64_t author(unsigned i)
{
        return (uint64_t)(i * 1399 + 7) << 48;
}

/* every window kept exactly, beside the tables */
typedef struct Truth {
        unsigned count[BG_AUTHORS_WINDOWS][AUTHOR_N];
} Truth;

static unsigned truth_distinct(const Truth *t, unsigned k)
{
        unsigned n = 0;

        for (unsigned i = 0; i < AUTHOR_N; ++i)
                n += t->count[k][i] > 0;
        return n;
}

static unsigned truth_total(const Truth *t, unsigned k)
{
        unsigned n = 0;

        for (unsigned i = 0; i < AUTHOR_N; ++i)
                n += t->count[k][i];
        return n;
}

static double truth_top(const Truth *t, unsigned k)
{
        unsigned largest = 0, total = truth_total(t, k);

        for (unsigned i = 0; i < AUTHOR_N; ++i)
                largest = t->count[k][i] > largest ? t->count[k][i] : largest;
        return total ? (double)largest / total : 0;
}

/* nested windows that restart at random: distinct exact to the table's size, shares never above the truth */
static void windows_agree_with_full_tallies(void **state)
{
        TestRandom random = { test_seed(20250201) };
        BgAuthors a = { 0 };
        Truth truth = { 0 };

        (void)state;
        print_message("# seed %llu\n", (unsigned long long)random.state);
        for (unsigned step = 0; step < STEP_N; ++step) {
                unsigned i = test_below(&random, 3) ? test_below(&random, AUTHOR_N) : test_below(&random, 3);
                unsigned batch = test_below(&random, 20) ? 1 : 1 + test_below(&random, 12);

                if (!test_below(&random, 6)) {
                        unsigned from = test_below(&random, 2) ? 4 : test_below(&random, BG_AUTHORS_WINDOWS);
                        for (unsigned k = from; k < BG_AUTHORS_WINDOWS; ++k) {
                                bg_authors_restart(&a, k);
                                memset(truth.count[k], 0, sizeof(truth.count[k]));
                        }
                }
                while (batch--) {
                        bg_authors_add(&a, author(i), BG_AUTHORS_ALL);
                        for (unsigned k = 0; k < BG_AUTHORS_WINDOWS; ++k)
                                ++truth.count[k][i];
                }
                for (unsigned k = 0; k < BG_AUTHORS_WINDOWS; ++k) {
                        unsigned distinct = truth_distinct(&truth, k);
                        assert_int_equal(bg_authors_distinct(&a, k), distinct < BG_AUTHORS_RECENT ? distinct : BG_AUTHORS_RECENT);
                        assert_int_equal(bg_authors_events(&a, k), truth_total(&truth, k));
                        assert_true(bg_authors_top_share(&a, k) <= truth_top(&truth, k) + 1e-12);
                        if (distinct <= 1)
                                assert_true(fabs(bg_authors_top_share(&a, k) - truth_top(&truth, k)) < 1e-12);
                }
        }
}

/* an old crowd must not hide one uploader from the young window, nor lend it its authors */
static void an_old_crowd_does_not_hide_a_young_upload(void **state)
{
        BgAuthors a = { 0 };

        (void)state;
        for (unsigned i = 0; i < 30; ++i) {
                for (unsigned n = 0; n < 4; ++n)
                        bg_authors_add(&a, author(i), BG_AUTHORS_ALL);
        }
        bg_authors_restart(&a, 4);
        bg_authors_add(&a, author(31), BG_AUTHORS_ALL);
        bg_authors_add(&a, author(32), BG_AUTHORS_ALL);
        for (unsigned n = 0; n < 20; ++n)
                bg_authors_add(&a, author(33), BG_AUTHORS_ALL);
        assert_int_equal(bg_authors_distinct(&a, 4), 3);
        assert_int_equal(bg_authors_distinct(&a, 0), BG_AUTHORS_RECENT);
        assert_true(fabs(bg_authors_top_share(&a, 4) - 20.0 / 22) < 1e-12);
        assert_true(fabs(bg_authors_top_share(&a, 0) - 20.0 / 142) < 1e-12);
}

/* the largest uploader comes first and is followed by a crowd of single ones: it stays known */
static void a_dominant_author_survives_a_crowd(void **state)
{
        BgAuthors a = { 0 };

        (void)state;
        for (unsigned n = 0; n < 60; ++n)
                bg_authors_add(&a, author(0), BG_AUTHORS_ALL);
        for (unsigned i = 1; i < AUTHOR_N; ++i)
                bg_authors_add(&a, author(i), BG_AUTHORS_ALL);
        for (unsigned k = 0; k < BG_AUTHORS_WINDOWS; ++k)
                assert_true(fabs(bg_authors_top_share(&a, k) - 60.0 / 99) < 1e-12);
}

static void counters_halve_instead_of_wrapping(void **state)
{
        BgAuthors a = { 0 };

        (void)state;
        for (unsigned n = 0; n < 200000; ++n) {
                bg_authors_add(&a, author(n % 4 ? 1 : 2), BG_AUTHORS_ALL);
                if (n > 100)
                        assert_true(fabs(bg_authors_top_share(&a, 0) - 0.75) < 0.01);
        }
        assert_int_equal(bg_authors_distinct(&a, 0), 2);
}

static void no_window_no_trace(void **state)
{
        BgAuthors a = { 0 }, zero = { 0 };

        (void)state;
        bg_authors_add(&a, author(3), 0);
        assert_memory_equal(&a, &zero, sizeof(a));
        bg_authors_add(&a, author(3), 1);
        assert_int_equal(bg_authors_distinct(&a, 0), 1);
        assert_int_equal(bg_authors_distinct(&a, 1), 0);
        assert_true(bg_authors_top_share(&a, 1) == 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(windows_agree_with_full_tallies),
                cmocka_unit_test(an_old_crowd_does_not_hide_a_young_upload),
                cmocka_unit_test(a_dominant_author_survives_a_crowd),
                cmocka_unit_test(counters_halve_instead_of_wrapping),
                cmocka_unit_test(no_window_no_trace),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
