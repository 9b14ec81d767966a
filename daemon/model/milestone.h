/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_MODEL_MILESTONE_H
#define BURGEON_MODEL_MILESTONE_H

#include "daemon/model/pool.h"

/*
 * When is a count reached? The distribution of that time is the predictive distribution read the other way: the time is at most h
 * exactly when N(T + h) >= target, so P(time <= h) = P(N(T + h) >= target) at every horizon from one hour to five years.
 *
 * A forecast has seven quantiles. Between them u = ln(1 + increment) is taken as normal piece by piece (linear in u on the scale
 * of normal quantiles, hence a lognormal increment where the trackers are at their start), and beyond the outer two as the
 * outermost piece goes on: normal tails in u.
 */

enum { BG_WITHIN_N = 5 };
extern const double bg_within_days[BG_WITHIN_N]; /* 7 30 90 365 1826.25: the last is as far as forecasts go */

typedef struct BgArrival {
        double days[BG_QUANTILE_N]; /* time until the target, rising; INFINITY: not within bg_within_days' last */
        double within[BG_WITHIN_N]; /* probability of reaching it by then, rising */
} BgArrival;

/** P(N(T + horizon) >= target) of a target that is above N(T). */
typedef double BgReach(const void *data, double horizon_days);

/**
 * bg_milestone() - invert a predictive distribution
 *
 * A count that was reached stays reached, so a probability that falls with the horizon is held at its highest so far, as
 * published quantiles are. Quantiles are good to 1e-4 of themselves where `reach` is continuous. Below the first hour the
 * probability is taken as rising in a straight line.       Cost: 97 calls of `reach` and 14 for each finite quantile.
 */
void bg_milestone(BgArrival *arrival, BgReach *reach, const void *data);

/** The target is counted already: times 0, probabilities 1. */
void bg_milestone_reached(BgArrival *arrival);

/**
 * bg_milestone_pooled() - under the pooled forecast (pool.h)
 * @input: of the origin; target > input->count
 * Agrees with bg_pool_quantiles() but for what the quartiles are rounded inwards: less than one child. Cost: about 0.1 ms.
 */
void bg_milestone_pooled(BgArrival *arrival, const BgPool *pool, const BgFit *fit, const BgPoolInput *input, double target);
/** Under the process alone (forecast.h): exact, its law is negative binomial. */
void bg_milestone_process(BgArrival *arrival, const BgFit *fit, double count, double age_days, double target);

/** P(U >= u) from rising quantiles of U at bg_quantile_levels, with the tails described above. In [0, 1]. */
double bg_milestone_exceeds(const double levels[BG_QUANTILE_N], double u);

#endif
