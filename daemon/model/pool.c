/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/model/pool.h"

#include <math.h>

#include "daemon/model/sym3.h"

/* Beyond e^20 children the exponential would overflow nothing, but no hub has them: errors there are those of a diverged fit. */
#define U_MAX 20.0
#define RATE_SCALE 0.005    /* of the scale tracker, at a horizon of one bin; falls as 1/sqrt(h) */
#define RATE_QUANTILE 0.05  /* of the quantile trackers; falls as 1/h and with the outcomes seen */
#define RATE_WEIGHT 0.02    /* of the exponentiated gradient */
#define SCALE_MAX 1.5
#define WEIGHT_FLOOR 0.001  /* share given back to equal weights at each outcome: none dies for ever */
enum { QUARTILE_1 = 2, MEDIAN = 3, QUARTILE_3 = 4 }; /* among the seven levels */
#define Z80 1.2815515655446004

static const double nodes[BG_POOL_NODE_N] = { 0, .7, 1.4, 2.3, 3.4, 4.8, 7.0 };
static const double normal_quantiles[BG_QUANTILE_N] = { -1.6448536269514722, -1.2815515655446004, -.67448975019608171, 0,
                                                        .67448975019608171, 1.2815515655446004, 1.6448536269514722 };
static const double knot_days[BG_POOL_KNOT_N] = { 1.0 / 24, 1, 7, 30.4375, 91.3125, 182.625, 365.25, 730.5, 1095.75, 1826.25 };

double bg_pool_knot_days(size_t knot)
{
        return knot_days[knot];
}

/* ---- opinions -------------------------------------------------------------------------------------------------------------------- */

static double bound(double x, double low, double high)
{
        return fmin(fmax(x, low), high); /* fmin and fmax drop a NaN */
}

/** Discounted rates per bin, arithmetic and geometric, and the latest. A window cut short by the release counts for its share. */
static void rates(const BgPoolInput *input, double *rp, double *r_geop, double *latestp)
{
        double bins = fmax(input->age_days / BG_POOL_BIN_DAYS, 1e-9), weight = 1, sum = 0, log_sum = 0, norm = 0;

        for (size_t j = 0; j < input->n_windows && j < BG_POOL_WINDOW_MAX; j++, weight *= BG_POOL_DECAY) {
                double share = bound(bins - (double)j, 0, 1), x = fmax(input->windows[j], 0);

                /* less than a bin of life: T counts as one bin everywhere, the latest window as a whole one */
                if (j == 0)
                        share = 1;
                if (share <= 0)
                        break;
                sum += weight * x;
                log_sum += weight * share * log1p(x / share);
                norm += weight * share;
        }
        *rp = norm > 0 ? sum / norm : 0;
        *r_geop = norm > 0 ? expm1(log_sum / norm) : 0;
        *latestp = input->n_windows ? fmax(input->windows[0], 0) : 0;
}

void bg_pool_opinion(BgPoolOpinion *opinion, const BgFit *fit, const BgPoolInput *input, double horizon_days)
{
        double bins = fmax(input->age_days / BG_POOL_BIN_DAYS, 1), h = horizon_days / BG_POOL_BIN_DAYS, n = fmax(input->count, 0);
        double damping = (bins + 1) * log((bins + 1.5 + h) / (bins + 1.5)), gradient[BG_THETA_N], r, r_geo, latest;
        BgGrowth growth = bg_fit_growth(fit);
        double d = bg_growth_exposure(&growth, input->age_days, input->age_days + horizon_days, gradient);
        double mean, variance, s2, ratio, g, v;

        rates(input, &r, &r_geo, &latest);
        opinion->u[BG_EXPERT_AGE] = log1p(r * damping);
        opinion->u[BG_EXPERT_GEOAGE] = log1p(r_geo * damping);
        opinion->u[BG_EXPERT_DRIFT] = log1p(h * latest);

        d = fmax(d, 1e-10);
        for (int i = 0; i < BG_THETA_N; i++)
                gradient[i] /= d; /* of ln d */
        v = fmax(bg_sym3_form(fit->laplace, gradient), 0);
        d = fmin(d, 8);
        mean = bound((n + fit->m) * expm1(d), 0, BG_GROWTH_COUNT_MAX);
        variance = fmax(fit->dispersion, 1) * mean * exp(d) + .3 * mean * mean;
        ratio = mean / (mean + 1);
        s2 = log1p(variance / ((mean + 1) * (mean + 1)));
        g = d * exp(d) / expm1(d);
        opinion->u[BG_EXPERT_RPP] = fmax(0, log1p(mean) - s2 / 2);
        opinion->s = sqrt(s2 + ratio * ratio * (fmin(g * g * v, 4) + .03 * h));
        opinion->s = bound(opinion->s, 1e-6, 20);
        for (int e = 0; e < BG_EXPERT_N; e++)
                opinion->u[e] = bound(opinion->u[e], 0, U_MAX + 15);
}

