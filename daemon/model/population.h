/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_MODEL_POPULATION_H
#define BURGEON_MODEL_POPULATION_H

#include <stddef.h>

#include "daemon/model/forecast.h"

/*
 * What can be said of many series at once: order statistics, concentration, and what a new member of a group may expect.
 * Arrays named `sorted` rise; nothing here returns infinity, and NaN only where it says so.
 */

enum { BG_SUMMARY_N = 5 };
extern const double bg_summary_levels[BG_SUMMARY_N]; /* .1 .25 .5 .75 .9 */

typedef struct BgSummary {
        size_t n;
        double mean; /* NaN, all of them, when n = 0 */
        double q[BG_SUMMARY_N];
} BgSummary;

/** In place, rising. O(n log n), no allocation. */
void bg_population_sort(double *values, size_t n);
/** Quantile between order statistics (linear, Hyndman and Fan 1996 type 7). NaN when n = 0. */
double bg_population_quantile(const double *sorted, size_t n, double p);
BgSummary bg_population_summary(const double *sorted, size_t n);

/**
 * Gini coefficient of values >= 0: 0 = all alike, to 1 - 1/n = one has everything. 0 when the sum is 0.
 *   G = 2 sum_i i x_(i) / (n sum x) - (n + 1)/n
 */
double bg_population_gini(const double *sorted, size_t n);
/** How few of the largest hold the share of the sum: the least k with x_(n) + .. + x_(n-k+1) >= share sum x. 0 when the sum is 0. */
size_t bg_population_largest(const double *sorted, size_t n, double share);
/** Lorenz curve: shares[i] of the sum belongs to the smallest i / (n_shares - 1) of the values. Rising, 0 to 1; 0s when the sum is 0. */
void bg_population_lorenz(const double *sorted, size_t n, double *shares, size_t n_shares);
/** Pearson's correlation; NaN when one does not vary or n < 3. */
double bg_population_correlation(const double *x, const double *y, size_t n);

/* ---- groups: what a new member may expect ---------------------------------------------------------------------------------------- */

/*
 * Counts x at one age, of members in groups; y = ln(1 + x). A group's distribution is drawn from a Dirichlet process around
 * the population's: F_g ~ DP(kappa, F). A new member of group g, of whose n members the empirical distribution is F_g, then has
 * the distribution (Ferguson 1973)
 *
 *     w F_g + (1 - w) F       w = n / (n + kappa)
 *
 * which keeps what normal shrinkage loses: two thirds of all models have no child at all. Its mean of y is the
 * normal-normal shrunk mean w ybar_g + (1 - w) ybar, and kappa is empirical Bayes': kappa = within / between, the
 * variance components of y by the method of moments (one-way random effects, groups of unequal size):
 *
 *     within  = sum_g sum_j (y_gj - ybar_g)^2 / (N - G)
 *     between = max(0, (sum_g n_g (ybar_g - ybar)^2 / (G - 1) - within) / n0)     n0 = (N - sum_g n_g^2 / N) / (G - 1)
 */
typedef struct BgComponents {
        double n;        /* members: N */
        double groups;   /* G */
        double sum;      /* of y */
        double between_sum; /* sum_g n_g ybar_g^2 */
        double within_sum;  /* sum of squares about the groups' means */
        double squares;  /* sum_g n_g^2 */
} BgComponents;

/** Add one group: n members with that sum of y and that sum of squares about their mean. Groups without members are not added. */
void bg_components_add(BgComponents *components, double n, double sum, double within_sum);
/** Weight of a group's own n members, in [0, 1). 0 when the data do not tell groups apart; n / (n + 1) when members of a group are alike. */
double bg_components_weight(const BgComponents *components, double n);

/**
 * bg_population_expected() - quantiles of w F_group + (1 - w) F_population
 * @group, @population: sorted counts; the group's are among the population's
 * @q:                  BG_QUANTILE_N at bg_quantile_levels: values that occurred, rising
 * Return: the mean of the mixture. With an empty population: 0, and all quantiles 0.       Cost: O(log n_population log n_group).
 */
double bg_population_expected(const double *group, size_t n_group, double group_mean, const double *population, size_t n_population,
                              double population_mean, double weight, double q[BG_QUANTILE_N]);

#endif
