/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/model/milestone.h"

#include <math.h>

/* A log grid brackets each level, bisection finds it. Its segments end where probabilities are asked for. */
enum { ANCHOR_N = BG_WITHIN_N + 2, STEPS = 16, GRID_N = (ANCHOR_N - 1) * STEPS + 1, HALVINGS = 14 };

const double bg_within_days[BG_WITHIN_N] = { 7, 30, 90, 365, BG_HORIZON_MAX_DAYS };
static const double anchors[ANCHOR_N] = { BG_HORIZON_MIN_DAYS, 1, 7, 30, 90, 365, BG_HORIZON_MAX_DAYS };

/* bg_quantile_levels on the scale of the normal distribution */
static const double normal[BG_QUANTILE_N] = { -1.6448536269514722, -1.2815515655446004, -.67448975019608171, 0,
                                              .67448975019608171,  1.2815515655446004,  1.6448536269514722 };
/* Trackers may let two levels meet. A piece still has a width, or the tail beyond would be a wall. */
#define PIECE_MIN 1e-3

double bg_milestone_exceeds(const double levels[BG_QUANTILE_N], double u)
{
        int p = 0;
        double width, z;

        while (p < BG_QUANTILE_N - 2 && u > levels[p + 1])
                p++;
        width = fmax(levels[p + 1] - levels[p], PIECE_MIN);
        /* from the end that is nearer to the middle, so that a widened outer piece only widens the tail */
        if (p >= BG_QUANTILE_N / 2)
                z = normal[p] + (u - levels[p]) * (normal[p + 1] - normal[p]) / width;
        else
                z = normal[p + 1] - (levels[p + 1] - u) * (normal[p + 1] - normal[p]) / width;
        return .5 * erfc(z * M_SQRT1_2);
}

/** The horizon at which the probability passes `level`, known to do so in (low, high]; `held` is its highest value before. */
static double crossing(BgReach *reach, const void *data, double level, double low, double high, double held)
{
        for (int i = 0; i < HALVINGS; i++) {
                double middle = sqrt(low * high), p = fmax(reach(data, middle), held);

                if (p >= level) {
                        high = middle;
                } else {
                        low = middle;
                        held = p;
                }
        }
        return high;
}

void bg_milestone(BgArrival *arrival, BgReach *reach, const void *data)
{
        double before = 0, held = 0;
        int next = 0;

        for (int i = 0; i < GRID_N; i++) {
                int a = i / STEPS, k = i % STEPS;
                double h = k ? anchors[a] * pow(anchors[a + 1] / anchors[a], (double)k / STEPS) : anchors[a];
                double p = fmin(fmax(held, reach(data, h)), 1); /* fmax drops a NaN */

                for (; next < BG_QUANTILE_N && p >= bg_quantile_levels[next]; next++)
                        arrival->days[next] = i ? crossing(reach, data, bg_quantile_levels[next], before, h, held)
                                                : h * bg_quantile_levels[next] / p;
                if (!k && a >= 2)
                        arrival->within[a - 2] = p;
                before = h;
                held = p;
        }
        for (; next < BG_QUANTILE_N; next++)
                arrival->days[next] = INFINITY;
        for (int p = 1; p < BG_QUANTILE_N; p++) /* bisections of one bracket may end a hair apart */
                arrival->days[p] = fmax(arrival->days[p], arrival->days[p - 1]);
}

void bg_milestone_reached(BgArrival *arrival)
{
        *arrival = (BgArrival){ 0 };
        for (int i = 0; i < BG_WITHIN_N; i++)
                arrival->within[i] = 1;
}

/* ---- the two forecasts
 * ----------------------------------------------------------------------------------------------------------- */

struct pooled {
        const BgPool *pool;
        const BgFit *fit;
        const BgPoolInput *input;
        double u; /* from which on a quantile rounds to the target */
};

static double reach_pooled(const void *data, double horizon_days)
{
        const struct pooled *pooled = data;
        double levels[BG_QUANTILE_N];
        BgPoolOpinion opinion;

        bg_pool_opinion(&opinion, pooled->fit, pooled->input, horizon_days);
        bg_pool_levels(levels, pooled->pool, &opinion, pooled->input->count, horizon_days);
        return bg_milestone_exceeds(levels, pooled->u);
}

void bg_milestone_pooled(BgArrival *arrival, const BgPool *pool, const BgFit *fit, const BgPoolInput *input, double target)
{
        struct pooled pooled = { pool, fit, input, log(fmax(target - input->count, 1) + .5) };

        bg_milestone(arrival, reach_pooled, &pooled);
}

struct process {
        const BgFit *fit;
        double count;
        double age_days;
        double target;
};

static double reach_process(const void *data, double horizon_days)
{
        const struct process *process = data;

        return bg_forecast_reach(process->fit, process->count, process->age_days, process->target, horizon_days);
}

void bg_milestone_process(BgArrival *arrival, const BgFit *fit, double count, double age_days, double target)
{
        struct process process = { fit, count, age_days, target };

        bg_milestone(arrival, reach_process, &process);
}
