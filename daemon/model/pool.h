/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_MODEL_POOL_H
#define BURGEON_MODEL_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/model/fit.h"
#include "daemon/model/forecast.h"

/*
 * The predictive distribution: four forecasts of the increment pooled on the scale u = ln(1 + increment), the width of the
 * reinforced process' posterior, and quantiles corrected online by what came true.
 *
 *   experts    the reinforced process (RPP); two rates damped with age, arithmetic and geometric; the drift of the last month
 *   pool       ubar = sum_e w_e u_e, weights learned per horizon and size (exponentiated gradient on |ln(1 + count) error|)
 *   width      s = S e^l: the posterior's S, corrected by a scale tracker per horizon and size (share outside 80 %)
 *   quantiles  x_p = ubar + s c_p(ubar): a small table of quantile trackers per horizon, started at the normal quantiles
 *
 * All learned state is shared by all series: a few KB. Time unit of this room: the bin, 30.4375 days. Pure functions.
 */

#define BG_POOL_BIN_DAYS 30.4375
#define BG_POOL_DECAY 0.6 /* weight of a window one bin older */

enum { BG_EXPERT_RPP, BG_EXPERT_AGE, BG_EXPERT_GEOAGE, BG_EXPERT_DRIFT, BG_EXPERT_N };
enum { BG_POOL_SIZE_N = 3, BG_POOL_NODE_N = 7, BG_POOL_WINDOW_MAX = 24 }; /* .6^24 = 5e-6: older windows do not matter */

/** What the experts look at beside the fit. Window j is one bin of age counted back from the origin, the latest first. */
typedef struct BgPoolInput {
        double count;                        /* n = N(T) */
        double age_days;                     /* T */
        size_t n_windows;                    /* ceil(T in bins), at most BG_POOL_WINDOW_MAX */
        double windows[BG_POOL_WINDOW_MAX];  /* children in them; the last one may reach only to the release */
} BgPoolInput;

/** Opinions at one horizon, all fixed at the origin. */
typedef struct BgPoolOpinion {
        double u[BG_EXPERT_N]; /* ln(1 + increment) of each expert, >= 0 */
        double s;              /* S: scale of ln(1 + increment) by the posterior, > 0 */
} BgPoolOpinion;

/** O(windows + 1) each; about 1 us. Finite for any input. */
void bg_pool_opinion(BgPoolOpinion *opinion, const BgFit *fit, const BgPoolInput *input, double horizon_days);

/* ---- learned state ------------------------------------------------------------------------------------------------------------- */

/** Trackers of one horizon. Series without a child have a copy of their own (bg_pool knots come in pairs). */
typedef struct BgPoolKnot {
        double days;
        double quantile[BG_POOL_NODE_N][BG_QUANTILE_N]; /* C: in units of s, at nodes of ubar */
        double seen[BG_POOL_NODE_N];                    /* outcomes near the node */
        double scale[BG_POOL_SIZE_N];                   /* l */
        double weight[BG_POOL_SIZE_N][BG_EXPERT_N];
} BgPoolKnot;

enum { BG_POOL_KNOT_N = 10 };

/** State of the pool: knots at rising horizons; [0] for series with children, [1] for those without. */
typedef struct BgPool {
        BgPoolKnot knots[2][BG_POOL_KNOT_N];
} BgPool;

/** Equal weights, unit scale, normal quantiles: what is known before any outcome. */
void bg_pool_init(BgPool *pool);
double bg_pool_knot_days(size_t knot); /* 1/24 .. 1826.25 */

/**
 * bg_pool_quantiles() - the pooled forecast at one horizon, with the current trackers (interpolated in ln h between knots)
 * @point: days is set to horizon_days; mean and quantiles are of the cumulative count: integers, rising, >= count
 */
void bg_pool_quantiles(BgForecastPoint *point, const BgPool *pool, const BgPoolOpinion *opinion, double count, double horizon_days);

/**
 * bg_pool_levels() - the same before it is rounded to counts: quantiles of u = ln(1 + increment), rising; below 0 is "no growth"
 * A count of `count + k` is reached at a level where round(e^u - 1) >= k, that is u >= ln(k + 1/2).
 */
void bg_pool_levels(double levels[BG_QUANTILE_N], const BgPool *pool, const BgPoolOpinion *opinion, double count, double horizon_days);

/**
 * bg_pool_learn() - an outcome of a forecast at a knot's horizon arrived
 * @opinion:   as fixed at the origin
 * @outcome:   N(T + h) >= count
 * Trackers take the rates of one training origin per series and bin of time; forecasts issued more often must not all be trained on.
 */
void bg_pool_learn(BgPool *pool, size_t knot, const BgPoolOpinion *opinion, double count, double outcome);

#endif
