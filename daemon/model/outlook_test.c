/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Outlooks: the peak against a search on the curve itself, the intervals against exact ones and against simulation. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "daemon/model/outlook.h"
#include "daemon/model/sym3.h"
#include "daemon/model/test_random.h"

static const double normal[BG_QUANTILE_N] = { -1.6448536269514722, -1.2815515655446004, -.67448975019608171, 0,
                                              .67448975019608171,  1.2815515655446004,  1.6448536269514722 };

static void close_to(double got, double want, double tolerance, const char *what)
{
        if (!(fabs(got - want) <= tolerance))
                fail_msg("%s: got %.9g, expected %.9g +- %g", what, got, want, tolerance);
}

/* No age has a higher rate than the peak, over curves with one maximum and with two. */
static void test_peak_is_the_maximum(void **state)
{
        TestRandom random = { test_seed(3) };
        int n_early = 0, n_late = 0;

        (void)state;
        for (int i = 0; i < 400; i++) {
                BgGrowth growth = { .lambda = exp(-3 + 6.5 * test_uniform(&random)),
                                    .mu = 4 + test_normal(&random),
                                    .sigma = exp(-2 + 3.2 * test_uniform(&random)),
                                    .m = 3 };
                double peak = bg_outlook_peak_days(&growth), rate = bg_growth_rate(&growth, peak);

                if (rate >= BG_GROWTH_COUNT_MAX)
                        continue;
                for (double z = -6 - growth.sigma; z < 6; z += .003) {
                        double other = bg_growth_rate(&growth, exp(growth.mu + growth.sigma * z));

                        if (other > rate * (1 + 1e-9))
                                fail_msg("lambda %g, sigma %g: rate %.12g at the peak, %.12g at z = %g", growth.lambda,
                                         growth.sigma, rate, other, z);
                }
                n_early += growth.lambda > 4.2 && peak < exp(growth.mu - growth.sigma);
                n_late += growth.lambda > 4.2 && peak > exp(growth.mu - growth.sigma);
        }
        print_message("# %d early and %d late peaks\n", n_early, n_late);
        assert_true(n_early > 0 && n_late > 20);
}

/* The edges of the ranges: finite, whatever they are. */
static void test_peak_at_the_edges(void **state)
{
        static const double lambdas[] = { 0, 1e-6, 4.1327, 4.1328, 100, 1e6 }, sigmas[] = { 1e-6, .1, 1, 30, 1e6 };

        (void)state;
        for (size_t i = 0; i < sizeof(lambdas) / sizeof(lambdas[0]); i++)
                for (size_t k = 0; k < sizeof(sigmas) / sizeof(sigmas[0]); k++)
                        for (double mu = -100; mu <= 100; mu += 50) {
                                BgGrowth growth = { lambdas[i], mu, sigmas[k], 3 };
                                double peak = bg_outlook_peak_days(&growth);

                                assert_true(isfinite(peak) && peak >= 0 && peak <= BG_OUTLOOK_DAYS_MAX);
                        }
}

/* With hardly any growth the rate is the lognormal density, its peak e^(mu - sigma^2): with mu alone uncertain that is lognormal.
 */
static void test_peak_interval_is_exact_where_it_is_known(void **state)
{
        BgFit fit = { .theta = { -12, 5, log(.7) }, .spread = { 1e-12, 0, .16, 0, 0, 1e-12 }, .m = 3, .dispersion = 1 };
        BgCourse course;

        (void)state;
        bg_outlook(&course, &fit, 10, exp(5 - .49));
        for (int p = 0; p < BG_QUANTILE_N; p++) {
                close_to(log(course.peak_days[p]), 5 - .49 + .4 * normal[p], .01, "ln peak");
                close_to(log(course.impact_days[p]), 5 + .4 * normal[p], 1e-9, "ln impact");
        }
        close_to(course.peak_past, .5, .01, "half of the peaks are over at their median");
}

