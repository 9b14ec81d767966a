/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "daemon/model/population.h"
#include "daemon/model/test_random.h"

static void near(double got, double want, double tolerance)
{
        if (!(fabs(got - want) <= tolerance))
                fail_msg("%.12g is not %.12g within %g", got, want, tolerance);
}

static void test_quantiles_are_those_of_the_definition(void **state)
{
        const double x[] = { 1, 2, 4, 8, 16 };
        BgSummary summary = bg_population_summary(x, 5);

        (void)state;
        near(summary.mean, 6.2, 1e-12);
        near(summary.q[0], 1.4, 1e-12); /* .1 x 4 steps of the way: 1 + .4 */
        near(summary.q[1], 2, 0);
        near(summary.q[2], 4, 0);
        near(summary.q[4], 12.8, 1e-12);
        near(bg_population_quantile(x, 1, .9), 1, 0);
        assert_true(isnan(bg_population_quantile(x, 0, .5)));
        assert_true(isnan(bg_population_summary(x, 0).mean));
}

static void test_gini_and_concentration_of_known_distributions(void **state)
{
        double alike[100], one[100] = { 0 }, ramp[1000], lorenz[5];

        (void)state;
        for (int i = 0; i < 100; i++)
                alike[i] = 7;
        one[99] = 3;
        for (int i = 0; i < 1000; i++)
                ramp[i] = i + .5; /* uniform on (0, 1000): Gini 1/3 */
        near(bg_population_gini(alike, 100), 0, 1e-12);
        near(bg_population_gini(one, 100), .99, 1e-12);
        near(bg_population_gini(ramp, 1000), 1 / 3.0, 1e-5);
        near(bg_population_gini(one, 99), 0, 0); /* nobody has anything */
        assert_int_equal(bg_population_largest(alike, 100, .8), 80);
        assert_int_equal(bg_population_largest(one, 100, .8), 1);
        assert_int_equal(bg_population_largest(one, 99, .8), 0);
        assert_int_equal(bg_population_largest(alike, 100, 1), 100);
        bg_population_lorenz(ramp, 1000, lorenz, 5);
        for (int k = 0; k < 5; k++)
                near(lorenz[k], k * k / 16.0, 1e-3); /* x^2 */
        bg_population_lorenz(one, 100, lorenz, 5);
        near(lorenz[3], 0, 0);
        near(lorenz[4], 1, 0);
}

static void test_correlation(void **state)
{
        double x[] = { 1, 2, 3, 4 }, up[] = { 3, 5, 7, 9 }, down[] = { 4, 3, 2, 1 }, flat[] = { 2, 2, 2, 2 };

        (void)state;
        near(bg_population_correlation(x, up, 4), 1, 1e-12);
        near(bg_population_correlation(x, down, 4), -1, 1e-12);
        assert_true(isnan(bg_population_correlation(x, flat, 4)));
        assert_true(isnan(bg_population_correlation(x, up, 2)));
}

/** Groups with normal means: the weight is what the true variances make it. */
static void test_components_are_recovered(void **state)
{
        const double between = .5, within = 1.25;
        BgComponents components = { 0 };
        TestRandom random = { test_seed(7) };

        (void)state;
        for (int g = 0; g < 3000; g++) {
                double mean = 2 + sqrt(between) * test_normal(&random), sum = 0, squares = 0;
                int n = 1 + g % 17;

                for (int j = 0; j < n; j++) {
                        double y = mean + sqrt(within) * test_normal(&random);

                        sum += y;
                        squares += y * y;
                }
                bg_components_add(&components, n, sum, squares - sum * sum / n);
        }
        near(bg_components_weight(&components, 1), 1 / (1 + within / between), .02);
        near(bg_components_weight(&components, 10), 10 / (10 + within / between), .02);
        near(bg_components_weight(&components, 0), 0, 0);
}

static void test_weight_where_nothing_tells_groups_apart(void **state)
{
        BgComponents none = { 0 }, lone = { 0 }, singles = { 0 }, same = { 0 }, apart = { 0 };

        (void)state;
        bg_components_add(&lone, 10, 20, 5);
        for (int g = 0; g < 5; g++) {
                bg_components_add(&singles, 1, g, 0);
                bg_components_add(&same, 4, 8, 3); /* the same mean everywhere */
                bg_components_add(&apart, 4, 8 * g, 0); /* members of a group are all alike */
        }
        near(bg_components_weight(&none, 3), 0, 0);
        near(bg_components_weight(&lone, 3), 0, 0);
        near(bg_components_weight(&singles, 3), 0, 0);
        near(bg_components_weight(&same, 3), 0, 0);
        near(bg_components_weight(&apart, 3), .75, 1e-12);
}

static void test_expectation_between_group_and_population(void **state)
{
        const double group[] = { 40, 50, 60 }, population[] = { 0, 0, 0, 0, 0, 0, 0, 40, 50, 60 };
        double q[BG_QUANTILE_N], before = -1;

        (void)state;
        near(bg_population_expected(group, 3, 50, population, 10, 15, 0, q), 15, 1e-12);
        near(q[3], 0, 0);
        near(q[5], 50, 0); /* 90 %: nine of ten are at or below 50 */
        near(bg_population_expected(group, 3, 50, population, 10, 15, .5, q), 32.5, 1e-12);
        near(q[2], 0, 0);  /* 35 % of the mixture are 0 .. */
        near(q[3], 40, 0); /* .. and .5 x 1/3 + .5 x .8 = .567 are at most 40 */
        near(q[6], 60, 0);
        near(bg_population_expected(NULL, 0, NAN, population, 10, 15, .9, q), 15, 1e-12);
        near(bg_population_expected(NULL, 0, NAN, NULL, 0, NAN, 0, q), 0, 0);
        for (int step = 0; step <= 20; step++) { /* more weight for a group above the population never lowers a quantile */
                bg_population_expected(group, 3, 50, population, 10, 15, step / 20.0, q);
                assert_true(q[3] >= before);
                before = q[3];
                for (int k = 1; k < BG_QUANTILE_N; k++)
                        assert_true(q[k] >= q[k - 1]);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_quantiles_are_those_of_the_definition),
                cmocka_unit_test(test_gini_and_concentration_of_known_distributions),
                cmocka_unit_test(test_correlation),
                cmocka_unit_test(test_components_are_recovered),
                cmocka_unit_test(test_weight_where_nothing_tells_groups_apart),
                cmocka_unit_test(test_expectation_between_group_and_population),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
