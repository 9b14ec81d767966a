/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <gsl/gsl_errno.h>

#include "daemon/model/estimator.h"
#include "daemon/model/sym3.h"
#include "daemon/model/test_process.h"
#include "daemon/model/test_random.h"

static gsl_rng *rng;

static BgCounts counts_of(const TestHistory *h)
{
        return (BgCounts){ .edges_days = h->edges_days, .counts = h->counts, .n_bins = h->n_bins };
}

static TestHistory monthly(const double *totals, size_t n_bins, double bin_days)
{
        TestHistory h = { .n_bins = n_bins };

        for (size_t j = 0; j < n_bins; j++) {
                h.edges_days[j + 1] = (double)(j + 1) * bin_days;
                h.counts[j] = totals[j + 1] - totals[j];
                h.total += h.counts[j];
        }
        return h;
}

static void assert_invariant(const BgFit *fit)
{
        double factor[BG_SYM_N];

        for (int i = 0; i < BG_THETA_N; i++)
                assert_true(isfinite(fit->theta[i]));
        assert_true(bg_sym3_cholesky(factor, fit->spread));
        assert_true(bg_sym3_cholesky(factor, fit->laplace));
        assert_true(isfinite(fit->objective) && isfinite(fit->sse) && isfinite(fit->moved) && fit->dispersion > 0 && fit->m > 0);
        assert_true(fit->status != BG_FIT_NONE);
}

/* Reference fits made by another program, on months as the unit of time; theta to its stopping rule. */
static void test_likelihood_agrees_with_reference_fits(void **state)
{
        static const double a[] = { 0, 70, 172, 319, 560, 772, 889, 1101, 1304, 1496 }, b[] = { 0, 0, 1, 1, 2 };
        static const double theta[2][3] = { { 1.811, 1.319, .577 }, { .8696, 2.1448, .3753 } }, phi[2] = { 54.8667, 5.15 };
        static const double months[4] = { 1, 3, 6, 12 };
        static const double d[2][4] = { { .1259, .3341, .5705, .8850 }, { .1321, .3448, .5774, .8725 } };
        TestHistory histories[2] = { monthly(a, 9, BG_MONTH_DAYS), monthly(b, 4, BG_MONTH_DAYS) };
        BgFitSpec spec = bg_fit_spec_default(BG_ESTIMATOR_LIKELIHOOD);

        (void)state;
        for (int k = 0; k < 2; k++) {
                BgCounts counts = counts_of(&histories[k]);
                double age = histories[k].edges_days[histories[k].n_bins], unused[3];
                BgGrowth g;
                BgFit fit;

                bg_fit(&fit, &spec, &counts, NULL);
                g = bg_fit_growth(&fit);
                assert_int_equal(fit.status, BG_FIT_OK);
                assert_float_equal(fit.dispersion, phi[k], 1e-4);
                assert_float_equal(fit.theta[0], theta[k][0], 1e-3);
                assert_float_equal(fit.theta[1] - log(BG_MONTH_DAYS), theta[k][1], 1e-3);
                assert_float_equal(fit.theta[2], theta[k][2], 1e-3);
                for (int h = 0; h < 4; h++)
                        assert_true(fabs(bg_growth_exposure(&g, age, age + months[h] * BG_MONTH_DAYS, unused) / d[k][h] - 1) <
                                    3e-3);
        }
}

static void draw(TestHistory *h, const BgFitSpec *spec, double age_days)
{
        double theta[3];

        do {
                test_theta(theta, rng, &spec->prior);
                test_grid(h, age_days);
        } while (!test_process(h, rng, theta, spec->m));
}

static void test_gradient_and_hessian_are_those_of_finite_differences(void **state)
{
        BgFitSpec spec = bg_fit_spec_default(BG_ESTIMATOR_LIKELIHOOD);

        (void)state;
        for (int i = 0; i < 200; i++) {
                TestHistory h;
                BgCounts counts;
                double theta[3], gradient[3], hessian[6], step = 1e-5;

                draw(&h, &spec, exp(gsl_ran_flat(rng, 0, 7)));
                counts = counts_of(&h);
                test_theta(theta, rng, &spec.prior);
                bg_fit_objective(&spec, &counts, theta, gradient, hessian);
                for (int k = 0; k < 3; k++) {
                        double up[3], down[3], gradient_up[3], gradient_down[3], unused[6], value_up, value_down, slope;
                        static const int packed[3][3] = { { 0, 1, 3 }, { 1, 2, 4 }, { 3, 4, 5 } };

                        memcpy(up, theta, sizeof(up));
                        memcpy(down, theta, sizeof(down));
                        up[k] += step;
                        down[k] -= step;
                        value_up = bg_fit_objective(&spec, &counts, up, gradient_up, unused);
                        value_down = bg_fit_objective(&spec, &counts, down, gradient_down, unused);
                        slope = (value_up - value_down) / (2 * step);
                        assert_true(fabs(slope - gradient[k]) < 1e-6 * fabs(gradient[k]) + 1e-9 * (1 + fabs(value_up)));
                        for (int j = 0; j < 3; j++) {
                                double bend = (gradient_up[j] - gradient_down[j]) / (2 * step), exact = hessian[packed[j][k]];

                                assert_true(fabs(bend - exact) < 1e-5 * fabs(exact) + 1e-8 * (1 + fabs(value_up)));
                        }
                }
        }
}

