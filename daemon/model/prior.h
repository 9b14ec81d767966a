/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_MODEL_PRIOR_H
#define BURGEON_MODEL_PRIOR_H

#include "daemon/model/fit.h"

/*
 * The shared prior, learned by incremental empirical Bayes: an EM step of the Gaussian population model, spread over time.
 *
 * Every series with enough history contributes its posterior (theta, V) once; a refit replaces its contribution. The prior of
 * the next step is the mean and the covariance of all contributions and of a pseudo-population that keeps the first days sane:
 *
 *   S0 = sum 1,  S1 = sum theta,  S2 = sum (theta theta' + V)        mean = S1/S0,  cov = S2/S0 - mean mean'
 *
 * The sums do not depend on the order of contributions but for rounding; callers add in a fixed order to have the same bits.
 */
typedef struct BgPriorSums {
        double s0;
        double s1[BG_THETA_N];
        double s2[BG_SYM_N];
} BgPriorSums;

#define BG_PRIOR_PSEUDO_COUNT 20.0 /* series that the starting prior is worth */

/** The pseudo-population alone: 20 series of the fixed population prior. */
void bg_prior_sums_init(BgPriorSums *sums);
/** Add (sign = 1) or take back (sign = -1) one posterior. */
void bg_prior_sums_add(BgPriorSums *sums, double sign, const double theta[BG_THETA_N], const double spread[BG_SYM_N]);
/** Mean and precision. A covariance that rounding made indefinite is answered with the fixed population prior. */
BgPrior bg_prior_from_sums(const BgPriorSums *sums);

#endif
