/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_MODEL_OUTLOOK_H
#define BURGEON_MODEL_OUTLOOK_H

#include "daemon/model/fit.h"
#include "daemon/model/forecast.h"

/*
 * The course of a series as a whole: its count in the end, its impact time, the peak of its rate, each with its uncertainty.
 *
 * The posterior of theta is taken as normal, with the fit's mode and spread. What is no linear function of theta is evaluated
 * at 2,048 points of a quasi-random sequence laid through that distribution, always the same: no randomness, and quantiles good
 * to about one percent in level (simulated: at most 1.3).
 */

enum { BG_OUTLOOK_POINTS = 2048 };
#define BG_OUTLOOK_DAYS_MAX 1e9 /* of a time: where the data know nothing, it lies anywhere; here is as good as never */

typedef struct BgCourse {
        double ultimate[BG_QUANTILE_N];    /* count, integers: the process' law, over-dispersed, with bursts (forecast.h) */
        double impact_days[BG_QUANTILE_N]; /* e^mu, days after release: exact, lognormal */
        double peak_days[BG_QUANTILE_N];   /* age at which the expected rate is highest */
        double peak_past;                  /* probability that this is before the present age */
} BgCourse;

/** Every number is finite, quantiles rise, the ultimate count is not below `count`. Cost: about 1.5 ms. */
void bg_outlook(BgCourse *course, const BgFit *fit, double count, double age_days);

/**
 * bg_outlook_peak_days() - the age at which the expected rate of a growth curve is highest
 *
 * ln c'(t) = lambda Phi(z) - z^2/2 - ln t + const has its maxima where lambda phi(z) = z + sigma, z = (ln t - mu) / sigma. For
 * lambda above 4.13 there may be two of them, an early one (novelty) and a late one (what is known spreads): the higher counts.
 * Cost: about 0.3 us. Return: days, in [0, BG_OUTLOOK_DAYS_MAX].
 */
double bg_outlook_peak_days(const BgGrowth *growth);

#endif