/* However finely silence is divided, it says the same; and so does a longer history than what is kept on the stack. */
static void test_empty_bins_divide_freely(void **state)
{
        BgFitSpec spec = bg_fit_spec_default(BG_ESTIMATOR_LIKELIHOOD);
        static double edges[4097], counts[4096];
        BgCounts fine = { .edges_days = edges, .counts = counts, .n_bins = 4096 };
        double coarse_edges[] = { 0, 100, 101, 200, 201, 512 }, coarse_counts[] = { 0, 7, 0, 5, 0 };
        BgCounts coarse = { .edges_days = coarse_edges, .counts = coarse_counts, .n_bins = 5 };
        BgFit a, b;

        (void)state;
        for (int j = 0; j < 4096; j++)
                edges[j + 1] = (j + 1) / 8.0;
        /* bins of an eighth of a day cannot hold seven events in one of a day: put them where both agree on the edges */
        coarse_edges[1] = 100 - 1.0 / 8;
        coarse_edges[2] = 100;
        coarse_edges[3] = 200 - 1.0 / 8;
        coarse_edges[4] = 200;
        counts[799] = 7;
        counts[1599] = 5;
        bg_fit(&a, &spec, &fine, NULL);
        bg_fit(&b, &spec, &coarse, NULL);
        for (int i = 0; i < 3; i++)
                assert_float_equal(a.theta[i], b.theta[i], 1e-8);
        assert_float_equal(a.objective, b.objective, 1e-9);
}

/* A warm chain over a growing history, bursts included, is where a cold fit is, every time. */
static void test_warm_equals_cold(void **state)
{
        BgFitSpec spec = bg_fit_spec_default(BG_ESTIMATOR_LIKELIHOOD);
        long fits = 0, apart = 0, warm_iterations = 0, cold_iterations = 0;

        (void)state;
        for (int i = 0; i < 150; i++) {
                TestHistory whole;
                BgFit previous = { 0 };
                bool burst = i % 3 == 0, pure = i % 3 == 1;
                size_t where;

                spec.dispersion_base = pure ? 1 : 5;
                spec.dispersion_slope = pure ? 0 : 0.3;
                draw(&whole, &spec, 1500);
                where = (size_t)gsl_ran_flat(rng, 0, (double)whole.n_bins);
                if (burst)
                        whole.counts[where] += floor(whole.total / 2) + 5;
                for (size_t n = 20; n <= whole.n_bins; n++) {
                        BgCounts counts = counts_of(&whole);
                        BgFit warm, cold;

                        counts.n_bins = n;
                        bg_fit(&warm, &spec, &counts, &previous);
                        bg_fit(&cold, &spec, &counts, NULL);
                        assert_invariant(&warm);
                        assert_true(warm.objective <= cold.objective + 1e-9 * (1 + fabs(cold.objective)));
                        fits++;
                        warm_iterations += warm.iterations;
                        cold_iterations += cold.iterations;
                        for (int k = 0; k < 3; k++)
                                if (fabs(warm.theta[k] - cold.theta[k]) > 1e-6) {
                                        apart++;
                                        break;
                                }
                        previous = warm;
                }
        }
        print_message("# warm equals cold: %ld of %ld apart; iterations warm %.2f, cold %.2f\n", apart, fits,
                      (double)warm_iterations / (double)fits, (double)cold_iterations / (double)fits);
        assert_int_equal(apart, 0);
}