/* ---- state ------------------------------------------------------------------------------------------------------------------------ */

void bg_pool_init(BgPool *pool)
{
        for (int side = 0; side < 2; side++)
                for (int k = 0; k < BG_POOL_KNOT_N; k++) {
                        BgPoolKnot *knot = &pool->knots[side][k];

                        *knot = (BgPoolKnot){ .days = knot_days[k] };
                        for (int i = 0; i < BG_POOL_NODE_N; i++)
                                for (int p = 0; p < BG_QUANTILE_N; p++)
                                        knot->quantile[i][p] = normal_quantiles[p];
                        for (int b = 0; b < BG_POOL_SIZE_N; b++)
                                for (int e = 0; e < BG_EXPERT_N; e++)
                                        knot->weight[b][e] = 1.0 / BG_EXPERT_N;
                }
}

static int size_of(double count)
{
        return count < 10 ? 0 : count < 100 ? 1 : 2;
}

/** Hat function: node j takes 1 - f, node j + 1 takes f. */
static int node_of(double u, double *fp)
{
        int j = 0;

        while (j < BG_POOL_NODE_N - 2 && u > nodes[j + 1])
                j++;
        *fp = bound((u - nodes[j]) / (nodes[j + 1] - nodes[j]), 0, 1);
        return j;
}

static double pooled(const double weight[BG_EXPERT_N], const BgPoolOpinion *opinion)
{
        double u = 0;

        for (int e = 0; e < BG_EXPERT_N; e++)
                u += weight[e] * opinion->u[e];
        return u;
}

/** The trackers at a horizon between knots: linear in ln h. Only the bucket and nodes that are needed. */
static void interpolate(const BgPool *pool, int side, int size, double horizon_days, double weight[BG_EXPERT_N], double *scalep,
                        const BgPoolKnot **lowp, const BgPoolKnot **highp, double *sharep)
{
        int k = 0;
        const BgPoolKnot *low, *high;
        double share;

        while (k < BG_POOL_KNOT_N - 2 && horizon_days > knot_days[k + 1])
                k++;
        low = &pool->knots[side][k];
        high = low + 1;
        share = bound(log(horizon_days / low->days) / log(high->days / low->days), 0, 1);
        for (int e = 0; e < BG_EXPERT_N; e++)
                weight[e] = (1 - share) * low->weight[size][e] + share * high->weight[size][e];
        *scalep = (1 - share) * low->scale[size] + share * high->scale[size];
        *lowp = low;
        *highp = high;
        *sharep = share;
}

void bg_pool_levels(double levels[BG_QUANTILE_N], const BgPool *pool, const BgPoolOpinion *opinion, double count, double horizon_days)
{
        const BgPoolKnot *low, *high;
        double weight[BG_EXPERT_N], scale, share, f, u, s, before = -INFINITY;
        int j;

        interpolate(pool, count < 1, size_of(count), horizon_days, weight, &scale, &low, &high, &share);
        u = pooled(weight, opinion);
        s = opinion->s * exp(scale);
        j = node_of(u, &f);
        for (int p = 0; p < BG_QUANTILE_N; p++) {
                double c = (1 - share) * ((1 - f) * low->quantile[j][p] + f * low->quantile[j + 1][p]) +
                           share * ((1 - f) * high->quantile[j][p] + f * high->quantile[j + 1][p]);

                before = levels[p] = fmax(u + s * c, before);
        }
}

