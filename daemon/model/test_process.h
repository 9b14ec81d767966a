/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_MODEL_TEST_PROCESS_H
#define BURGEON_MODEL_TEST_PROCESS_H

#include <math.h>
#include <stddef.h>

#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>

#include "daemon/model/fit.h"

/*
 * The process itself, drawn exactly and by other means than the code under test: in units of exposure H = lambda F(t) it is a
 * pure birth process, whose next event is exponential with rate N + m. Above TEST_EVENTS_MAX events the growth of a bin is drawn
 * from its law instead, Poisson with a gamma mean, which is exact too.
 */

enum { TEST_BINS_MAX = 192, TEST_EVENTS_MAX = 5000 };
#define TEST_COUNT_MAX 1e8 /* a model beyond it is not of this world; choosing by the data does not bias a posterior */

typedef struct TestHistory {
        size_t n_bins;
        double edges_days[TEST_BINS_MAX + 1];
        double counts[TEST_BINS_MAX];
        double total;
} TestHistory;

/* Hours on the first day, days in the first week, weeks to the first month, then months: the grid of the registry. */
static inline void test_grid(TestHistory *h, double age_days)
{
        double t = 0;

        h->n_bins = 0;
        h->edges_days[0] = 0;
        while (t < age_days && h->n_bins < TEST_BINS_MAX) {
                double step = t < 0.999 ? 1.0 / 24 : t < 6.999 ? 1 : t < 28 ? 7 : 30.4375;
                double next = t < 30 && t + step > 28.5 ? 30.4375 : t + step;

                t = fmin(next, age_days);
                h->edges_days[++h->n_bins] = t;
        }
}

static inline double test_share(const double theta[3], double age_days)
{
        return age_days > 0 ? 0.5 * erfc(-(log(age_days) - theta[1]) / exp(theta[2]) / sqrt(2)) : 0;
}

/* Counts from the age `from_days` with `count` events to the end of bin `h->n_bins - 1`, added to h. False: beyond
 * TEST_COUNT_MAX. */
static inline int test_process(TestHistory *h, gsl_rng *rng, const double theta[3], double m)
{
        double lambda = exp(theta[0]), n = 0, exposure = 0, next = gsl_ran_exponential(rng, 1 / m);

        h->total = 0;
        for (size_t j = 0; j < h->n_bins; j++) {
                double to = lambda * test_share(theta, h->edges_days[j + 1]);

                h->counts[j] = 0;
                while (n < TEST_EVENTS_MAX && next <= to) {
                        n++;
                        h->counts[j]++;
                        exposure = next;
                        next += gsl_ran_exponential(rng, 1 / (n + m));
                }
                if (n >= TEST_EVENTS_MAX && to > exposure) {
                        double mean = gsl_ran_gamma(rng, n + m, expm1(to - exposure)), more;

                        if (!(n + mean < TEST_COUNT_MAX))
                                return 0;
                        more = gsl_ran_poisson(rng, mean);
                        n += more;
                        h->counts[j] += more;
                        exposure = to;
                }
        }
        h->total = n;
        return 1;
}

/* Of the prior with a diagonal precision. */
static inline void test_theta(double theta[3], gsl_rng *rng, const BgPrior *prior)
{
        static const int diagonal[3] = { 0, 2, 5 };

        for (int i = 0; i < 3; i++)
                theta[i] = prior->mean[i] + gsl_ran_gaussian(rng, 1 / sqrt(prior->precision[diagonal[i]]));
}

#endif
