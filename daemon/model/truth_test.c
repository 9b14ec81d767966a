/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <gsl/gsl_errno.h>

#include "daemon/model/forecast.h"
#include "daemon/model/test_process.h"
#include "daemon/model/test_random.h"

/*
 * Models drawn from the process itself: are the intervals as wide as they say?
 *
 * Parameters come from the prior, so that whatever is chosen by the data alone (200 events and more) an honest posterior holds
 * the truth as often as it promises. The bands are those of the promise, 90 % +- 3 and 80 % +- 4; the number of models makes
 * their sampling error 0.7 %.
 */

enum { MODEL_N = 2000, LARGE_N = 2000, LARGE = 200 };

static gsl_rng *rng;

typedef struct Model {
        TestHistory seen;
        double theta[3];
        double age_days;
        double later; /* events until age_days + 90 */
} Model;

static void draw(Model *model, const BgFitSpec *spec)
{
        do {
                TestHistory both;
                size_t n;

                model->age_days = 30 * pow(50, gsl_rng_uniform(rng)); /* 30 to 1,500 days */
                test_theta(model->theta, rng, &spec->prior);
                test_grid(&both, model->age_days);
                n = both.n_bins;
                both.edges_days[++both.n_bins] = model->age_days + 90;
                if (!test_process(&both, rng, model->theta, spec->m))
                        continue;
                model->later = both.counts[n];
                both.n_bins = n;
                both.total -= model->later;
                model->seen = both;
                return;
        } while (1);
}

static bool inside(const Model *model, const BgFit *fit, const double covariance[BG_SYM_N], int i)
{
        static const int diagonal[3] = { 0, 2, 5 };

        return fabs(fit->theta[i] - model->theta[i]) <= 1.6448536269514722 * sqrt(covariance[diagonal[i]]);
}

static void test_intervals_hold_the_truth(void **state)
{
        BgFitSpec spec = bg_fit_spec_default(BG_ESTIMATOR_LIKELIHOOD);
        BgForecastSpec pure = { .spread_max = 4, .exposure_max = 8 };
        long n[2] = { 0 }, held[2][3] = { { 0 } }, laplace[2][3] = { { 0 } }, drawn = 0, below = 0, above = 0, at_median = 0;

        (void)state;
        spec.dispersion_base = 1;
        spec.dispersion_slope = 0;
        while (n[0] < MODEL_N || n[1] < LARGE_N) {
                Model model;
                BgCounts counts;
                BgForecastPoint point;
                BgFit fit;
                double horizon = 90;
                bool large;

                draw(&model, &spec);
                large = model.seen.total >= LARGE;
                drawn++;
                if (!large && n[0] >= MODEL_N)
                        continue;
                counts = (BgCounts){ .edges_days = model.seen.edges_days,
                                     .counts = model.seen.counts,
                                     .n_bins = model.seen.n_bins };
                bg_fit(&fit, &spec, &counts, NULL);
                assert_int_equal(fit.status, model.seen.total > 0 ? BG_FIT_OK : BG_FIT_NO_DATA);
                for (int i = 0; i < 3; i++) {
                        if (n[0] < MODEL_N) {
                                held[0][i] += inside(&model, &fit, fit.spread, i);
                                laplace[0][i] += inside(&model, &fit, fit.laplace, i);
                        }
                        if (large && n[1] < LARGE_N) {
                                held[1][i] += inside(&model, &fit, fit.spread, i);
                                laplace[1][i] += inside(&model, &fit, fit.laplace, i);
                        }
                }
                if (large && n[1] < LARGE_N) {
                        double then = model.seen.total + model.later;

                        bg_forecast_with(&point, &pure, &fit, model.seen.total, model.age_days, &horizon, 1);
                        below += then < point.q[1];
                        above += then > point.q[5];
                        at_median += then <= point.q[3];
                }
                n[1] += large && n[1] < LARGE_N;
                n[0] += n[0] < MODEL_N;
        }
        for (int k = 0; k < 2; k++)
                print_message("# %ld models%s: 90 %% intervals hold ln lambda, mu, ln sigma %.1f %.1f %.1f %% (inverse Hessian "
                              "alone: %.1f %.1f "
                              "%.1f)\n",
                              n[k], k ? " of 200 events and more" : "", 100.0 * (double)held[k][0] / (double)n[k],
                              100.0 * (double)held[k][1] / (double)n[k], 100.0 * (double)held[k][2] / (double)n[k],
                              100.0 * (double)laplace[k][0] / (double)n[k], 100.0 * (double)laplace[k][1] / (double)n[k],
                              100.0 * (double)laplace[k][2] / (double)n[k]);
        print_message("# count in 90 days, 200 events and more: in the 80 %% interval %.1f %%, below %.1f, above %.1f, up to the "
                      "median %.1f "
                      "(%ld drawn)\n",
                      100.0 * (double)(n[1] - below - above) / (double)n[1], 100.0 * (double)below / (double)n[1],
                      100.0 * (double)above / (double)n[1], 100.0 * (double)at_median / (double)n[1], drawn);
        for (int k = 0; k < 2; k++)
                for (int i = 0; i < 3; i++)
                        assert_in_range(1000 * held[k][i] / n[k], 870, 930);
        assert_in_range(1000 * (n[1] - below - above) / n[1], 760, 840);
}

static int set_up(void **state)
{
        unsigned long seed = (unsigned long)test_seed(20240502);

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
                cmocka_unit_test(test_intervals_hold_the_truth),
        };

        return cmocka_run_group_tests_name("truth", tests, set_up, tear_down);
}
