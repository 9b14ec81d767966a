/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Milestones: the inversion against times that are known, and against the forecasts it inverts. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "daemon/model/milestone.h"
#include "daemon/model/test_random.h"

static void close_to(double got, double want, double tolerance, const char *what)
{
        if (!(fabs(got - want) <= tolerance))
                fail_msg("%s: got %.9g, expected %.9g +- %g", what, got, want, tolerance);
}

static double reach_exponential(const void *data, double horizon_days)
{
        return -expm1(-horizon_days / *(const double *)data);
}

/* An exponential time is found again, from minutes to years; what lies beyond five years is "never". */
static void test_inverts(void **state)
{
        (void)state;
        for (double mean = .01; mean < 1e5; mean *= 3) {
                BgArrival arrival;

                bg_milestone(&arrival, reach_exponential, &mean);
                for (int p = 0; p < BG_QUANTILE_N; p++) {
                        double want = -mean * log1p(-bg_quantile_levels[p]);

                        if (want > BG_HORIZON_MAX_DAYS)
                                assert_true(isinf(arrival.days[p]));
                        else if (want >= BG_HORIZON_MIN_DAYS)
                                close_to(arrival.days[p], want, 2e-4 * want, "quantile of an exponential time");
                        else
                                assert_true(arrival.days[p] > 0 && arrival.days[p] <= BG_HORIZON_MIN_DAYS);
                }
                for (int i = 0; i < BG_WITHIN_N; i++)
                        close_to(arrival.within[i], -expm1(-bg_within_days[i] / mean), 1e-12, "probability");
        }
}

static double reach_falling(const void *data, double horizon_days)
{
        (void)data;
        return horizon_days < 20 ? .6 * horizon_days / 20 : .6 * 20 / horizon_days;
}

static double reach_nothing(const void *data, double horizon_days)
{
        (void)horizon_days;
        return *(const double *)data;
}

static void test_probabilities_are_held_and_never_is_said(void **state)
{
        const double none = 0, broken = NAN, sure = 1;
        BgArrival arrival;

        (void)state;
        bg_milestone(&arrival, reach_falling, NULL);
        close_to(arrival.days[3], 20 * .5 / .6, 1e-2, "median on the rising side");
        assert_true(isinf(arrival.days[4]));
        close_to(arrival.within[1], .6, .06, "held after the top"); /* the top lies between two grid points */
        assert_true(arrival.within[4] == arrival.within[1]);
        for (int i = 0; i < 2; i++) {
                bg_milestone(&arrival, reach_nothing, i ? &broken : &none);
                for (int p = 0; p < BG_QUANTILE_N; p++)
                        assert_true(isinf(arrival.days[p]));
                assert_true(arrival.within[4] == 0);
        }
        bg_milestone(&arrival, reach_nothing, &sure);
        for (int p = 0; p < BG_QUANTILE_N; p++)
                close_to(arrival.days[p], bg_quantile_levels[p] / 24, 1e-12, "within the first hour");
        bg_milestone_reached(&arrival);
        assert_true(arrival.days[6] == 0 && arrival.within[0] == 1);
}

/* Quantiles of a normal give that normal back everywhere, tails too; and any rising levels give a falling function. */
static void test_between_and_beyond_the_levels(void **state)
{
        static const double z[BG_QUANTILE_N] = { -1.6448536269514722, -1.2815515655446004, -.67448975019608171, 0,
                                                 .67448975019608171,  1.2815515655446004,  1.6448536269514722 };
        TestRandom random = { test_seed(7) };
        double levels[BG_QUANTILE_N];

        (void)state;
        for (int p = 0; p < BG_QUANTILE_N; p++)
                levels[p] = 3 + .8 * z[p];
        for (double u = -2; u < 8; u += .01)
                close_to(bg_milestone_exceeds(levels, u), .5 * erfc((u - 3) / .8 * M_SQRT1_2), 1e-14, "P(U >= u)");
        for (int i = 0; i < 2000; i++) {
                double before = 1, x = 4 * test_uniform(&random) - 2;

                for (int p = 0; p < BG_QUANTILE_N; p++) /* some of them tie */
                        levels[p] = x += test_below(&random, 3) ? test_uniform(&random) : 0;
                for (double u = -8; u < 12; u += .05) {
                        double share = bg_milestone_exceeds(levels, u);

                        assert_true(share >= 0 && share <= before);
                        before = share;
                }
                for (int p = 0; p < BG_QUANTILE_N; p++) { /* among levels that tie any of theirs will do */
                        if ((p == 0 || levels[p] > levels[p - 1] + .01) &&
                            (p == BG_QUANTILE_N - 1 || levels[p] < levels[p + 1] - .01))
                                close_to(bg_milestone_exceeds(levels, levels[p]), 1 - bg_quantile_levels[p], 1e-12, "at a level");
                }
        }
}

static void random_case(TestRandom *random, BgFit *fit, BgPoolInput *input)
{
        double rate = expm1(8 * test_uniform(random) * test_uniform(random));

        *fit = (BgFit){ .theta = { 1 + .7 * test_normal(random), 5 + test_normal(random), .3 * test_normal(random) },
                        .spread = { .05, .01, .05, 0, .01, .05 },
                        .laplace = { .05, .01, .05, 0, .01, .05 },
                        .m = 3,
                        .dispersion = 5 + 5 * test_uniform(random),
                        .status = BG_FIT_OK };
        *input = (BgPoolInput){ .age_days = 20 + 1000 * test_uniform(random) };
        input->n_windows = (size_t)fmin(ceil(input->age_days / BG_POOL_BIN_DAYS), BG_POOL_WINDOW_MAX);
        for (size_t j = 0; j < input->n_windows; j++) {
                input->windows[j] = round(rate * (.5 + test_uniform(random)));
                input->count += input->windows[j];
        }
}

