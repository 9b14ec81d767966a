/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/model/surge.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NEAR(a, b, tolerance) assert_true(fabs((a) - (b)) <= (tolerance))
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void evidence_has_the_published_values(void **state)
{
        static const struct {
                double n, expected, shape, evidence;
        } vectors[] = {
                { 5, 0.1, 20, 14.106215 }, { 8, 1, 20, 8.580434 },    { 20, 5, 20, 8.925742 }, { 20, 5, 5, 4.818619 },
                { 100, 40, 20, 8.451412 }, { 60, 1, 20, 138.403556 }, { 3, 4, 20, 0 },
        };

        (void)state;
        for (size_t i = 0; i < COUNT(vectors); ++i)
                NEAR(bg_surge_evidence(vectors[i].n, vectors[i].expected, vectors[i].shape), vectors[i].evidence, 1e-6);
}

static void smallest_counts_that_reach_a_threshold(void **state)
{
        static const double expected[] = { 0.1, 0.5, 1, 3, 10, 30, 100 };
        static const struct {
                double threshold;
                int n[COUNT(expected)];
        } rows[] = { { 9.25, { 4, 7, 9, 15, 34, 81, 242 } }, { 12.4, { 5, 8, 11, 18, 38, 91, 272 } } };

        (void)state;
        for (size_t r = 0; r < COUNT(rows); ++r) {
                for (size_t i = 0; i < COUNT(expected); ++i) {
                        int n = 0;
                        while (bg_surge_evidence(n, expected[i], 20) < rows[r].threshold)
                                ++n;
                        assert_int_equal(n, rows[r].n[i]);
                }
        }
}

static void evidence_is_finite_rises_with_n_and_falls_with_doubt(void **state)
{
        static const double shapes[] = { 1e-6, 0.1, 1, 5, 20, 33, 1e4, 1e12 };

        (void)state;
        for (double expected = 1e-15; expected < 1e15; expected *= 7.3) {
                for (size_t s = 0; s < COUNT(shapes); ++s) {
                        double before = 0;
                        for (double n = 0; n < 1e15; n = n * 1.7 + 1) {
                                double g = bg_surge_evidence(n, expected, shapes[s]);
                                assert_true(isfinite(g) && g >= 0);
                                assert_true(g >= before * (1 - 1e-9) - 1e-9);
                                if (s)
                                        assert_true(g * (1 + 1e-6) + 1e-6 >= bg_surge_evidence(n, expected, shapes[s - 1]));
                                before = g;
                        }
                }
        }
}

static void evidence_has_the_ceiling_of_the_forecast(void **state)
{
        (void)state;
        for (double r = 1.1; r < 50; r *= 1.3) {
                double ceiling = 20 * (r - 1 - log(r));
                assert_true(bg_surge_evidence(r * 1e9, 1e9, 20) <= ceiling * (1 + 1e-6));
                NEAR(bg_surge_evidence(r * 1e9, 1e9, 20), ceiling, 1e-3 * ceiling + 1e-4);
        }
        assert_true(bg_surge_evidence(2e6, 1e6, 20) < 6.2);
        assert_true(bg_surge_evidence(2.3e6, 1e6, 20) > 9.25);
}

static void a_sure_forecast_gives_the_poisson_deviance(void **state)
{
        (void)state;
        for (double b = 0.5; b < 1000; b *= 3) {
                double n = 3 * b;
                NEAR(bg_surge_evidence(n, b, 1e13), n * log(3) - 2 * b, 1e-6 * n);
        }
}

static void thresholds_invert_false_alarms(void **state)
{
        (void)state;
        NEAR(bg_surge_threshold(9.1), 9.25, 1e-12);
        NEAR(bg_surge_threshold(0.9), 12.4, 1e-12);
        assert_true(bg_surge_threshold(10) < 9.25 && bg_surge_threshold(10) > 9);
        for (double h = 6; h <= 15; h += 0.01)
                NEAR(bg_surge_threshold(bg_surge_false_alarms(h)), h, 1e-9);
        for (double h = 6.01; h <= 15; h += 0.01)
                assert_true(bg_surge_false_alarms(h) < bg_surge_false_alarms(h - 0.01));
        /* not simulated: the ends, not a guess */
        NEAR(bg_surge_threshold(1e9), 6, 0);
        NEAR(bg_surge_threshold(0), 15, 0);
        NEAR(bg_surge_threshold(-1), 15, 0);
        NEAR(bg_surge_threshold(NAN), 15, 0);
        NEAR(bg_surge_false_alarms(0), 117, 0);
        NEAR(bg_surge_false_alarms(99), 0.1, 0);
        NEAR(bg_surge_false_alarms(NAN), 0.1, 0);
}

static void shapes_and_shares_stay_in_range(void **state)
{
        double week = 0;

        (void)state;
        NEAR(bg_surge_shape(0.05), 20, 1e-9);
        NEAR(bg_surge_shape(0), 1 / 0.03, 1e-9);
        NEAR(bg_surge_shape(NAN), 20, 1e-9);
        NEAR(bg_surge_shape(-1), 20, 1e-9);
        NEAR(bg_surge_shape(INFINITY), 1e-6, 1e-18);
        NEAR(bg_surge_session_share(0, 0), 0.635, 1e-12);
        NEAR(bg_surge_session_share(100, 100), 112.7 / 120, 1e-12);
        NEAR(bg_surge_session_share(500, 100), 1, 0);
        for (int i = 0; i < 7; ++i)
                week += bg_surge_weekday[i];
        NEAR(week, 7, 1e-9);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(evidence_has_the_published_values),
                cmocka_unit_test(smallest_counts_that_reach_a_threshold),
                cmocka_unit_test(evidence_is_finite_rises_with_n_and_falls_with_doubt),
                cmocka_unit_test(evidence_has_the_ceiling_of_the_forecast),
                cmocka_unit_test(a_sure_forecast_gives_the_poisson_deviance),
                cmocka_unit_test(thresholds_invert_false_alarms),
                cmocka_unit_test(shapes_and_shares_stay_in_range),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
