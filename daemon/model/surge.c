/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/model/surge.h"

#include <math.h>
#include <stddef.h>

#define DAY_S 86400u
#define EXPECTED_TINY 1e-12 /* keeps n / B finite; far below what a forecaster can mean */
#define SHARE_PRIOR_EVENTS 20.0

const double bg_surge_weekday[7] = { 1.117, 1.052, 1.082, 1.078, 1.025, 0.848, 0.798 };

BgSurgeSpec bg_surge_spec_default(void)
{
        return (BgSurgeSpec){
                .threshold = 9.25,
                .rho = { 1.25, 1.5, 2, 4, 8 },
                .age_min_days = 14,
                .ratio_min = 1.25,
                .authors_min = 5,
                .top_share_max = 0.5,
                .close_prior = 3,
                .close_ratio_min = 1.5,
                .close_ratio_max = 8,
                .close_base = 4,
                .quiet_close_s = 21 * DAY_S,
                .regime_s = 30 * DAY_S,
                .regime_revert = 15,
                .update_ratio = 1.25,
                .update_authors_ratio = 2,
                .update_s = DAY_S,
                .hold_back_s = 15 * DAY_S,
                .burst_events_min = 10,
                .burst_quiet_s = 7 * DAY_S,
        };
}

double bg_surge_evidence(double n, double expected, double shape)
{
        double b = fmax(expected, EXPECTED_TINY);
        double r = fmin(n / b, BG_SURGE_RATIO_MAX);

        if (!(r > 1))
                return 0;
        /* the same as in the header, in terms that do not cancel for a very small or very large shape */
        return fmax(n * log1p(shape * (r - 1) / (shape + r * b)) - shape * log1p((r - 1) * b / (shape + b)), 0);
}

double bg_surge_shape(double relative_variance)
{
        if (!(relative_variance >= 0))
                relative_variance = BG_SURGE_VARIANCE_DEFAULT;
        return 1 / fmin(fmax(relative_variance, BG_SURGE_VARIANCE_MIN), BG_SURGE_VARIANCE_MAX);
}

double bg_surge_magnitude(double n, double expected)
{
        return (n + 1.5) / (expected + 0.5);
}

double bg_surge_session_share(double sessions, double events)
{
        double q = (sessions + SHARE_PRIOR_EVENTS * BG_SURGE_SESSION_SHARE) / (events + SHARE_PRIOR_EVENTS);

        return q < 1 ? q : 1;
}

/* ---- thresholds ---------------------------------------------------------------------------------------------------------- */

static const struct {
        double threshold;
        double false_alarms; /* per 1000 model-years */
} simulated[] = { { 6, 117 }, { 7, 60 }, { 8, 29 }, { 9.25, 9.1 }, { 10.5, 3.8 }, { 12.4, 0.9 }, { 15, 0.1 } };
enum { SIMULATED_N = sizeof(simulated) / sizeof(simulated[0]) };

double bg_surge_threshold(double false_alarms_per_1000_model_years)
{
        double rate = false_alarms_per_1000_model_years;

        if (rate >= simulated[0].false_alarms)
                return simulated[0].threshold;
        for (size_t i = 1; i < SIMULATED_N; ++i) {
                if (rate >= simulated[i].false_alarms) {
                        double share = log(rate / simulated[i - 1].false_alarms) /
                                       log(simulated[i].false_alarms / simulated[i - 1].false_alarms);
                        return simulated[i - 1].threshold + share * (simulated[i].threshold - simulated[i - 1].threshold);
                }
        }
        return simulated[SIMULATED_N - 1].threshold;
}

double bg_surge_false_alarms(double threshold)
{
        if (threshold <= simulated[0].threshold)
                return simulated[0].false_alarms;
        for (size_t i = 1; i < SIMULATED_N; ++i) {
                if (threshold <= simulated[i].threshold) {
                        double share =
                                (threshold - simulated[i - 1].threshold) / (simulated[i].threshold - simulated[i - 1].threshold);
                        return simulated[i - 1].false_alarms *
                               pow(simulated[i].false_alarms / simulated[i - 1].false_alarms, share);
                }
        }
        return simulated[SIMULATED_N - 1].false_alarms;
}