void bg_pool_quantiles(BgForecastPoint *point, const BgPool *pool, const BgPoolOpinion *opinion, double count, double horizon_days)
{
        double levels[BG_QUANTILE_N], sum = 0;

        bg_pool_levels(levels, pool, opinion, count, horizon_days);
        point->days = horizon_days;
        for (int p = 0; p < BG_QUANTILE_N; p++) {
                double x = expm1(bound(levels[p], 0, U_MAX));
                /*
                 * Counts are integers: rounding to the nearest one lets an end of the central half take in an atom that the tracker,
                 * which holds P(increment <= x) at the level, keeps out, and 50 % becomes 66 %. Rounded inwards it is right. Below
                 * ten children nearly all the mass is at "no change", and there is no such interval to be had.
                 */
                if (count >= 10 && p == QUARTILE_1)
                        x = ceil(x);
                else if (count >= 10 && p == QUARTILE_3)
                        x = floor(x);
                point->q[p] = count + round(x);
        }
        for (int p = MEDIAN; p-- > 0;)
                point->q[p] = fmin(point->q[p], point->q[MEDIAN]);
        for (int p = MEDIAN + 1; p < BG_QUANTILE_N; p++)
                point->q[p] = fmax(point->q[p], point->q[MEDIAN]);
        /* the mean of the piecewise linear distribution through the quantiles, its tails as far again as the last step */
        for (int p = 0; p + 1 < BG_QUANTILE_N; p++)
                sum += (bg_quantile_levels[p + 1] - bg_quantile_levels[p]) * (point->q[p] + point->q[p + 1]) / 2;
        sum += bg_quantile_levels[0] * fmax(count, point->q[0] - (point->q[1] - point->q[0]) / 2);
        sum += (1 - bg_quantile_levels[BG_QUANTILE_N - 1]) * (point->q[6] + (point->q[6] - point->q[5]) / 2);
        point->mean = fmax(count, sum);
}

/* ---- learning ---------------------------------------------------------------------------------------------------------------------- */

static void learn_scale(double *scale, double rate, double surprise, double s)
{
        *scale = bound(*scale + rate * ((fabs(surprise) > Z80 * s) - .2), -SCALE_MAX, SCALE_MAX);
}

static void learn_quantiles(BgPoolKnot *knot, int j, double f, double h, double u, double s, double v)
{
        double c[BG_QUANTILE_N];

        for (int p = 0; p < BG_QUANTILE_N; p++)
                c[p] = (1 - f) * knot->quantile[j][p] + f * knot->quantile[j + 1][p];
        for (int side = 0; side < 2; side++) {
                int node = j + side;
                double share = side ? f : 1 - f, eta;

                knot->seen[node] += share;
                eta = RATE_QUANTILE / h / sqrt(1 + knot->seen[node] / 50);
                for (int p = 0; p < BG_QUANTILE_N; p++) {
                        double x = u + s * c[p], step = eta * share * (bg_quantile_levels[p] - (v <= x));

                        if (!(step < 0 && x <= 0)) /* a quantile at "no growth" cannot go lower */
                                knot->quantile[node][p] += step;
                }
        }
}

static void learn_weights(double weight[BG_EXPERT_N], const BgPoolOpinion *opinion, double count, double v)
{
        double u = pooled(weight, opinion), growth = exp(fmin(u, U_MAX)), sum = 0;
        double gradient = (u > v ? 1 : u < v ? -1 : 0) * growth / (count + growth);

        for (int e = 0; e < BG_EXPERT_N; e++) {
                weight[e] *= exp(-RATE_WEIGHT * gradient * bound(opinion->u[e] - u, -3, 3));
                sum += weight[e];
        }
        for (int e = 0; e < BG_EXPERT_N; e++)
                weight[e] = (1 - WEIGHT_FLOOR) * weight[e] / sum + WEIGHT_FLOOR / BG_EXPERT_N;
}

void bg_pool_learn(BgPool *pool, size_t k, const BgPoolOpinion *opinion, double count, double outcome)
{
        BgPoolKnot *knot = &pool->knots[count < 1][k];
        int size = size_of(count), j;
        double h = fmax(knot->days / BG_POOL_BIN_DAYS, 1), v = log1p(fmax(outcome - count, 0)), f;
        double u = pooled(knot->weight[size], opinion), s = opinion->s * exp(knot->scale[size]);

        j = node_of(u, &f);
        learn_scale(&knot->scale[size], RATE_SCALE / sqrt(h), v - u, s);
        s = opinion->s * exp(knot->scale[size]);
        learn_quantiles(knot, j, f, h, u, s, v);
        learn_weights(knot->weight[size], opinion, count, v);
}
