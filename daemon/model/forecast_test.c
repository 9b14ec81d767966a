/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>

#include "daemon/model/forecast.h"

static const double levels[] = { .001, .05, .1, .25, .5, .75, .9, .95, .999 };
enum { LEVEL_N = sizeof(levels) / sizeof(*levels) };

/* P(X <= k) by GSL; its incomplete functions are good where the counts are moderate, and so is this test. */
static double cdf(double k, double mean, double over)
{
        if (k < 0)
                return 0;
        if (over <= 1)
                return gsl_cdf_poisson_P((unsigned)k, mean);
        return gsl_cdf_negative_binomial_P((unsigned)k, 1 / over, mean / (over - 1));
}

static void test_quantiles_invert_the_distribution(void **state)
{
        static const double means[] = { 1e-6, .01, .5, 3, 40, 399, 401, 900, 5000, 1e5, 1e6 };
        static const double overs[] = { 1, 1.001, 1.2, 3, 30, 1e3, 1e6 };
        long checked = 0;

        (void)state;
        for (size_t i = 0; i < sizeof(means) / sizeof(*means); i++)
                for (size_t j = 0; j < sizeof(overs) / sizeof(*overs); j++) {
                        double q[LEVEL_N];

                        bg_negative_binomial_quantiles(q, levels, LEVEL_N, means[i], means[i] * overs[j]);
                        for (int k = 0; k < LEVEL_N; k++) {
                                double at = cdf(q[k], means[i], overs[j]), below = cdf(q[k] - 1, means[i], overs[j]);

                                assert_true(k == 0 || q[k] >= q[k - 1]);
                                assert_float_equal(q[k], bg_negative_binomial_quantile(levels[k], means[i], means[i] * overs[j]),
                                                   0);
                                if (isnan(at) || isnan(below)) /* GSL gave up */
                                        continue;
                                checked++;
                                assert_true(at >= levels[k] * (1 - 1e-9));
                                assert_true(below < levels[k] * (1 + 1e-9));
                        }
                }
        assert_true(checked > 600);
}

/* Beyond the expansion's start the quantiles go on from where the exact ones ended. */
static void test_quantiles_join_where_the_method_changes(void **state)
{
        (void)state;
        for (double over = 1.001; over < 50; over *= 3)
                for (int k = 0; k < LEVEL_N; k++) {
                        double mean[2] = { 0.9999e7, 1.0001e7 }, z[2];

                        for (int side = 0; side < 2; side++)
                                z[side] = (bg_negative_binomial_quantile(levels[k], mean[side], mean[side] * over) - mean[side]) /
                                          sqrt(mean[side] * over);
                        assert_float_equal(z[0], z[1], 3e-4);
                }
}

static void test_quantiles_of_anything_are_finite(void **state)
{
        static const double numbers[] = { 0, 1e-300, 1e-9, 1, 1e3, 1e9, 1e15 };

        (void)state;
        for (size_t i = 0; i < 7; i++)
                for (size_t j = 0; j < 7; j++)
                        for (int k = 0; k < LEVEL_N; k++) {
                                double q = bg_negative_binomial_quantile(levels[k], numbers[i], numbers[j]);

                                assert_true(q >= 0 && q <= BG_GROWTH_COUNT_MAX && q == floor(q));
                        }
        assert_float_equal(bg_negative_binomial_quantile(.5, 0, 0), 0, 0);
        assert_true(isfinite(bg_negative_binomial_quantile(1, 10, 20)));
        assert_float_equal(bg_negative_binomial_quantile(0, 10, 20), 0, 0);
        assert_float_equal(bg_negative_binomial_quantile(.5, NAN, 20), 0, 0);
}

static BgFit fit_of(double ln_lambda, double mu, double ln_sigma)
{
        BgFit fit = { .theta = { ln_lambda, mu, ln_sigma },
                      .spread = { .2, 0, .3, 0, 0, .1 },
                      .laplace = { .2, 0, .3, 0, 0, .1 },
                      .m = 3,
                      .dispersion = 6,
                      .status = BG_FIT_OK };

        return fit;
}

