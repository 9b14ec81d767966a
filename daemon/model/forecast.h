/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_MODEL_FORECAST_H
#define BURGEON_MODEL_FORECAST_H

#include <stddef.h>

#include "daemon/model/fit.h"

/*
 * Forecasts of the cumulative count, conditional on what was counted.
 *
 * Given N(T) = n the growth N(T+h) - n of the reinforced process is exactly negative binomial with r = n + m and
 * p = exp(-lambda (F(T+h) - F(T))). Over-dispersion, parameter spread and process noise widen it: the published quantiles are
 * those of the negative binomial with the mean and variance of the mixture.
 */

enum { BG_QUANTILE_N = 7 };
extern const double bg_quantile_levels[BG_QUANTILE_N]; /* .05 .1 .25 .5 .75 .9 .95 */

#define BG_HORIZON_MIN_DAYS (1.0 / 24)
#define BG_HORIZON_MAX_DAYS 1826.25

typedef struct BgForecastPoint {
        double days;             /* horizon */
        double mean;             /* of the cumulative count at T + days; >= count */
        double q[BG_QUANTILE_N]; /* integers in value, >= count, rising with the level */
} BgForecastPoint;

/** What widens a forecast beyond the process itself. All zero but the two caps: the process with known parameters' law. */
typedef struct BgForecastSpec {
        double burst;           /* relative variance of one-off bursts; default 0.3 */
        double noise_per_month; /* relative variance of drifting parameters, per 30.4375 d of horizon; default 0.03 */
        double spread_max;      /* cap of the relative variance from the parameters' spread; default 4 */
        double exposure_max;    /* cap of d: growth by e^8 within one horizon is the extrapolation of a fit, not a forecast; 8 */
} BgForecastSpec;
BgForecastSpec bg_forecast_spec_default(void);

/**
 * bg_forecast() - forecast at several horizons
 * @count:        n = N(T) >= 0
 * @age_days:     T >= 0; below 1 day it counts as 1 day in the rates that divide by it
 * @horizons:     days, rising, within [BG_HORIZON_MIN_DAYS, BG_HORIZON_MAX_DAYS]
 * @points:       n_horizons results; means and quantiles do not fall from one horizon to the next
 *
 * Whatever the fit, every number is finite and in [count, BG_GROWTH_COUNT_MAX].     Cost: O(n_horizons), about 1 us each.
 */
void bg_forecast(BgForecastPoint *points, const BgFit *fit, double count, double age_days, const double *horizons,
                 size_t n_horizons);
/** The same under another spec. */
void bg_forecast_with(BgForecastPoint *points, const BgForecastSpec *spec, const BgFit *fit, double count, double age_days,
                      const double *horizons, size_t n_horizons);

/** P(N(T + horizon) >= target) under the same law as the quantiles of bg_forecast() at that horizon. */
double bg_forecast_reach(const BgFit *fit, double count, double age_days, double target, double horizon_days);

/** Expected new children in (from, to] days of age given n counted at from: (n + m)(e^d - 1). >= 0, finite. */
double bg_forecast_increment(const BgFit *fit, double count, double from_days, double to_days);
/** The same per day at an age: (n + m) lambda f(t). */
double bg_forecast_rate(const BgFit *fit, double count, double age_days);
/** Expected ultimate count given n at T. */
double bg_forecast_ultimate(const BgFit *fit, double count, double age_days);

/**
 * bg_negative_binomial_quantile() - smallest integer k with P(X <= k) >= level
 * @level:    in (0, 1); at most 1 - 1e-12
 * @mean:     >= 0
 * @variance: at or below the mean it is a Poisson
 *
 * The distribution function behind it is good to 1e-10. Where mean > 1e7 and mean^2 / (variance - mean) > 1e5 an expansion takes
 * its place, good to 1e-8 of the mean. Cost: proportional to the quantile up to a mean of 400, then a few us.
 */
double bg_negative_binomial_quantile(double level, double mean, double variance);
/** The same for n rising levels at once, at the cost of little more than the largest alone while the mean is small. */
void bg_negative_binomial_quantiles(double *quantiles, const double *levels, size_t n, double mean, double variance);

/** P(X >= k); 1 for k <= 0. Where the quantiles come from an expansion so does this: absolute error below 1e-4 there, else 1e-10. */
double bg_negative_binomial_reach(double k, double mean, double variance);

#endif
