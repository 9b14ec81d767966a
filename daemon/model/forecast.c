/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/model/forecast.h"

#include <math.h>

#include "daemon/model/estimator.h"
#include "daemon/model/sym3.h"

/*
 * The mean is the process's own, (n + m)(e^d - 1) with d the exposure of the horizon at the fitted parameters. The variance adds
 * up what is known to go wrong: chance in the process (over-dispersed by phi), bursts, the spread of d under the spread of the
 * parameters (delta method on ln d), and drift of the parameters over time.
 */

const double bg_quantile_levels[BG_QUANTILE_N] = { .05, .1, .25, .5, .75, .9, .95 };

BgForecastSpec bg_forecast_spec_default(void)
{
        return (BgForecastSpec){ .burst = 0.3, .noise_per_month = 0.03, .spread_max = 4, .exposure_max = 8 };
}

static double limit(double x)
{
        return fmin(fmax(x, 0), BG_GROWTH_COUNT_MAX);
}

/* Exposure of (from, to], and the relative variance of e^d - 1 that the spread of the parameters causes. */
static double exposure(const BgForecastSpec *spec, const BgFit *fit, double from_days, double to_days, double *spreadp)
{
        BgGrowth g = bg_fit_growth(fit);
        double a[BG_THETA_N], d = bg_growth_exposure(&g, from_days, to_days, a), slope;

        if (d > 0) {
                for (int i = 0; i < BG_THETA_N; i++)
                        a[i] /= d;
                d = fmin(d, spec->exposure_max);
                slope = d / -expm1(-d); /* of ln(e^d - 1) in ln d */
                *spreadp = fmin(slope * slope * bg_sym3_form(fit->laplace, a), spec->spread_max);
        } else
                *spreadp = spec->spread_max;
        if (!(*spreadp >= 0)) /* ratios of underflowing tails */
                *spreadp = spec->spread_max;
        return d;
}

/* Mean and variance of the increment in (age, age + horizon]. */
static double increment(const BgForecastSpec *spec, const BgFit *fit, double count, double age_days, double horizon_days,
                        double *variancep)
{
        double relative, d = exposure(spec, fit, age_days, age_days + horizon_days, &relative);
        double mean = limit((count + fit->m) * expm1(d));

        relative += spec->burst + spec->noise_per_month * horizon_days / BG_MONTH_DAYS;
        *variancep = fit->dispersion * mean * exp(d) + relative * mean * mean;
        return mean;
}

void bg_forecast_with(BgForecastPoint *points, const BgForecastSpec *spec, const BgFit *fit, double count, double age_days,
                      const double *horizons, size_t n_horizons)
{
        for (size_t h = 0; h < n_horizons; h++) {
                BgForecastPoint *point = points + h;
                double more[BG_QUANTILE_N], variance, mean = increment(spec, fit, count, age_days, horizons[h], &variance);

                point->days = horizons[h];
                point->mean = limit(count + mean);
                bg_negative_binomial_quantiles(more, bg_quantile_levels, BG_QUANTILE_N, mean, variance);
                for (int i = 0; i < BG_QUANTILE_N; i++)
                        point->q[i] = limit(count + more[i]);
                /* the count never falls, but the lower quantiles of a law that widens faster than it grows would */
                if (h > 0) {
                        point->mean = fmax(point->mean, points[h - 1].mean);
                        for (int i = 0; i < BG_QUANTILE_N; i++)
                                point->q[i] = fmax(point->q[i], points[h - 1].q[i]);
                }
        }
}

void bg_forecast(BgForecastPoint *points, const BgFit *fit, double count, double age_days, const double *horizons,
                 size_t n_horizons)
{
        BgForecastSpec spec = bg_forecast_spec_default();

        bg_forecast_with(points, &spec, fit, count, age_days, horizons, n_horizons);
}

double bg_forecast_reach(const BgFit *fit, double count, double age_days, double target, double horizon_days)
{
        BgForecastSpec spec = bg_forecast_spec_default();
        double variance, mean = increment(&spec, fit, count, age_days, horizon_days, &variance);

        return bg_negative_binomial_reach(target - count, mean, variance);
}

double bg_forecast_increment(const BgFit *fit, double count, double from_days, double to_days)
{
        BgForecastSpec spec = bg_forecast_spec_default();
        double relative;

        return limit((count + fit->m) * expm1(exposure(&spec, fit, from_days, to_days, &relative)));
}

double bg_forecast_rate(const BgFit *fit, double count, double age_days)
{
        BgGrowth g = bg_fit_growth(fit);

        g.m = 1;
        return limit((count + fit->m) * bg_growth_rate(&g, age_days) / (1 + bg_growth_expected(&g, age_days)));
}

double bg_forecast_ultimate(const BgFit *fit, double count, double age_days)
{
        BgGrowth g = bg_fit_growth(fit);

        g.m = count + fit->m;
        g.lambda *= bg_growth_share_between(&g, age_days, INFINITY);
        return limit(count + bg_growth_ultimate(&g));
}