static void test_forecasts_are_sane_whatever_the_fit(void **state)
{
        static const double lambdas[] = { -400, -13, 0, 3, 13, 20 }, mus[] = { -100, -3, 0, 5, 12, 100 },
                            sigmas[] = { -13, -4, 0, 3, 13, 23 };
        static const double counts[] = { 0, 1, 77, 1e5, 1e12, 1e15 }, ages[] = { 0, 1e-5, 1, 200, 1e4, 1e6 };
        static const double horizons[] = { BG_HORIZON_MIN_DAYS, 7, 30, 90, 365, BG_HORIZON_MAX_DAYS };
        BgForecastPoint p[6];

        (void)state;
        for (int a = 0; a < 6; a++)
                for (int b = 0; b < 6; b++)
                        for (int c = 0; c < 6; c++)
                                for (int n = 0; n < 6; n++)
                                        for (int t = 0; t < 6; t++) {
                                                BgFit fit = fit_of(lambdas[a], mus[b], sigmas[c]);
                                                double ultimate = bg_forecast_ultimate(&fit, counts[n], ages[t]), rate;

                                                bg_forecast(p, &fit, counts[n], ages[t], horizons, 6);
                                                for (int h = 0; h < 6; h++) {
                                                        double floor_of = h ? p[h - 1].mean : counts[n];

                                                        assert_true(p[h].mean >= floor_of && p[h].mean <= BG_GROWTH_COUNT_MAX);
                                                        for (int k = 0; k < BG_QUANTILE_N; k++) {
                                                                double least = h ? p[h - 1].q[k] : counts[n];

                                                                assert_true(p[h].q[k] >= least &&
                                                                            p[h].q[k] <= BG_GROWTH_COUNT_MAX);
                                                                assert_true(k == 0 || p[h].q[k] >= p[h].q[k - 1]);
                                                        }
                                                }
                                                assert_true(ultimate >= p[5].mean * (1 - 1e-12) &&
                                                            ultimate <= BG_GROWTH_COUNT_MAX);
                                                rate = bg_forecast_rate(&fit, counts[n], ages[t]);
                                                assert_true(rate >= 0 && rate <= BG_GROWTH_COUNT_MAX);
                                        }
}

static void test_increment_rate_and_mean_agree(void **state)
{
        BgFit fit = fit_of(1, 5, 0.4);
        double horizon = 30, step = 1e-4;
        BgForecastPoint p;

        (void)state;
        bg_forecast(&p, &fit, 40, 200, &horizon, 1);
        assert_float_equal(p.mean - 40, bg_forecast_increment(&fit, 40, 200, 230), 1e-9);
        assert_float_equal(bg_forecast_rate(&fit, 40, 200), bg_forecast_increment(&fit, 40, 200, 200 + step) / step, 1e-4);
        assert_float_equal(bg_forecast_increment(&fit, 40, 200, 1e9), bg_forecast_ultimate(&fit, 40, 200) - 40, 1e-3);
        assert_float_equal(bg_forecast_increment(&fit, 40, 200, 200), 0, 0);
}

/* Known parameters, dispersion one, nothing added: the process's own law. */
static void test_the_pure_process_has_its_own_law(void **state)
{
        BgForecastSpec pure = { .exposure_max = 8 };
        BgFit fit = fit_of(1, 5, 0.4);
        BgGrowth g = bg_fit_growth(&fit);
        double horizon = 60, d = g.lambda * bg_growth_share_between(&g, 200, 260), unused = 0;
        BgForecastPoint p;

        (void)state;
        (void)unused;
        fit.dispersion = 1;
        memset(fit.laplace, 0, sizeof(fit.laplace));
        bg_forecast_with(&p, &pure, &fit, 40, 200, &horizon, 1);
        for (int k = 0; k < BG_QUANTILE_N; k++) {
                double more = p.q[k] - 40;

                assert_true(gsl_cdf_negative_binomial_P((unsigned)more, exp(-d), 43) >= bg_quantile_levels[k] * (1 - 1e-9));
                assert_true(more == 0 ||
                            gsl_cdf_negative_binomial_P((unsigned)more - 1, exp(-d), 43) < bg_quantile_levels[k] * (1 + 1e-9));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_quantiles_invert_the_distribution),
                cmocka_unit_test(test_quantiles_join_where_the_method_changes),
                cmocka_unit_test(test_quantiles_of_anything_are_finite),
                cmocka_unit_test(test_forecasts_are_sane_whatever_the_fit),
                cmocka_unit_test(test_increment_rate_and_mean_agree),
                cmocka_unit_test(test_the_pure_process_has_its_own_law),
        };

        gsl_set_error_handler_off();
        return cmocka_run_group_tests_name("forecast", tests, NULL, NULL);
}