static void test_a_start_far_away_does_no_harm(void **state)
{
        BgFitSpec spec = bg_fit_spec_default(BG_ESTIMATOR_LIKELIHOOD);
        static const double far[][3] = { { 13, 90, 13 }, { -13, -90, -13 }, { 1e9, 0, 0 }, { 6, 3, -4 }, { -5, 12, 5 } };

        (void)state;
        for (int i = 0; i < 40; i++) {
                TestHistory h;
                BgCounts counts;
                BgFit cold;

                draw(&h, &spec, 400);
                counts = counts_of(&h);
                bg_fit(&cold, &spec, &counts, NULL);
                for (size_t k = 0; k < sizeof(far) / sizeof(*far); k++) {
                        BgFit start = cold, warm;

                        memcpy(start.theta, far[k], sizeof(start.theta));
                        bg_fit(&warm, &spec, &counts, &start);
                        assert_invariant(&warm);
                        assert_true(warm.status == BG_FIT_OK || warm.status == BG_FIT_NO_DATA);
                        for (int j = 0; j < 3; j++)
                                assert_float_equal(warm.theta[j], cold.theta[j], 1e-6);
                }
        }
}

static void test_silence_lowers_the_fitness(void **state)
{
        double edges[] = { 0, 730 }, counts[] = { 0 };
        BgCounts silent = { .edges_days = edges, .counts = counts, .n_bins = 1 };
        BgFitSpec spec = bg_fit_spec_default(BG_ESTIMATOR_LIKELIHOOD);
        BgFit fit;

        (void)state;
        bg_fit(&fit, &spec, &silent, NULL);
        assert_invariant(&fit);
        assert_int_equal(fit.status, BG_FIT_NO_DATA);
        assert_true(fit.theta[0] < spec.prior.mean[0] - 0.1);
}

static void test_junk_has_a_status(void **state)
{
        double edges[] = { 0, 1, 2, 3 }, counts[] = { 1, 2, 3 };
        BgCounts good = { .edges_days = edges, .counts = counts, .n_bins = 3 };

        (void)state;
        for (int e = 0; e < 2; e++) {
                BgFitSpec spec = bg_fit_spec_default((BgEstimator)e), bad_spec;
                struct {
                        double edges[4], counts[3], before;
                } bad[] = {
                        { { 0, 1, 1, 3 }, { 1, 2, 3 }, 0 },        { { 0, 2, 1, 3 }, { 1, 2, 3 }, 0 },
                        { { -1, 1, 2, 3 }, { 1, 2, 3 }, 0 },       { { 0, 1, 2, INFINITY }, { 1, 2, 3 }, 0 },
                        { { 0, NAN, 2, 3 }, { 1, 2, 3 }, 0 },      { { NAN, 1, 2, 3 }, { 1, 2, 3 }, 0 },
                        { { 0, 1, 2, 3 }, { 1, -2, 3 }, 0 },       { { 0, 1, 2, 3 }, { 1, NAN, 3 }, 0 },
                        { { 0, 1, 2, 3 }, { 1, INFINITY, 3 }, 0 }, { { 0, 1, 2, 3 }, { 1, 1e300, 3 }, 0 },
                        { { 0, 1, 2, 3 }, { 1, 2, 3 }, -1 },       { { 0, 1, 2, 3 }, { 1, 2, 3 }, NAN },
                };
                BgCounts none = { 0 };
                BgFit fit, junk = { .theta = { NAN, 0, 0 }, .status = BG_FIT_OK };

                for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
                        BgCounts c = {
                                .edges_days = bad[i].edges, .counts = bad[i].counts, .n_bins = 3, .before = bad[i].before
                        };

                        bg_fit(&fit, &spec, &c, NULL);
                        assert_int_equal(fit.status, BG_FIT_NONFINITE);
                        assert_invariant(&fit);
                        assert_float_equal(fit.theta[0], spec.prior.mean[0], 0);
                }
                bg_fit(&fit, &spec, &none, NULL);
                assert_int_equal(fit.status, BG_FIT_NO_DATA);
                assert_invariant(&fit);
                bg_fit(&fit, &spec, &good, &junk);
                assert_true(fit.status != BG_FIT_NONFINITE && !fit.warm);
                assert_invariant(&fit);
                for (int i = 0; i < 7; i++) {
                        bad_spec = spec;
                        *(double *[]){ &bad_spec.m,
                                       &bad_spec.m,
                                       &bad_spec.unit_days,
                                       &bad_spec.dispersion_base,
                                       &bad_spec.dispersion_slope,
                                       &bad_spec.prior.mean[1],
                                       &bad_spec.prior.precision[2] }[i] = (double[]){ 0, NAN, -1, 0, -1, INFINITY, -1 }[i];
                        bg_fit(&fit, &bad_spec, &good, NULL);
                        assert_int_equal(fit.status, BG_FIT_NONFINITE);
                        assert_invariant(&fit);
                }
        }
}