static int rising(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

static double share_below(const double *sorted, int n, double x)
{
        int below = 0;

        while (below < n && sorted[below] <= x)
                below++;
        return (double)below / n;
}

/* The points against 200,000 random draws of the same posterior. */
static void test_intervals_agree_with_simulation(void **state)
{
        enum { N = 200000 };
        const double count = 400, age = 250;
        BgFit fit = { .theta = { 1.2, 5.4, .1 }, .spread = { .04, .02, .06, .01, .02, .03 }, .m = 3, .dispersion = 8 };
        TestRandom random = { test_seed(5) };
        double *ultimate = test_malloc(N * sizeof(double)), *peak = test_malloc(N * sizeof(double)), l[BG_SYM_N], past = 0;
        BgForecastSpec spec = bg_forecast_spec_default();
        BgCourse course;

        (void)state;
        assert_true(bg_sym3_cholesky(l, fit.spread));
        for (int i = 0; i < N; i++) {
                double z[3] = { test_normal(&random), test_normal(&random), test_normal(&random) };
                double theta[3] = { fit.theta[0] + l[0] * z[0], fit.theta[1] + l[1] * z[0] + l[2] * z[1],
                                    fit.theta[2] + l[3] * z[0] + l[4] * z[1] + l[5] * z[2] };
                BgGrowth growth = bg_growth_from_theta(theta, fit.m);
                double d = growth.lambda * bg_growth_share_between(&growth, age, INFINITY), mean = (count + 3) * expm1(d);

                ultimate[i] = count + bg_negative_binomial_quantile(test_uniform(&random), mean,
                                                                    8 * mean * exp(d) + spec.burst * mean * mean);
                peak[i] = bg_outlook_peak_days(&growth);
                past += peak[i] <= age;
        }
        qsort(ultimate, N, sizeof(double), rising);
        qsort(peak, N, sizeof(double), rising);
        bg_outlook(&course, &fit, count, age);
        for (int p = 0; p < BG_QUANTILE_N; p++) {
                close_to(share_below(ultimate, N, course.ultimate[p]), bg_quantile_levels[p], .015,
                         "level of the ultimate count");
                close_to(share_below(peak, N, course.peak_days[p]), bg_quantile_levels[p], .015, "level of the peak");
        }
        close_to(course.peak_past, past / N, .01, "probability that the peak is over");
        test_free(ultimate);
        test_free(peak);
}

static void test_promises(void **state)
{
        TestRandom random = { test_seed(9) };

        (void)state;
        for (int i = 0; i < 300; i++) {
                BgFit fit = { .theta = { 6 * test_normal(&random), 4 + 20 * test_normal(&random), 5 * test_normal(&random) },
                              .spread = { 4 * test_uniform(&random) + 1e-9, 0, 4, 0, 0, 1e-9 },
                              .m = 3,
                              .dispersion = 1e6 * test_uniform(&random) };
                double count = floor(expm1(14 * test_uniform(&random)));
                BgCourse course;

                bg_outlook(&course, &fit, count, 2000 * test_uniform(&random));
                for (int p = 0; p < BG_QUANTILE_N; p++) {
                        assert_true(course.ultimate[p] >= count && course.ultimate[p] == round(course.ultimate[p]));
                        assert_true(course.ultimate[p] <= BG_GROWTH_COUNT_MAX);
                        assert_true(course.impact_days[p] >= 0 && course.impact_days[p] <= BG_OUTLOOK_DAYS_MAX);
                        assert_true(course.peak_days[p] >= 0 && course.peak_days[p] <= BG_OUTLOOK_DAYS_MAX);
                        if (p)
                                assert_true(course.ultimate[p] >= course.ultimate[p - 1] &&
                                            course.peak_days[p] >= course.peak_days[p - 1] &&
                                            course.impact_days[p] >= course.impact_days[p - 1]);
                }
                assert_true(course.peak_past >= 0 && course.peak_past <= 1);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_peak_is_the_maximum),
                cmocka_unit_test(test_peak_at_the_edges),
                cmocka_unit_test(test_peak_interval_is_exact_where_it_is_known),
                cmocka_unit_test(test_intervals_agree_with_simulation),
                cmocka_unit_test(test_promises),
        };

        return cmocka_run_group_tests_name("outlook", tests, NULL, NULL);
}