/* What is inverted is what is published: at the time that has a chance of 1 - p, the p quantile of the count is the target. */
static void test_agrees_with_the_pooled_quantiles(void **state)
{
        TestRandom random = { test_seed(11) };
        BgPool *pool = test_malloc(sizeof(*pool));
        int n_checked = 0;

        (void)state;
        bg_pool_init(pool);
        for (int i = 0; i < 20000; i++) { /* trackers that have learned something */
                BgPoolOpinion opinion = { .u = { 3, 3.1, 2.9, 3.2 }, .s = .5 };

                bg_pool_learn(pool, test_below(&random, BG_POOL_KNOT_N), &opinion, 50,
                              50 + expm1(fmax(3 + .7 * test_normal(&random), 0)));
        }
        for (int i = 0; i < 300; i++) {
                BgArrival arrival;
                BgPoolInput input;
                double target, before = 0;
                BgFit fit;

                random_case(&random, &fit, &input);
                target = input.count + 1 + floor(expm1(7 * test_uniform(&random)));
                bg_milestone_pooled(&arrival, pool, &fit, &input, target);
                for (int p = 0; p < BG_QUANTILE_N; p++) {
                        double days = arrival.days[p];
                        BgPoolOpinion opinion;
                        BgForecastPoint point;

                        assert_true(days >= before);
                        before = days;
                        if (!isfinite(days) || days < BG_HORIZON_MIN_DAYS * 1.01)
                                continue;
                        bg_pool_opinion(&opinion, &fit, &input, days * 1.0005);
                        bg_pool_quantiles(&point, pool, &opinion, input.count, days * 1.0005);
                        if (fabs(point.q[BG_QUANTILE_N - 1 - p] - target) > 1 + 2e-3 * target)
                                fail_msg("case %d, count %g: %g is reached in %g days with %g, but the quantile there is %g", i,
                                         input.count, target, days, bg_quantile_levels[p], point.q[BG_QUANTILE_N - 1 - p]);
                        n_checked++;
                }
                for (int w = 1; w < BG_WITHIN_N; w++)
                        assert_true(arrival.within[w] >= arrival.within[w - 1] && arrival.within[w] <= 1);
        }
        assert_true(n_checked > 500);
        test_free(pool);
}

/* A higher target is never reached earlier, nor with a higher probability. */
static void test_rises_with_the_target(void **state)
{
        TestRandom random = { test_seed(13) };
        BgPool *pool = test_malloc(sizeof(*pool));

        (void)state;
        bg_pool_init(pool);
        for (int i = 0; i < 60; i++) {
                BgArrival before, arrival;
                BgPoolInput input;
                BgFit fit;

                random_case(&random, &fit, &input);
                bg_milestone_reached(&before);
                for (double more = 1; more < 1e5; more = ceil(2.5 * more)) {
                        if (i % 2)
                                bg_milestone_pooled(&arrival, pool, &fit, &input, input.count + more);
                        else
                                bg_milestone_process(&arrival, &fit, input.count, input.age_days, input.count + more);
                        for (int p = 0; p < BG_QUANTILE_N; p++)
                                assert_true(arrival.days[p] >= before.days[p] * (1 - 2e-4));
                        for (int w = 0; w < BG_WITHIN_N; w++)
                                assert_true(arrival.within[w] <= before.within[w] + 1e-9);
                        before = arrival;
                }
        }
        test_free(pool);
}

/* The tail of the negative binomial against the sum of its probabilities, and against its own quantiles. */
static void test_negative_binomial_reach(void **state)
{
        static const double cases[][2] = { { .01, .02 }, { .7, .7 }, { 3, 9 }, { 40, 41 }, { 300, 5000 }, { 2000, 2e6 } };

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                double mean = cases[i][0], variance = cases[i][1], sum = 0;
                double r = variance > mean ? mean * mean / (variance - mean) : 0, q = 1 - mean / variance;

                for (int k = 0; k < 4000; k++) {
                        close_to(bg_negative_binomial_reach(k, mean, variance), 1 - sum, 1e-9, "P(X >= k)");
                        sum += variance > mean ? exp(lgamma(k + r) - lgamma(r) - lgamma(k + 1.) + r * log1p(-q) + k * log(q))
                                               : exp(k * log(mean) - mean - lgamma(k + 1.));
                }
        }
        for (double mean = .1; mean < 1e12; mean *= 7)
                for (double over = 1; over < 1e3; over *= 9)
                        for (int p = 0; p < BG_QUANTILE_N; p++) {
                                double k = bg_negative_binomial_quantile(bg_quantile_levels[p], mean, over * mean);

                                assert_true(bg_negative_binomial_reach(k, mean, over * mean) > 1 - bg_quantile_levels[p] - 1e-4);
                                assert_true(bg_negative_binomial_reach(k + 1, mean, over * mean) <
                                            1 - bg_quantile_levels[p] + 1e-4);
                        }
        assert_true(bg_negative_binomial_reach(0, 0, 0) == 1 && bg_negative_binomial_reach(1, 0, 0) == 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_inverts),
                cmocka_unit_test(test_probabilities_are_held_and_never_is_said),
                cmocka_unit_test(test_between_and_beyond_the_levels),
                cmocka_unit_test(test_agrees_with_the_pooled_quantiles),
                cmocka_unit_test(test_rises_with_the_target),
                cmocka_unit_test(test_negative_binomial_reach),
        };

        return cmocka_run_group_tests_name("milestone", tests, NULL, NULL);
}