/* Histories at the edge of what is allowed: whatever the status, the invariant holds. */
static void test_extreme_histories_keep_the_invariant(void **state)
{
        TestRandom r = { 5 };

        (void)state;
        for (int i = 0; i < 400; i++) {
                TestHistory h = { .n_bins = 1 + test_below(&r, 12) };
                BgCounts counts;
                double t = i % 3 ? 0 : exp(3 * test_normal(&r));

                h.edges_days[0] = t;
                for (size_t j = 0; j < h.n_bins; j++) {
                        t = t * (1 + 1e-6) + exp(8 * test_normal(&r));
                        h.edges_days[j + 1] = t;
                        h.counts[j] = test_below(&r, 2) ? 0 : floor(exp(fmin(25, 8 * fabs(test_normal(&r)))));
                }
                counts = counts_of(&h);
                counts.before = test_below(&r, 4) ? 0 : 1000;
                for (int e = 0; e < 2; e++) {
                        BgFitSpec spec = bg_fit_spec_default((BgEstimator)e);
                        BgFit fit, again;

                        bg_fit(&fit, &spec, &counts, NULL);
                        assert_invariant(&fit);
                        bg_fit(&again, &spec, &counts, NULL);
                        assert_memory_equal(&fit, &again, sizeof(fit));
                }
        }
}

/* ---- least squares
 * ------------------------------------------------------------------------------------------------------------- */

static void test_least_squares_finds_a_curve_without_noise(void **state)
{
        static const double truth[][3] = { { 3, 0.5, 1.2 }, { 8, 1.5, 1 }, { 1.5, 0.1, 0.3 }, { 5, 0.8, 2 }, { 20, 3, 1.8 } };
        BgFitSpec spec = bg_fit_spec_default(BG_ESTIMATOR_LEAST_SQUARES);

        (void)state;
        spec.m = 1;
        for (size_t i = 0; i < sizeof(truth) / sizeof(*truth); i++) {
                BgGrowth g = { truth[i][0], truth[i][1] + log(365.25), truth[i][2], 1 };
                TestHistory h = { .n_bins = 30 };
                BgCounts counts;
                BgFit fit;

                for (size_t j = 0; j < 30; j++) {
                        h.edges_days[j + 1] = (double)(j + 1) * BG_MONTH_DAYS;
                        h.counts[j] = bg_growth_expected(&g, h.edges_days[j + 1]) - bg_growth_expected(&g, h.edges_days[j]);
                }
                counts = counts_of(&h);
                bg_fit(&fit, &spec, &counts, NULL);
                assert_int_equal(fit.status, BG_FIT_OK);
                assert_float_equal(exp(fit.theta[0]) / g.lambda, 1, 1e-5);
                assert_float_equal(fit.theta[1], g.mu, 1e-5);
                assert_float_equal(exp(fit.theta[2]) / g.sigma, 1, 1e-5);
        }
}

static void test_least_squares_stays_on_its_bound(void **state)
{
        /* over before the first year: without the bound mu would be negative, in years */
        static const double totals[] = { 0, 5, 9, 11, 12, 13, 13, 14, 14, 14, 14, 14, 15 };
        TestHistory h = monthly(totals, 12, BG_MONTH_DAYS);
        BgCounts counts = counts_of(&h);
        BgFitSpec spec = bg_fit_spec_default(BG_ESTIMATOR_LEAST_SQUARES);
        BgFit years, days;

        (void)state;
        spec.m = 1;
        bg_fit(&years, &spec, &counts, NULL);
        assert_int_equal(years.status, BG_FIT_BOUND);
        assert_float_equal(years.theta[1], log(365.25), 1e-12);
        assert_float_equal(years.objective, years.sse, 1e-9);
        spec.unit_days = 1;
        bg_fit(&days, &spec, &counts, NULL);
        assert_int_equal(days.status, BG_FIT_OK);
        assert_true(days.sse < years.sse && days.theta[1] < log(365.25));
        /* the bound's minimum is one: no neighbour within the bound is lower */
        for (int i = 0; i < 3; i++)
                for (double step = -1e-3; step <= 1e-3; step += 2e-3) {
                        BgFit near = years;
                        BgGrowth g;
                        double sse = 0;

                        near.theta[i] += step;
                        if (near.theta[1] < log(365.25))
                                continue;
                        g = bg_fit_growth(&near);
                        for (size_t j = 0; j < h.n_bins; j++)
                                sse += pow(bg_growth_expected(&g, h.edges_days[j + 1]) - totals[j + 1], 2);
                        assert_true(sse >= years.sse);
                }
}

