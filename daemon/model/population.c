/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/model/population.h"

#include <math.h>
#include <stdlib.h>

const double bg_summary_levels[BG_SUMMARY_N] = { .1, .25, .5, .75, .9 };

static int rising(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

void bg_population_sort(double *values, size_t n)
{
        if (n > 1)
                qsort(values, n, sizeof(*values), rising);
}

double bg_population_quantile(const double *sorted, size_t n, double p)
{
        double at = p * (double)(n - 1);
        size_t i = n > 1 ? (size_t)at : 0;

        if (n == 0)
                return NAN;
        if (i + 1 >= n)
                return sorted[n - 1];
        return sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]);
}

static double sum_of(const double *values, size_t n)
{
        double sum = 0;

        for (size_t i = 0; i < n; i++)
                sum += values[i];
        return sum;
}

BgSummary bg_population_summary(const double *sorted, size_t n)
{
        BgSummary summary = { .n = n, .mean = n ? sum_of(sorted, n) / (double)n : NAN };

        for (int k = 0; k < BG_SUMMARY_N; k++)
                summary.q[k] = bg_population_quantile(sorted, n, bg_summary_levels[k]);
        return summary;
}

double bg_population_gini(const double *sorted, size_t n)
{
        double sum = sum_of(sorted, n), weighted = 0;

        if (!(sum > 0))
                return 0;
        for (size_t i = 0; i < n; i++)
                weighted += ((double)i + 1) * (sorted[i] / sum);
        return fmax(2 * weighted / (double)n - ((double)n + 1) / (double)n, 0);
}

size_t bg_population_largest(const double *sorted, size_t n, double share)
{
        double wanted = share * sum_of(sorted, n), have = 0;
        size_t k = 0;

        if (!(wanted > 0))
                return 0;
        /* the sums differ by rounding: all of it is not found wanting by one bit */
        while (k < n && have < wanted * (1 - 1e-12))
                have += sorted[n - ++k];
        return k;
}

void bg_population_lorenz(const double *sorted, size_t n, double *shares, size_t n_shares)
{
        double sum = sum_of(sorted, n), below = 0;
        size_t i = 0;

        for (size_t k = 0; k < n_shares; k++) {
                double until = (double)n * (double)k / (double)(n_shares - 1);

                for (; i < n && (double)(i + 1) <= until; i++)
                        below += sorted[i];
                shares[k] = sum > 0 ? fmin((below + (i < n ? (until - (double)i) * sorted[i] : 0)) / sum, 1) : 0;
        }
}

double bg_population_correlation(const double *x, const double *y, size_t n)
{
        double mx = n ? sum_of(x, n) / (double)n : 0, my = n ? sum_of(y, n) / (double)n : 0, xx = 0, yy = 0, xy = 0;

        for (size_t i = 0; i < n; i++) {
                xx += (x[i] - mx) * (x[i] - mx);
                yy += (y[i] - my) * (y[i] - my);
                xy += (x[i] - mx) * (y[i] - my);
        }
        if (n < 3 || !(xx > 0) || !(yy > 0))
                return NAN;
        return fmax(fmin(xy / sqrt(xx) / sqrt(yy), 1), -1);
}

/* ---- groups --------------------------------------------------------------------------------------------------------------------- */

void bg_components_add(BgComponents *components, double n, double sum, double within_sum)
{
        if (!(n > 0))
                return;
        components->n += n;
        components->groups++;
        components->sum += sum;
        components->between_sum += sum * sum / n;
        components->within_sum += within_sum;
        components->squares += n * n;
}

double bg_components_weight(const BgComponents *components, double n)
{
        const BgComponents *c = components;
        double within, between, n0;

        if (!(n > 0) || c->groups < 2 || c->n <= c->groups)
                return 0;
        within = c->within_sum / (c->n - c->groups);
        n0 = (c->n - c->squares / c->n) / (c->groups - 1);
        if (!(n0 > 0))
                return 0;
        between = ((c->between_sum - c->sum * c->sum / c->n) / (c->groups - 1) - within) / n0;
        if (!(between > 0))
                return 0;
        /* a Dirichlet process has kappa > 0; members that do not differ at all count as one member's worth of doubt */
        return n / (n + fmax(within / between, 1));
}

/** Share of sorted values <= x. */
static double share_until(const double *sorted, size_t n, double x)
{
        size_t low = 0, high = n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (sorted[middle] <= x)
                        low = middle + 1;
                else
                        high = middle;
        }
        return n ? (double)low / (double)n : 0;
}

double bg_population_expected(const double *group, size_t n_group, double group_mean, const double *population, size_t n_population,
                              double population_mean, double weight, double q[BG_QUANTILE_N])
{
        double w = n_group ? weight : 0;

        for (int k = 0; k < BG_QUANTILE_N; k++) {
                size_t low = 0, high = n_population ? n_population - 1 : 0;

                while (low < high) { /* the first value of the population up to which the mixture holds the level */
                        size_t middle = low + (high - low) / 2;
                        double x = population[middle];
                        double have = w * share_until(group, n_group, x) + (1 - w) * share_until(population, n_population, x);

                        if (have >= bg_quantile_levels[k] - 1e-12)
                                high = middle;
                        else
                                low = middle + 1;
                }
                q[k] = n_population ? population[low] : 0;
        }
        if (!n_population)
                return 0;
        return w > 0 ? w * group_mean + (1 - w) * population_mean : population_mean;
}
