/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_MODEL_ESTIMATOR_H
#define BURGEON_MODEL_ESTIMATOR_H

#include "daemon/model/fit.h"

/*
 * Inside the room: what the dispatcher asks of an estimator. The history is already checked: bins exist, numbers are finite,
 * edges rise. `start` is a previous fit with a finite theta, or NULL. Both fill theta, spread, objective, iterations, status,
 * warm.
 */
void bg_likelihood_fit(BgFit *fit, const BgFitSpec *spec, const BgCounts *history, const BgFit *start);
void bg_least_squares_fit(BgFit *fit, const BgFitSpec *spec, const BgCounts *history, const BgFit *start);

/** phi of a series: dispersion_base + dispersion_slope n / (T / 30.4375 d), T at least one such month. */
double bg_fit_dispersion(const BgFitSpec *spec, const BgCounts *history);

#define BG_MONTH_DAYS 30.4375

#endif
