/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_SCORE_H
#define BURGEON_STREAM_SCORE_H

#include <stdio.h>

#include "daemon/model/forecast.h"
#include "daemon/stream/learn.h"

/*
 * Scores of forecasts whose outcome fell due: coverage of the central 50, 80 and 90 % intervals, the weighted interval score of
 * log(1 + count) (Bracher et al. 2021, with the median and three intervals), median absolute percentage error; per horizon and
 * stratum of the count at the origin; beside two naive point forecasts on exactly the same origins: no growth, and the growth of
 * the last month continued.
 */
typedef struct BgScore BgScore;

enum { BG_STRATUM_0, BG_STRATUM_1_9, BG_STRATUM_10_99, BG_STRATUM_100, BG_STRATUM_N };

int bg_score_new(BgScore **scorep, const double *horizons_days, size_t n_horizons); /* 0 or -ENOMEM */
void bg_score_free(BgScore *score);
/** Remember a forecast until its outcome. Origins must not fall. `last_month`: children of the last 30.4375 days. 0 or -ENOMEM. */
int bg_score_add(BgScore *score, BgSeriesId series, BgSecond origin, double count, double last_month, const BgForecastPoint *points);
/** Score everything due at or before `now`. `outcome` returns the count at a time, or a negative number when it is not known. */
int bg_score_settle(BgScore *score, BgSecond now, BgLearnOutcome *outcome, void *data);
/** The JSON object {"30": {"1-9": {..}, ..}, ..}, deterministic. */
void bg_score_print(BgScore *score, FILE *out);

#endif
