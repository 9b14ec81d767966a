/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/model/fit.h"

#include <math.h>
#include <string.h>

#include "daemon/model/estimator.h"
#include "daemon/model/sym3.h"

const char *bg_estimator_name(BgEstimator estimator)
{
        return estimator == BG_ESTIMATOR_LEAST_SQUARES ? "least-squares" : "likelihood";
}

const char *bg_fit_status_name(BgFitStatus status)
{
        switch (status) {
        case BG_FIT_NONE:
                return "none";
        case BG_FIT_OK:
                return "ok";
        case BG_FIT_BOUND:
                return "bound";
        case BG_FIT_NO_DATA:
                return "no_data";
        case BG_FIT_LIMIT:
                return "limit";
        case BG_FIT_NONFINITE:
                return "nonfinite";
        }
        return "unknown";
}

BgPrior bg_prior_population(void)
{
        /* ln lambda ~ N(1, 1), mu ~ N(2 + ln of a month in days, 1), ln sigma ~ N(0.5, 1/2) */
        return (BgPrior){
                .mean = { 1, 2 + log(BG_MONTH_DAYS), 0.5 },
                .precision = { 1, 0, 1, 0, 0, 2 },
        };
}

BgFitSpec bg_fit_spec_default(BgEstimator estimator)
{
        return (BgFitSpec){
                .estimator = estimator,
                .m = 3,
                .unit_days = 365.25,
                .dispersion_base = 5,
                .dispersion_slope = 0.3,
                .prior = bg_prior_population(),
                .iterations_max = estimator == BG_ESTIMATOR_LIKELIHOOD ? 60 : 200,
        };
}

static double total(const BgCounts *history)
{
        double n = 0;

        for (size_t j = 0; j < history->n_bins; j++)
                n += history->counts[j];
        return n;
}

double bg_fit_dispersion(const BgFitSpec *spec, const BgCounts *history)
{
        double months = history->edges_days[history->n_bins] / BG_MONTH_DAYS;

        return spec->dispersion_base + spec->dispersion_slope * (history->before + total(history)) / fmax(months, 1);
}

static bool counts_usable(const BgCounts *history)
{
        double sum = history->before;

        if (!(history->before >= 0) || !(history->edges_days[0] >= 0))
                return false;
        for (size_t j = 0; j < history->n_bins; j++) {
                if (!(history->edges_days[j + 1] > history->edges_days[j]) || !(history->counts[j] >= 0))
                        return false;
                sum += history->counts[j];
        }
        return isfinite(history->edges_days[history->n_bins]) && sum <= BG_GROWTH_COUNT_MAX;
}

static bool spec_usable(const BgFitSpec *spec)
{
        double factor[BG_SYM_N], sum = 0;

        for (int i = 0; i < BG_THETA_N; i++)
                sum += fabs(spec->prior.mean[i]);
        return spec->m > 0 && spec->m <= 1e6 && spec->unit_days > 0 && isfinite(spec->unit_days) && spec->dispersion_base > 0 &&
               spec->dispersion_slope >= 0 && isfinite(spec->dispersion_base + spec->dispersion_slope) && isfinite(sum) &&
               bg_sym3_cholesky(factor, spec->prior.precision);
}

static bool theta_finite(const BgFit *fit)
{
        return isfinite(fit->theta[0]) && isfinite(fit->theta[1]) && isfinite(fit->theta[2]);
}

/* What is left to say without data: the prior, or the population's when the caller's own is unusable. */
static void fit_set_prior(BgFit *fit, const BgPrior *prior)
{
        double factor[BG_SYM_N];

        for (int i = 0; i < BG_THETA_N; i++)
                fit->theta[i] = prior->mean[i];
        bg_sym3_cholesky(factor, prior->precision);
        bg_sym3_invert(fit->spread, factor);
        memcpy(fit->laplace, fit->spread, sizeof(fit->laplace));
        fit->objective = 0;
        fit->warm = false;
}

/* Months since release differ from their mean length by at most this when added up: 31 + 31 + .. and February. */
#define MONTHS_DRIFT_MAX_DAYS 3.0
#define MONTH_MIN_DAYS 27.9
#define MONTH_MAX_DAYS 31.1

bool bg_counts_snap_months(double *edges_days, size_t n_bins)
{
        double last;

        if (n_bins == 0 || edges_days[0] != 0)
                return false;
        for (size_t k = 1; k <= n_bins; k++) {
                double length = edges_days[k] - edges_days[k - 1];

                if (!(length > 0) || length > MONTH_MAX_DAYS || (length < MONTH_MIN_DAYS && k < n_bins) ||
                    fabs(edges_days[k - 1] - (double)(k - 1) * BG_MONTH_DAYS) > MONTHS_DRIFT_MAX_DAYS)
                        return false;
        }
        last = edges_days[n_bins] - edges_days[n_bins - 1];
        for (size_t k = 1; k < n_bins; k++)
                edges_days[k] = (double)k * BG_MONTH_DAYS;
        edges_days[n_bins] = (double)(n_bins - 1) * BG_MONTH_DAYS + (last < MONTH_MIN_DAYS ? last : BG_MONTH_DAYS);
        return true;
}

BgGrowth bg_fit_growth(const BgFit *fit)
{
        return bg_growth_from_theta(fit->theta, fit->m);
}

static double squared_error(const BgFit *fit, const BgCounts *history)
{
        BgGrowth g = bg_fit_growth(fit);
        double n = history->before, sum = 0;

        for (size_t j = 0; j < history->n_bins; j++) {
                double residual;

                n += history->counts[j];
                residual = bg_growth_expected(&g, history->edges_days[j + 1]) - n;
                sum += residual * residual;
        }
        return sum;
}

void bg_fit(BgFit *fit, const BgFitSpec *spec, const BgCounts *history, const BgFit *previous)
{
        const BgFit *start = previous && previous->status != BG_FIT_NONE && theta_finite(previous) ? previous : NULL;
        double off[3];
        BgPrior population = bg_prior_population();
        const BgPrior *prior = spec_usable(spec) ? &spec->prior : &population;

        *fit = (BgFit){ .m = spec->m > 0 && spec->m <= 1e6 ? spec->m : 1, .dispersion = 1 };
        if (prior != &spec->prior)
                fit->status = BG_FIT_NONFINITE;
        else if (history->n_bins == 0)
                fit->status = BG_FIT_NO_DATA;
        else if (!counts_usable(history))
                fit->status = BG_FIT_NONFINITE;
        else if (spec->estimator == BG_ESTIMATOR_LIKELIHOOD) {
                fit->dispersion = bg_fit_dispersion(spec, history);
                bg_likelihood_fit(fit, spec, history, start);
        } else
                bg_least_squares_fit(fit, spec, history, start);
        if (fit->status == BG_FIT_NONFINITE || history->n_bins == 0)
                fit_set_prior(fit, prior);
        else
                fit->sse = squared_error(fit, history);
        for (int i = 0; i < 3; i++)
                off[i] = fit->theta[i] - prior->mean[i];
        fit->moved = sqrt(bg_sym3_form(prior->precision, off) / 3);
}