static void test_least_squares_of_few_or_no_counts(void **state)
{
        static const double nothing[] = { 0, 0, 0, 0, 0 }, one[] = { 0, 4 }, two[] = { 0, 1, 7 }, step[] = { 0, 0, 0, 5, 5, 5 };
        BgFitSpec spec = bg_fit_spec_default(BG_ESTIMATOR_LEAST_SQUARES);
        TestHistory histories[] = { monthly(nothing, 4, 30), monthly(one, 1, 30), monthly(two, 2, 30), monthly(step, 5, 30) };

        (void)state;
        spec.unit_days = 1;
        for (int i = 0; i < 4; i++) {
                BgCounts counts = counts_of(&histories[i]);
                BgFit fit;

                bg_fit(&fit, &spec, &counts, NULL);
                assert_invariant(&fit);
                assert_true(fit.sse < 1e-9);
                assert_int_equal(fit.status == BG_FIT_NO_DATA, i == 0);
        }
}

static void test_least_squares_is_the_same_warm(void **state)
{
        BgFitSpec map = bg_fit_spec_default(BG_ESTIMATOR_LIKELIHOOD), spec = bg_fit_spec_default(BG_ESTIMATOR_LEAST_SQUARES);

        (void)state;
        for (int i = 0; i < 12; i++) {
                TestHistory h;
                BgFit previous = { 0 };

                draw(&h, &map, 900);
                for (size_t n = 30; n <= h.n_bins; n += 3) {
                        BgCounts counts = counts_of(&h);
                        BgFit warm, cold;

                        counts.n_bins = n;
                        bg_fit(&warm, &spec, &counts, &previous);
                        bg_fit(&cold, &spec, &counts, NULL);
                        assert_true(warm.sse <= cold.sse);
                        if (!warm.warm)
                                assert_memory_equal(warm.theta, cold.theta, sizeof(cold.theta));
                        previous = warm;
                }
        }
}

static void test_months_snap(void **state)
{
        /* from 31 January 2023: 28 February (28 d), 31 March, 30 April .. as calendars count them */
        double good[] = { 0, 28, 59, 89, 120, 150, 160 }, weeks[] = { 0, 7, 14, 21 }, gap[] = { 0, 31, 90 },
               late[] = { 1, 31, 61 };

        (void)state;
        assert_true(bg_counts_snap_months(good, 6));
        for (int k = 0; k < 6; k++)
                assert_float_equal(good[k], k * BG_MONTH_DAYS, 1e-12);
        assert_float_equal(good[6], 5 * BG_MONTH_DAYS + 10, 1e-12);
        assert_false(bg_counts_snap_months(weeks, 3));
        assert_false(bg_counts_snap_months(gap, 2));
        assert_false(bg_counts_snap_months(late, 2));
        assert_float_equal(weeks[1], 7, 0);
        assert_false(bg_counts_snap_months(good, 0));
}

static int set_up(void **state)
{
        unsigned long seed = (unsigned long)test_seed(20240501);

        (void)state;
        print_message("# seed %lu\n", seed);
        gsl_set_error_handler_off();
        rng = gsl_rng_alloc(gsl_rng_mt19937);
        gsl_rng_set(rng, seed);
        return rng ? 0 : -1;
}

static int tear_down(void **state)
{
        (void)state;
        gsl_rng_free(rng);
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_likelihood_agrees_with_reference_fits),
                cmocka_unit_test(test_gradient_and_hessian_are_those_of_finite_differences),
                cmocka_unit_test(test_empty_bins_divide_freely),
                cmocka_unit_test(test_warm_equals_cold),
                cmocka_unit_test(test_a_start_far_away_does_no_harm),
                cmocka_unit_test(test_silence_lowers_the_fitness),
                cmocka_unit_test(test_junk_has_a_status),
                cmocka_unit_test(test_extreme_histories_keep_the_invariant),
                cmocka_unit_test(test_least_squares_finds_a_curve_without_noise),
                cmocka_unit_test(test_least_squares_stays_on_its_bound),
                cmocka_unit_test(test_least_squares_of_few_or_no_counts),
                cmocka_unit_test(test_least_squares_is_the_same_warm),
                cmocka_unit_test(test_months_snap),
        };

        return cmocka_run_group_tests_name("fit", tests, set_up, tear_down);
}
